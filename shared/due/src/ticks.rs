//! The port of the queue that ticks go to, and ticks as messages.

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, json::MAX_TICK_PLAYERS};
use millrace_pipeline::SendAnswer;
use millrace_store::DueQueue;
use serde::Serialize;

/// Most messages of one call, as of SQS. The bodies of ten ticks stay far below its limit of
/// 256 KiB for a call.
pub const MAX_TICKS: usize = 10;
/// Longest delay of a message, in seconds, as of SQS.
pub const MAX_DELAY_SECONDS: u64 = 900;

/// A queue that delivers ticks to `process-tasks`, each after a delay.
#[async_trait]
pub trait TicksQueue: Send + Sync {
    /// Sends at most [`MAX_TICKS`] messages in one call.
    ///
    /// # Errors
    /// [`Failure`](millrace_pipeline::Failure) where the call failed: none, some or all of them may
    /// have been sent.
    async fn send(&self, messages: &[TickMessage<'_>]) -> SendAnswer;
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickMessage<'a> {
    /// Its body.
    pub body: &'a str,
    /// The delay of its delivery in seconds, at most [`MAX_DELAY_SECONDS`].
    pub delay_seconds: u32,
}

/// A tick for queues that are due within the same second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) body: String,
    /// How many queues it names.
    pub(crate) players: u64,
    /// The oldest of their due moments.
    pub(crate) due_at: Timestamp,
    /// The second at whose beginning it has to arrive, since the Unix epoch.
    pub(crate) second: u64,
}

impl Tick {
    /// The delay of a message that is sent at `now`: it must not arrive before its second begins.
    pub(crate) fn delay_seconds(&self, now: Timestamp) -> u32 {
        let millis = (self.second * 1_000).saturating_sub(now.as_millis());
        millis.div_ceil(1_000).min(MAX_DELAY_SECONDS) as u32
    }
}

/// The second at whose beginning a queue is due. For queues that are due already, the present
/// second.
fn second(due_at: Timestamp, now: Timestamp) -> u64 {
    match due_at <= now {
        true => now.as_millis() / 1_000,
        false => due_at.as_millis().div_ceil(1_000),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: &'static str,
    player_ids: Vec<&'a PlayerId>,
}

/// Ticks for `due`, which is in the order of the due moments. Queues of one second share ticks.
/// What is overdue at `now` counts as one second.
pub(crate) fn ticks(due: &[DueQueue], now: Timestamp) -> Vec<Tick> {
    let same_second = due.chunk_by(|a, b| second(a.due_at, now) == second(b.due_at, now));
    let tick = |due: &[DueQueue]| {
        let body = Body { r#type: "advanceQueues", player_ids: due.iter().map(|due| &due.player_id).collect() };
        Tick {
            // Names and ids: serialization cannot fail.
            body: serde_json::to_string(&body).unwrap_or_default(),
            players: due.len() as u64,
            due_at: due[0].due_at,
            second: second(due[0].due_at, now),
        }
    };
    same_second.flat_map(|due| due.chunks(MAX_TICK_PLAYERS)).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use millrace_domain::json::{self, Message};
    use proptest::prelude::*;

    use super::*;

    fn due(number: usize, millis: u64) -> DueQueue {
        let player_id = PlayerId::new(&format!("p-{number}")).unwrap();
        DueQueue { player_id, due_at: Timestamp::from_millis(millis) }
    }

    fn players(tick: &Tick) -> Vec<PlayerId> {
        match json::parse_message(&tick.body) {
            Ok(Message::Tick(players)) => players.into_iter().collect(),
            other => panic!("{} is no tick: {other:?}", tick.body),
        }
    }

    #[test]
    fn queues_due_within_a_second_share_a_tick_that_arrives_at_its_end() {
        let due: Vec<DueQueue> = [90_000, 100_400, 100_401, 101_000, 101_001, 102_000]
            .into_iter()
            .enumerate()
            .map(|(at, ms)| due(at, ms))
            .collect();
        let now = Timestamp::from_millis(100_400);
        let ticks = ticks(&due, now);
        let told: Vec<_> = ticks.iter().map(|tick| (tick.players, tick.second, tick.delay_seconds(now))).collect();
        // Two are due already, the fourth is due just at the end of the second that has begun.
        assert_eq!(told, [(2, 100, 0), (2, 101, 1), (2, 102, 2)]);
        assert_eq!(ticks[0].due_at.as_millis(), 90_000);
        assert_eq!(ticks[0].body, r#"{"type":"advanceQueues","playerIds":["p-0","p-1"]}"#);
    }

    #[test]
    fn a_delay_is_at_most_900_seconds() {
        let tick = &ticks(&[due(1, 10_000_000)], Timestamp::from_millis(0))[0];
        assert_eq!(tick.delay_seconds(Timestamp::from_millis(0)), 900);
        assert_eq!(tick.delay_seconds(Timestamp::from_millis(9_999_001)), 1);
        assert_eq!(tick.delay_seconds(Timestamp::from_millis(20_000_000)), 0, "late already");
    }

    #[test]
    fn the_largest_ticks_of_a_call_stay_far_below_its_bytes() {
        let longest = |at: usize| DueQueue {
            player_id: PlayerId::new(&format!("{at:0>128}")).unwrap(),
            due_at: Timestamp::default(),
        };
        let due: Vec<DueQueue> = (0..1_000).map(longest).collect();
        let ticks = ticks(&due, Timestamp::default());
        assert_eq!(ticks.len(), MAX_TICKS);
        assert!(ticks.iter().map(|tick| tick.body.len()).sum::<usize>() < 256 * 1024 * 3 / 5);
    }

    proptest! {
        #[test]
        fn every_queue_is_in_one_tick_that_arrives_when_it_is_due_or_up_to_two_seconds_later(
            mut moments in proptest::collection::vec(0..200_000_u64, 1..800),
            now in 0..200_000_u64,
            later in 0..5_000_u64,
        ) {
            moments.sort_unstable();
            let due: Vec<DueQueue> = moments.iter().enumerate().map(|(at, millis)| due(at, *millis)).collect();
            let (now, sent_at) = (Timestamp::from_millis(now), Timestamp::from_millis(now + later));
            let ticks = ticks(&due, now);
            let told: Vec<PlayerId> = ticks.iter().flat_map(players).collect();
            prop_assert_eq!(told, due.iter().map(|due| due.player_id.clone()).collect::<Vec<_>>());
            let mut rest = due.as_slice();
            for tick in &ticks {
                prop_assert!((1..=MAX_TICK_PLAYERS as u64).contains(&tick.players));
                let (mine, others) = rest.split_at(tick.players as usize);
                let arrives = sent_at + 1_000 * u64::from(tick.delay_seconds(sent_at));
                prop_assert!(mine.iter().all(|due| due.due_at <= arrives), "{:?}", tick);
                let wanted = mine[0].due_at.max(sent_at);
                prop_assert!(arrives.millis_since(wanted) < 2_000, "{:?}", tick);
                prop_assert_eq!(tick.due_at, mine[0].due_at);
                rest = others;
            }
            let of_seconds: std::collections::BTreeMap<u64, usize> =
                due.iter().fold(Default::default(), |mut all, due| {
                    *all.entry(second(due.due_at, now)).or_default() += 1;
                    all
                });
            let fewest: usize = of_seconds.values().map(|count| count.div_ceil(MAX_TICK_PLAYERS)).sum();
            prop_assert_eq!(ticks.len(), fewest);
        }
    }
}
