//! Sends ticks for what comes due before the next run, each to arrive at its second.

use std::time::Duration;

use futures::{StreamExt, stream};
use millrace_domain::{FailureReason, Timestamp, json::MAX_TICK_PLAYERS};
use millrace_pipeline::{Context, Failure};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    due_queues::DueQueues,
    report::{AdvanceReport, Mode},
    ticks::{MAX_TICKS, Tick, TickMessage, TicksQueue, ticks, unanswered},
};

/// How often a message is sent at most, where the queue refuses it for a passing reason.
const MAX_ATTEMPTS: u32 = 5;
/// Longest wait before the second attempt. It doubles for each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// What became of the ticks of one call, over all its attempts.
#[derive(Debug, Default)]
struct SendResult {
    calls: u64,
    messages: u64,
    players: u64,
    retried: u64,
    /// Players whose ticks were not sent.
    failed: u64,
    /// The last error.
    error: Option<Failure>,
    /// The oldest due moment of the ticks that the deadline kept from being sent.
    left: Option<Timestamp>,
}

/// Sends ticks for everything in `due`. Ends early where no time is left, or nothing can be sent.
pub(crate) async fn send_ticks(ctx: &Context<'_>, queue: &dyn TicksQueue, due: &mut DueQueues<'_>) -> AdvanceReport {
    let mut report = AdvanceReport::new(Mode::Ticks);
    let concurrency = ctx.platform.settings.concurrency;
    let wave = concurrency * MAX_TICKS * MAX_TICK_PLAYERS;
    loop {
        let found = due.take(wave).await;
        let Some(first_due) = found.first().map(|first| first.due_at) else { break };
        report.due += found.len() as u64;
        let ticks = ticks(&found, ctx.platform.clock.now());
        drop(found);
        let sends: Vec<_> = ticks.chunks(MAX_TICKS).map(|call| send_call(ctx, queue, call)).collect();
        let results: Vec<SendResult> = stream::iter(sends).buffer_unordered(concurrency).collect().await;
        let mut sent_some = false;
        for result in results {
            sent_some |= result.messages > 0;
            add(&mut report, result);
        }
        if !sent_some {
            report.leave(first_due);
        }
        if report.has_left() || ctx.is_over() {
            break;
        }
    }
    report
}

fn add(report: &mut AdvanceReport, result: SendResult) {
    report.calls.ticks += result.calls;
    report.messages += result.messages;
    report.retried_messages += result.retried;
    report.ticks += result.players;
    report.failed += result.failed;
    report.send_error = report.send_error.take().or(result.error);
    if let Some(due_at) = result.left {
        report.leave(due_at);
    }
}

/// Sends the ticks of one call, and sends those again that were refused for a passing reason.
async fn send_call(ctx: &Context<'_>, queue: &dyn TicksQueue, call: &[Tick]) -> SendResult {
    let mut result = SendResult::default();
    let mut open: Vec<&Tick> = call.iter().collect();
    for attempt in 1..=MAX_ATTEMPTS {
        if ctx.is_over() {
            result.error = Some(Failure::deadline());
            break;
        }
        let is_final = !send_once(ctx, queue, &mut open, &mut result, attempt > 1).await;
        if is_final || open.is_empty() {
            break;
        }
        if attempt < MAX_ATTEMPTS {
            let ceiling = FIRST_BACKOFF * 2_u32.pow(attempt - 1);
            sleep_until((Instant::now() + ceiling.mul_f64(ctx.platform.random())).min(ctx.deadline)).await;
        }
    }
    result.failed += open.iter().map(|tick| tick.players).sum::<u64>();
    if result.failed == 0 {
        result.error = None;
    } else if let Some(error) = &result.error {
        if error.reason == FailureReason::Deadline {
            result.left = open.iter().map(|tick| tick.due_at).min();
        }
        let (reason, ticks, players) = (error.reason.code(), call.len(), result.failed);
        tracing::warn!(reason, detail = %error.detail, ticks, players, "ticks were not sent");
    }
    result
}

/// Makes one attempt; what may succeed later stays in `open`. Returns false where the whole call
/// failed for a reason that does not pass.
async fn send_once(
    ctx: &Context<'_>,
    queue: &dyn TicksQueue,
    open: &mut Vec<&Tick>,
    result: &mut SendResult,
    is_retry: bool,
) -> bool {
    // The delays are counted from the moment of the attempt.
    let now = ctx.platform.clock.now();
    let messages: Vec<TickMessage<'_>> =
        open.iter().map(|tick| TickMessage { body: &tick.body, delay_seconds: tick.delay_seconds(now) }).collect();
    result.calls += 1;
    result.retried += if is_retry { messages.len() as u64 } else { 0 };
    let answer = timeout_at(ctx.deadline, queue.send(&messages)).await.unwrap_or(Err(Failure::deadline()));
    let results = match answer {
        Ok(results) => results,
        Err(error) => {
            let is_passing = error.reason.is_passing();
            result.error = Some(error);
            return is_passing;
        }
    };
    // An answer that leaves some messages out says nothing about them: they are sent again.
    let results = results.into_iter().chain(std::iter::repeat_with(|| Err(unanswered())));
    let mut retries = Vec::new();
    for (tick, sent) in open.drain(..).zip(results) {
        match sent {
            Ok(()) => {
                result.messages += 1;
                result.players += tick.players;
            }
            Err(error) => {
                match error.reason.is_passing() {
                    true => retries.push(tick),
                    false => result.failed += tick.players,
                }
                result.error = Some(error);
            }
        }
    }
    *open = retries;
    true
}
