//! Finds the queues with something due, by the index and never by a scan, and has them advanced.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`due`] | what is due in all shards, merged: the oldest first |
//! | [`ticks`] | the port of the queue that ticks go to, and ticks as messages |
//! | [`send`] | sends ticks for what comes due until after the next run, each to arrive at its second |
//! | [`direct`] | without a ticks queue: advances what is due through the pipeline |
//! | [`answer`] | how far a run came |
//!
//! A run holds a page of each shard and what it is about to send or to advance, however much is due. What
//! it does not get to before its deadline is still due for the next one, and comes first there. Two runs at
//! once do the same work twice, and a tick that finds nothing due changes nothing.

pub mod answer;
pub mod direct;
pub mod due;
pub mod send;
pub mod ticks;

pub use answer::{AdvanceReport, Advanced, Calls, Mode, ShardError};
pub use ticks::{MAX_TICKS, TickError, TickMessage, TicksQueue};

use std::time::Instant;

use due::DueQueues;

use crate::{
    report::{CommandCounts, Figures},
    service::{Invocation, Service},
};

/// A run that could do nothing at all, so that whoever invoked it, and its alarms, have to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvanceError {
    /// No shard of the index could be read.
    #[error("the index of what is due cannot be read; the first error: {detail}")]
    IndexUnreadable {
        /// Why the first shard could not be read.
        detail: String,
    },
    /// No tick could be sent.
    #[error("none of the ticks for {due} queues could be sent; the first error: {detail}")]
    TicksNotSent {
        /// How many queues were to be advanced.
        due: u64,
        /// Why the first call failed.
        detail: String,
    },
    /// No queue could be advanced.
    #[error("none of the {due} queues with something due could be advanced; the first error: {detail}")]
    NothingAdvanced {
        /// How many queues were to be advanced.
        due: u64,
        /// Why the first of them failed.
        detail: String,
    },
}

impl AdvanceError {
    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::IndexUnreadable { .. } => "IndexUnreadable",
            Self::TicksNotSent { .. } => "TicksNotSent",
            Self::NothingAdvanced { .. } => "NothingAdvanced",
        }
    }
}

impl Service {
    /// Has all queues advanced that have something due: by `ticks`, those too that come due until after the
    /// next run; without, here and now, those that are due by now.
    ///
    /// # Errors
    /// [`AdvanceError`] where nothing at all could be done. Anything less is in the answer.
    pub async fn advance(
        &self,
        ticks: Option<&dyn TicksQueue>,
        invocation: &Invocation,
    ) -> Result<Advanced, AdvanceError> {
        let started = Instant::now();
        let (now, deadline) = (self.clock.now(), self.deadline(invocation));
        let mut figures = Figures::default();
        let until = if ticks.is_some() { now + self.settings.look_ahead } else { now };
        let mut due = DueQueues::new(self.store.as_ref(), until, deadline);
        let (mut report, players) = match ticks {
            Some(ticks) => (self.send_ticks(ticks, &mut due, deadline).await, 0),
            None => self.advance_due(&mut due, invocation, deadline, &mut figures).await,
        };
        report.finish(&due);
        let advanced = Advanced {
            report: self.report(invocation, started, &figures, CommandCounts::default(), players),
            advance: report,
        };
        self.share(&advanced.report);
        if let Some(error) = failure(&advanced.advance, due.shards()) {
            tracing::error!(error_type = error.error_type(), %error, "nothing was advanced");
            return Err(error);
        }
        advanced.log();
        Ok(advanced)
    }
}

/// Whether a run could do nothing at all.
fn failure(report: &AdvanceReport, shards: usize) -> Option<AdvanceError> {
    let due = report.due;
    if let Some(first) = report.errors.first().filter(|_| report.errors.len() == shards && due == 0) {
        return Some(AdvanceError::IndexUnreadable { detail: first.detail.clone() });
    }
    if report.ticks > 0 {
        return None;
    }
    if let Some(first) = &report.send_error {
        return Some(AdvanceError::TicksNotSent { due, detail: first.to_string() });
    }
    let first = report.failure.as_ref()?;
    Some(AdvanceError::NothingAdvanced { due, detail: format!("{}: {}", first.code, first.detail) })
}
