//! Sends ticks for what comes due until after the next run, each to arrive at its second.

use std::time::Duration;

use futures::{StreamExt, stream};
use millrace_domain::{FailureReason, Timestamp};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    answer::{AdvanceReport, Mode},
    due::DueQueues,
    ticks::{MAX_TICK_PLAYERS, MAX_TICKS, Tick, TickError, TickMessage, TicksQueue, calls, ticks},
};
use crate::service::Service;

/// How often a message is sent that is refused for the moment.
const MAX_TRIES: u32 = 5;
/// The first wait is at most so long; the following ones up to twice as long each.
const BASE_WAIT: Duration = Duration::from_millis(50);

/// What became of the ticks of one call, over all its tries.
#[derive(Debug, Default)]
struct Sent {
    calls: u64,
    messages: u64,
    players: u64,
    retried: u64,
    /// Ticks that were not sent, with the last error.
    failed: u64,
    error: Option<TickError>,
    /// The oldest due moment of those that the deadline kept from being sent.
    left: Option<Timestamp>,
}

impl Service {
    /// Sends ticks for all that `due` holds. Ends early where no time is left, or nothing can be sent.
    pub(super) async fn send_ticks(
        &self,
        queue: &dyn TicksQueue,
        due: &mut DueQueues<'_>,
        deadline: Instant,
    ) -> AdvanceReport {
        let mut report = AdvanceReport::new(Mode::Ticks);
        // As much as is sent at once.
        let wave = self.settings.concurrency * MAX_TICKS * MAX_TICK_PLAYERS;
        loop {
            let found = due.take(wave).await;
            let Some(begun) = found.first().map(|first| first.due_at) else { break };
            report.due += found.len() as u64;
            let ticks = ticks(&found, self.clock.now());
            drop(found);
            let sends: Vec<_> = calls(&ticks).into_iter().map(|call| self.send_call(queue, call, deadline)).collect();
            let sent: Vec<Sent> = stream::iter(sends).buffer_unordered(self.settings.concurrency).collect().await;
            let mut some = false;
            for sent in sent {
                report.calls.ticks += sent.calls;
                report.messages += sent.messages;
                report.retried_messages += sent.retried;
                report.ticks += sent.players;
                report.failed += sent.failed;
                report.send_error = report.send_error.or(sent.error);
                some |= sent.messages > 0;
                if let Some(due_at) = sent.left {
                    report.leave(due_at);
                }
            }
            if !some {
                report.leave(begun);
            }
            if report.has_left() || Instant::now() >= deadline {
                break;
            }
        }
        report
    }

    /// Sends the ticks of one call, and again those that were not taken.
    async fn send_call(&self, queue: &dyn TicksQueue, call: &[Tick], deadline: Instant) -> Sent {
        let mut sent = Sent::default();
        let mut open: Vec<&Tick> = call.iter().collect();
        for tries in 1..=MAX_TRIES {
            if Instant::now() >= deadline {
                sent.error = Some(TickError::deadline());
                break;
            }
            // The delays follow from when they are sent.
            let now = self.clock.now();
            let messages: Vec<_> = open
                .iter()
                .map(|tick| TickMessage { body: &tick.body, delay_seconds: tick.delay_seconds(now) })
                .collect();
            sent.calls += 1;
            sent.retried += if tries > 1 { messages.len() as u64 } else { 0 };
            let outcome = timeout_at(deadline, queue.send(&messages)).await.unwrap_or(Err(TickError::deadline()));
            drop(messages);
            match outcome {
                Ok(results) => {
                    let mut left = Vec::new();
                    // An answer that leaves some out says nothing of them: they are sent again.
                    let unknown = || Err(TickError::unanswered());
                    for (tick, result) in
                        open.into_iter().zip(results.into_iter().chain(std::iter::repeat_with(unknown)))
                    {
                        match result {
                            Ok(()) => {
                                sent.messages += 1;
                                sent.players += tick.players;
                            }
                            Err(error) if error.reason.is_passing() => {
                                left.push(tick);
                                sent.error = Some(error);
                            }
                            Err(error) => {
                                sent.failed += tick.players;
                                sent.error = Some(error);
                            }
                        }
                    }
                    open = left;
                }
                Err(error) => {
                    let passing = error.reason.is_passing();
                    sent.error = Some(error);
                    if !passing {
                        break;
                    }
                }
            }
            if open.is_empty() {
                break;
            }
            if tries < MAX_TRIES {
                let longest = BASE_WAIT * 2_u32.pow(tries - 1);
                sleep_until((Instant::now() + longest.mul_f64(self.random())).min(deadline)).await;
            }
        }
        sent.failed += open.iter().map(|tick| tick.players).sum::<u64>();
        if sent.failed == 0 {
            sent.error = None;
        } else if let Some(error) = &sent.error {
            if error.reason == FailureReason::Deadline {
                sent.left = open.iter().map(|tick| tick.due_at).min();
            }
            let (ticks, players) = (call.len(), sent.failed);
            tracing::warn!(error = error.reason.code(), detail = %error.detail, ticks, players, "ticks were not sent");
        }
        sent
    }
}
