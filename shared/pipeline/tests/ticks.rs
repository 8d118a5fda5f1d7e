//! Ticks for what comes due, through a queue that keeps them or fails.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use millrace_domain::{
    PlayerId,
    json::{self, Message},
};
use millrace_pipeline::{AdvanceError, Advanced, TickError, TickMessage, TicksQueue, advance::Mode};
use millrace_store::DUE_SHARDS;
use support::{Process, invocation, queue_tasks};

const SHARDS: u64 = DUE_SHARDS as u64;

/// A ticks queue that keeps what is sent, and fails as it is told.
#[derive(Default)]
struct Ticks {
    /// Players and delay of each message that was taken.
    taken: Mutex<Vec<(Vec<PlayerId>, u32)>>,
    calls: AtomicU64,
    /// Fails a message by the number of its call and its place in it.
    fault: Option<fn(u64, usize) -> Option<TickError>>,
    /// Fails a call by its number.
    call_fault: Option<fn(u64) -> Option<TickError>>,
}

fn error(passing: bool) -> TickError {
    TickError { code: "refused", detail: "no".into(), passing }
}

#[async_trait]
impl TicksQueue for Ticks {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), TickError>>, TickError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!((1..=10).contains(&messages.len()));
        if let Some(error) = self.call_fault.and_then(|fault| fault(call)) {
            return Err(error);
        }
        let outcome = |(at, message): (usize, &TickMessage<'_>)| {
            if let Some(error) = self.fault.and_then(|fault| fault(call, at)) {
                return Err(error);
            }
            let Ok(Message::Tick(players)) = json::parse_message(message.body) else { panic!("no tick: {message:?}") };
            self.taken.lock().unwrap().push((players, message.delay_seconds));
            Ok(())
        };
        Ok(messages.iter().enumerate().map(outcome).collect())
    }
}

impl Ticks {
    /// How many players get a tick after each delay.
    fn by_delay(&self) -> BTreeMap<u32, usize> {
        let mut delays = BTreeMap::new();
        for (players, delay) in self.taken.lock().unwrap().iter() {
            *delays.entry(*delay).or_default() += players.len();
        }
        delays
    }

    fn players(&self) -> Vec<PlayerId> {
        self.taken.lock().unwrap().iter().flat_map(|(players, _)| players.clone()).collect()
    }
}

#[tokio::test]
async fn ticks_are_sent_for_the_second_at_which_a_queue_is_due_past_the_next_run() {
    let rows = Process::new();
    // 250 due already, 250 in half a second, 250 in 64.9 s, 250 beyond the look-ahead of 65 s.
    queue_tasks(&rows, 1_000, |at| [1, 500, 64_900, 65_400][at / 250] + 100).await;
    rows.wait(101);
    let ticks = Ticks::default();
    let Advanced { advance, report } = rows.service.advance(Some(&ticks), &invocation(10)).await.unwrap();
    assert_eq!(ticks.by_delay(), BTreeMap::from([(0, 250), (1, 250), (65, 250)]));
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.messages), (Mode::Ticks, 750, 750, 9));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.done), (SHARDS, 1, true));
    assert_eq!((report.players, report.commits.calls, report.loads.calls), (0, 0, 0));
    assert_eq!(ticks.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn messages_that_are_not_taken_are_sent_again_and_no_others() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |_| 1).await;
    rows.wait(10);
    let ticks = Ticks { fault: Some(|call, at| (call < 2 && at % 3 == 0).then(|| error(true))), ..Ticks::default() };
    let advance = rows.service.advance(Some(&ticks), &invocation(10)).await.unwrap().advance;
    // Twenty messages in two calls, of which 0, 3, 6 and 9 come again; the two calls for them go well.
    assert_eq!((advance.ticks, advance.messages, advance.retried_messages), (2_000, 20, 8));
    assert_eq!((advance.calls.ticks, advance.failed, advance.done), (4, 0, true));
    assert_eq!(advance.send_error, None);
    let mut players = ticks.players();
    players.sort();
    players.dedup();
    assert_eq!(players.len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_never_taken_is_given_up_and_harms_no_other() {
    for passing in [true, false] {
        let rows = Process::new();
        queue_tasks(&rows, 200, |at| 1 + 2_000 * (at as u64 / 100)).await;
        rows.wait(10);
        // Always the first of a call: a message that is left over comes first in the next one.
        let fault: fn(u64, usize) -> Option<TickError> = match passing {
            true => |_, at| (at == 0).then(|| error(true)),
            false => |_, at| (at == 0).then(|| error(false)),
        };
        let ticks = Ticks { fault: Some(fault), ..Ticks::default() };
        let advance = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
        assert_eq!((advance.ticks, advance.failed, advance.done), (100, 100, false), "{advance:?}");
        assert_eq!(advance.calls.ticks, if passing { 5 } else { 1 });
        assert_eq!(advance.send_error.unwrap().code, "refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_ends_the_run_with_an_error() {
    let rows = Process::new();
    queue_tasks(&rows, 3, |_| 1).await;
    rows.wait(10);
    for (call_fault, calls) in
        [((|_| Some(error(true))) as fn(u64) -> Option<TickError>, 5), (|_| Some(error(false)), 1)]
    {
        let ticks = Ticks { call_fault: Some(call_fault), ..Ticks::default() };
        let failed = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap_err();
        assert_eq!(failed, AdvanceError::TicksNotSent { due: 3, detail: "refused: no".to_owned() });
        assert_eq!((failed.error_type(), ticks.calls.load(Ordering::Relaxed)), ("TicksNotSent", calls));
    }
    let ticks = Ticks { call_fault: Some(|call| (call < 3).then(|| error(true))), ..Ticks::default() };
    let advance = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
    assert_eq!((advance.ticks, advance.calls.ticks, advance.done), (3, 4, true));
}
