//! Ticks for due queues, sent to a fake ticks queue that stores messages or fails.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use millrace_domain::{
    FailureReason, PlayerId,
    json::{self, Message},
};
use millrace_due::{AdvanceError, Advanced, Mode, TickMessage, TicksQueue};
use millrace_pipeline::Failure;
use millrace_simulation::{Process, invocation, queue_tasks};
use millrace_store::DUE_SHARDS;

const SHARDS: u64 = DUE_SHARDS as u64;

/// A ticks queue that stores the messages and fails on demand.
#[derive(Default)]
struct FakeTicksQueue {
    /// The players and the delay in seconds of each accepted message.
    accepted: Mutex<Vec<(Vec<PlayerId>, u32)>>,
    calls: AtomicU64,
    /// Fails single messages.
    message_fault: Option<MessageFault>,
    /// Fails whole calls.
    call_fault: Option<CallFault>,
}

/// Returns the error of a message, given the number of the call and the index in the call.
type MessageFault = fn(u64, usize) -> Option<Failure>;

/// Returns the error of a call, given its number.
type CallFault = fn(u64) -> Option<Failure>;

fn tick_error(is_retryable: bool) -> Failure {
    let reason = if is_retryable { FailureReason::TicksThrottled } else { FailureReason::TicksRefused };
    Failure::new(reason, "simulated")
}

#[async_trait]
impl TicksQueue for FakeTicksQueue {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!((1..=10).contains(&messages.len()));
        if let Some(error) = self.call_fault.and_then(|fault| fault(call)) {
            return Err(error);
        }
        let outcome = |(index, message): (usize, &TickMessage<'_>)| {
            if let Some(error) = self.message_fault.and_then(|fault| fault(call, index)) {
                return Err(error);
            }
            let Ok(Message::Tick(players)) = json::parse_message(message.body) else {
                panic!("not a tick: {message:?}")
            };
            self.accepted.lock().unwrap().push((players, message.delay_seconds));
            Ok(())
        };
        Ok(messages.iter().enumerate().map(outcome).collect())
    }
}

impl FakeTicksQueue {
    /// The number of players whose tick has each delay, by seconds of delay.
    fn players_by_delay(&self) -> BTreeMap<u32, usize> {
        let mut delays = BTreeMap::new();
        for (players, delay) in self.accepted.lock().unwrap().iter() {
            *delays.entry(*delay).or_default() += players.len();
        }
        delays
    }

    fn players(&self) -> Vec<PlayerId> {
        self.accepted.lock().unwrap().iter().flat_map(|(players, _)| players.clone()).collect()
    }
}

#[tokio::test]
async fn ticks_are_delayed_to_the_second_at_which_a_queue_is_due() {
    let rows = Process::new();
    // 250 queues are due now, 250 in half a second, 250 in 64.9 s, and 250 after the look-ahead of
    // 65 s.
    queue_tasks(&rows, 1_000, |index| [1, 500, 64_900, 65_400][index / 250] + 100).await;
    rows.advance_clock(101);
    let ticks = FakeTicksQueue::default();
    let Advanced { advance, report } = rows.advance(Some(&ticks), &invocation(10)).await.unwrap();
    assert_eq!(ticks.players_by_delay(), BTreeMap::from([(0, 250), (1, 250), (65, 250)]));
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.messages), (Mode::Ticks, 750, 750, 9));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.done), (SHARDS, 1, true));
    assert_eq!((report.players, report.commits.calls, report.loads.calls), (0, 0, 0));
    assert_eq!(ticks.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_refused_messages_are_sent_again() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |_| 1).await;
    rows.advance_clock(10);
    let ticks = FakeTicksQueue {
        message_fault: Some(|call, index| (call < 2 && index % 3 == 0).then(|| tick_error(true))),
        ..FakeTicksQueue::default()
    };
    let advance = rows.advance(Some(&ticks), &invocation(10)).await.unwrap().advance;
    // Twenty messages are sent in two calls. Messages 0, 3, 6 and 9 of each call fail, and two more
    // calls send them again.
    assert_eq!((advance.ticks, advance.messages, advance.retried_messages), (2_000, 20, 8));
    assert_eq!((advance.calls.ticks, advance.failed, advance.done), (4, 0, true));
    assert_eq!(advance.send_error, None);
    let mut players = ticks.players();
    players.sort();
    players.dedup();
    assert_eq!(players.len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn message_that_always_fails_does_not_affect_other_messages() {
    for is_retryable in [true, false] {
        let rows = Process::new();
        queue_tasks(&rows, 200, |index| 1 + 2_000 * (index as u64 / 100)).await;
        rows.advance_clock(10);
        // A failed message is the first of the next call, so the same message fails each time.
        let message_fault: MessageFault = match is_retryable {
            true => |_, index| (index == 0).then(|| tick_error(true)),
            false => |_, index| (index == 0).then(|| tick_error(false)),
        };
        let ticks = FakeTicksQueue { message_fault: Some(message_fault), ..FakeTicksQueue::default() };
        let advance = rows.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
        assert_eq!((advance.ticks, advance.failed, advance.done), (100, 100, false), "{advance:?}");
        assert_eq!(advance.calls.ticks, if is_retryable { 5 } else { 1 });
        assert_eq!(advance.send_error, Some(tick_error(is_retryable)));
    }
}

#[tokio::test(start_paused = true)]
async fn run_fails_if_no_tick_can_be_sent() {
    let rows = Process::new();
    queue_tasks(&rows, 3, |_| 1).await;
    rows.advance_clock(10);
    let cases: [(CallFault, u64, &str); 2] = [
        (|_| Some(tick_error(true)), 5, "ticks_throttled: simulated"),
        (|_| Some(tick_error(false)), 1, "ticks_refused: simulated"),
    ];
    for (call_fault, calls, detail) in cases {
        let ticks = FakeTicksQueue { call_fault: Some(call_fault), ..FakeTicksQueue::default() };
        let failed = rows.advance(Some(&ticks), &invocation(60)).await.unwrap_err();
        assert_eq!(failed, AdvanceError::TicksNotSent { due: 3, detail: detail.to_owned() });
        assert_eq!((failed.error_type(), ticks.calls.load(Ordering::Relaxed)), ("TicksNotSent", calls));
    }
    let ticks =
        FakeTicksQueue { call_fault: Some(|call| (call < 3).then(|| tick_error(true))), ..FakeTicksQueue::default() };
    let advance = rows.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
    assert_eq!((advance.ticks, advance.calls.ticks, advance.done), (3, 4, true));
}
