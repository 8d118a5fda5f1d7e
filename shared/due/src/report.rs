//! The report of a run: how far it came.

use millrace_domain::Timestamp;
use millrace_pipeline::{Failure, Report};
use millrace_telemetry::{Breakdown, Metric, Record};
use serde::Serialize;

use crate::due_queues::{DueQueues, ShardError};

/// What a run answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    /// How far it came.
    pub advance: AdvanceReport,
    /// What it took.
    pub report: Report,
}

/// How queues are advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Ticks are sent.
    #[default]
    Ticks,
    /// The run advances the queues itself.
    Direct,
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvanceReport {
    /// How queues are advanced.
    pub mode: Mode,
    /// Queues found with something due.
    pub due: u64,
    /// Of these: queues whose tick was sent, or that were advanced.
    pub ticks: u64,
    /// Of these: queues whose tick could not be sent, or that could not be advanced, before the
    /// deadline.
    pub failed: u64,
    /// Messages sent.
    pub messages: u64,
    /// Messages sent more than once.
    pub retried_messages: u64,
    /// Stale due entries that were corrected by a second write.
    pub settled: u64,
    /// Stale due entries for which that write failed. The next run finds them again.
    pub unsettled: u64,
    /// Round trips.
    pub calls: Calls,
    /// Whether nothing is left for the next run.
    pub done: bool,
    /// Everything due before this was tried; null where some shard was not read at all, or its
    /// first row was left.
    pub up_to: Option<Timestamp>,
    /// The shards of the index that could not be read to their end.
    pub errors: Vec<ShardError>,
    /// The first reason why a tick was not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_error: Option<Failure>,
    /// The first reason why a queue was not advanced.
    #[serde(skip)]
    pub(crate) failure: Option<Failure>,
    /// The oldest due moment of what was found and not reached before the run ended.
    #[serde(skip)]
    left: Option<Timestamp>,
}

/// Round trips of a run, without those of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Calls {
    /// To read the due index: one for each shard and page.
    pub due: u64,
    /// To send ticks.
    pub ticks: u64,
}

impl AdvanceReport {
    /// A run that has done nothing yet.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// What is due at this moment was found, and the run has to end without it.
    pub(crate) fn leave(&mut self, due_at: Timestamp) {
        self.left = Some(self.left.map_or(due_at, |left| left.min(due_at)));
    }

    /// Whether something that was found is left.
    pub(crate) fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// The run has ended, possibly before everything in `due` was found.
    pub(crate) fn finish(&mut self, due: &DueQueues<'_>) {
        self.calls.due = due.calls();
        self.errors = due.errors();
        self.up_to = due.taken_before().map(|taken| self.left.map_or(taken, |left| left.min(taken)));
        let all = !due.is_cut() && !self.has_left() && self.errors.is_empty();
        self.done = all && self.failed == 0 && self.unsettled == 0;
    }
}

impl Advanced {
    /// Adds the run to the record of its invocation.
    pub(crate) fn measure(&self, record: &mut Record) {
        let AdvanceReport { mode, due, ticks, failed, messages, settled, unsettled, done, .. } = &self.advance;
        record.add(Metric::Ticks, *ticks);
        for (name, value) in [
            ("due", *due),
            ("failed", *failed),
            ("messages", *messages),
            ("settled", *settled),
            ("unsettled", *unsettled),
            ("shard_errors", self.advance.errors.len() as u64),
        ] {
            record.add_part(Breakdown::Advance, name, value as f64);
        }
        let mode = match mode {
            Mode::Ticks => "ticks sent",
            Mode::Direct => "advanced",
        };
        if let Some(up_to) = self.advance.up_to {
            record.add_text("up_to", up_to.to_string());
        }
        let rest = if *done { "nothing left" } else { "not done" };
        record.set_message(format!("advanced: {due} queues due, {ticks} {mode}, {failed} failed; {rest}"));
    }
}
