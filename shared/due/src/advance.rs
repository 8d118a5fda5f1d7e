//! One run of `advance-queues`.

use std::time::Duration;

use millrace_performance::Kind;
use millrace_pipeline::{
    Context, Invocation, Platform, counters::Counters, report::CommandOutcomes, report_builder::build_report,
    watch::watch_thresholds,
};

use crate::{
    direct::advance_due,
    due_queues::DueQueues,
    report::{AdvanceReport, Advanced},
    send::send_ticks,
    ticks::TicksQueue,
};

/// Where ticks are sent.
#[derive(Clone, Copy)]
pub struct TickTarget<'a> {
    /// The queue.
    pub queue: &'a dyn TicksQueue,
    /// How far ahead ticks are sent: beyond the next run.
    pub look_ahead: Duration,
}

/// A run that could do nothing at all. It fails, so that its alarms ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvanceError {
    /// No shard of the due index could be read.
    #[error("the due index cannot be read; the first error: {detail}")]
    IndexUnreadable {
        /// Why the first shard could not be read.
        detail: String,
    },
    /// No tick could be sent.
    #[error("none of the ticks for {due} queues could be sent; the first error: {detail}")]
    TicksNotSent {
        /// How many queues are due.
        due: u64,
        /// Why the first call failed.
        detail: String,
    },
    /// No queue could be advanced.
    #[error("none of the {due} queues with something due could be advanced; the first error: {detail}")]
    NothingAdvanced {
        /// How many queues are due.
        due: u64,
        /// Why the first of them failed.
        detail: String,
    },
}

impl AdvanceError {
    /// The stable name of the error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::IndexUnreadable { .. } => "IndexUnreadable",
            Self::TicksNotSent { .. } => "TicksNotSent",
            Self::NothingAdvanced { .. } => "NothingAdvanced",
        }
    }
}

/// Has all queues advanced that have something due. With a tick target, by ticks, and also those
/// that come due before the next run. Without one, here and now, those that are due by now.
///
/// # Errors
/// [`AdvanceError`] where nothing at all could be done. Anything less is in the answer.
pub async fn advance(
    platform: &Platform,
    ticks: Option<TickTarget<'_>>,
    invocation: &Invocation,
) -> Result<Advanced, AdvanceError> {
    let ctx = Context::new(platform, invocation);
    let mut counters = Counters::default();
    let until = ctx.now + ticks.map_or(Duration::ZERO, |ticks| ticks.look_ahead);
    let mut due = DueQueues::new(platform.store.as_ref(), until, ctx.deadline);
    let (mut report, players) = match ticks {
        Some(TickTarget { queue, .. }) => (send_ticks(&ctx, queue, &mut due).await, 0),
        None => advance_due(&ctx, &mut due, &mut counters).await,
    };
    report.finish(&due);
    counters.usage.standard_requests += report.calls.ticks;
    let advanced =
        Advanced { report: build_report(&ctx, &counters, CommandOutcomes::default(), players), advance: report };
    platform.share_report(Kind::Runs, &advanced.report);
    invocation.record.update(|record| advanced.measure(record));
    // The only function that runs each minute whatever happens.
    watch_thresholds(&ctx).await;
    if let Some(error) = error_of(&advanced.advance, due.shards()) {
        tracing::error!(error_type = error.error_type(), %error, "no queue was advanced");
        return Err(error);
    }
    Ok(advanced)
}

/// The error of a run that could do nothing at all.
fn error_of(report: &AdvanceReport, shards: usize) -> Option<AdvanceError> {
    let due = report.due;
    if let Some(first) = report.errors.first().filter(|_| report.errors.len() == shards && due == 0) {
        return Some(AdvanceError::IndexUnreadable { detail: first.failure.detail.to_string() });
    }
    if report.ticks > 0 {
        return None;
    }
    if let Some(first) = &report.send_error {
        return Some(AdvanceError::TicksNotSent { due, detail: first.to_string() });
    }
    let first = report.failure.as_ref()?;
    Some(AdvanceError::NothingAdvanced { due, detail: first.to_string() })
}
