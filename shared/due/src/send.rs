//! Sends ticks for what comes due before the next run, each to arrive at its second.

use futures::{StreamExt, stream};
use millrace_domain::{FailureReason, json::MAX_TICK_PLAYERS};
use millrace_pipeline::{Context, SendResult, send_call};
use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    due_queues::DueQueues,
    report::{AdvanceReport, Mode},
    ticks::{MAX_TICKS, Tick, TickMessage, TicksQueue, ticks},
};

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
        let sends: Vec<_> = ticks.chunks(MAX_TICKS).map(|call| send_ticks_of_call(ctx, queue, call)).collect();
        let results: Vec<SendResult<&Tick>> = stream::iter(sends).buffer_unordered(concurrency).collect().await;
        let mut sent_some = false;
        for result in results {
            sent_some |= !result.sent.is_empty();
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

fn add(report: &mut AdvanceReport, result: SendResult<&Tick>) {
    report.calls.ticks += result.calls;
    report.messages += result.sent.len() as u64;
    report.retried_messages += result.retried;
    report.ticks += result.sent.iter().map(|tick| tick.players).sum::<u64>();
    for (tick, failure) in result.failed {
        report.failed += tick.players;
        if failure.reason == FailureReason::Deadline {
            report.leave(tick.due_at);
        }
        report.send_error.get_or_insert(failure);
    }
}

/// Sends the ticks of one call.
#[instrument(target = TARGET, name = "send_ticks", level = "info", skip_all)]
async fn send_ticks_of_call<'t>(ctx: &Context<'_>, queue: &dyn TicksQueue, call: &'t [Tick]) -> SendResult<&'t Tick> {
    let send = |ticks: Vec<&'t Tick>| async move {
        // The delays are counted from the moment of the attempt.
        let now = ctx.platform.clock.now();
        let message = |tick: &&'t Tick| TickMessage { body: &tick.body, delay_seconds: tick.delay_seconds(now) };
        queue.send(&ticks.iter().map(message).collect::<Vec<_>>()).await
    };
    let result = send_call(ctx, call.iter().collect(), send).await;
    if let Some((_, failure)) = result.failed.last() {
        let players: u64 = result.failed.iter().map(|(tick, _)| tick.players).sum();
        let (reason, ticks) = (failure.reason.code(), call.len());
        tracing::warn!(reason, detail = %failure.detail, ticks, players, "ticks were not sent");
    }
    result
}
