//! How far a run came.

use millrace_domain::Timestamp;
use serde::Serialize;

use super::ticks::TickError;
use crate::report::Report;

/// What a run answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    /// How far it came.
    pub advance: AdvanceReport,
    /// What it took, as of any invocation.
    pub report: Report,
}

/// How queues are advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// By ticks that are sent.
    Ticks,
    /// Here and now.
    Direct,
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvanceReport {
    /// How queues are advanced.
    pub mode: Mode,
    /// Queues found with something due, and taken up.
    pub due: u64,
    /// Of these: those whose tick was sent, or that were advanced here.
    pub ticks: u64,
    /// Of these: those whose tick could not be sent, or that could not be advanced.
    pub failed: u64,
    /// Messages sent.
    pub messages: u64,
    /// Messages sent again, since they were not taken the first time.
    pub retried_messages: u64,
    /// Queues taken out of the index, or to their next moment, by a write of their own.
    pub settled: u64,
    /// Round trips.
    pub calls: Calls,
    /// Whether nothing is left for the next run.
    pub done: bool,
    /// Everything due before this was taken up, in the shards that could be read.
    pub up_to: Timestamp,
    /// The shards that could not be read.
    pub errors: Vec<ShardError>,
    /// Why ticks were not sent, where some were not; the first reason.
    #[serde(serialize_with = "error_of_ticks", skip_serializing_if = "Option::is_none")]
    pub send_error: Option<TickError>,
    /// Whether it ended before the end.
    #[serde(skip)]
    pub(super) stopped: bool,
    #[serde(skip)]
    until: Timestamp,
}

/// Round trips of a run, those of the pipeline aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Calls {
    /// To read the index of what is due: one a shard and page.
    pub due: u64,
    /// To send ticks.
    pub ticks: u64,
}

/// A shard of the index that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardError {
    /// The shard.
    pub shard: u8,
    /// A stable code.
    pub error: &'static str,
    /// A sentence for people.
    pub detail: String,
}

fn error_of_ticks<S: serde::Serializer>(error: &Option<TickError>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        error: &'static str,
        detail: &'a str,
    }
    error.as_ref().map(|error| Shown { error: error.code, detail: &error.detail }).serialize(serializer)
}

impl AdvanceReport {
    /// A run up to `until` that has done nothing yet.
    pub(super) fn new(mode: Mode, until: Timestamp) -> Self {
        Self {
            mode,
            due: 0,
            ticks: 0,
            failed: 0,
            messages: 0,
            retried_messages: 0,
            settled: 0,
            calls: Calls::default(),
            done: false,
            up_to: until,
            errors: Vec::new(),
            send_error: None,
            stopped: false,
            until,
        }
    }

    /// The run has ended, and maybe before everything was taken up.
    pub(super) fn finish(&mut self, cut: bool) {
        self.done = !cut && !self.stopped && self.failed == 0 && self.errors.is_empty();
        if !cut && !self.stopped {
            self.up_to = self.until;
        }
    }
}

impl Advanced {
    /// One line of figures.
    pub(super) fn log(&self) {
        let Self { advance, report } = self;
        tracing::info!(
            mode = ?advance.mode,
            due = advance.due,
            ticks = advance.ticks,
            failed = advance.failed,
            messages = advance.messages,
            settled = advance.settled,
            due_calls = advance.calls.due,
            ticks_calls = advance.calls.ticks,
            done = advance.done,
            up_to = %advance.up_to,
            shard_errors = advance.errors.len(),
            players = report.players,
            processing_time_ms = report.processing_time_ms,
            cache_lookups = report.cache.lookups,
            cache_hits = report.cache.hits,
            hit_rate = report.cache.hit_rate,
            completions = report.lateness.count,
            lateness_p99_ms = report.lateness.p99_ms,
            commits = report.commits.committed,
            conflicts = report.commits.conflicts,
            writes = report.writes.items,
            round_trips_saved = report.writes.round_trips_saved,
            "advanced"
        );
    }
}
