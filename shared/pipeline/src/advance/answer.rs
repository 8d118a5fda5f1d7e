//! How far a run came.

use millrace_domain::Timestamp;
use serde::Serialize;

use super::{due::DueQueues, ticks::TickError};
use crate::{report::Report, status::Failure};

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
    /// Of these: all others, whose tick could not be sent or that could not be advanced, by the deadline too.
    pub failed: u64,
    /// Messages sent.
    pub messages: u64,
    /// Messages sent again, since they were not taken the first time.
    pub retried_messages: u64,
    /// Queues taken out of the index, or to their next moment, by a write of their own.
    pub settled: u64,
    /// Queues for which that write failed: they stay in the index, and the next run takes them up again.
    pub unsettled: u64,
    /// Round trips.
    pub calls: Calls,
    /// Whether nothing is left for the next run.
    pub done: bool,
    /// Everything due before this was taken up and tried; none where some shard was not read at all, or
    /// had the very first row left over.
    pub up_to: Option<Timestamp>,
    /// The shards that could not be read to their end.
    pub errors: Vec<ShardError>,
    /// Why ticks were not sent, where some were not; the first reason.
    #[serde(serialize_with = "error_of_ticks", skip_serializing_if = "Option::is_none")]
    pub send_error: Option<TickError>,
    /// Why queues were not advanced here, where some were not; the first reason.
    #[serde(skip)]
    pub(super) failure: Option<Failure>,
    /// The oldest due moment of what was taken up and not reached before the run ended.
    #[serde(skip)]
    left: Option<Timestamp>,
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
    error.as_ref().map(|error| Shown { error: error.reason.code(), detail: &error.detail }).serialize(serializer)
}

impl AdvanceReport {
    /// A run that has done nothing yet.
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            due: 0,
            ticks: 0,
            failed: 0,
            messages: 0,
            retried_messages: 0,
            settled: 0,
            unsettled: 0,
            calls: Calls::default(),
            done: false,
            up_to: None,
            errors: Vec::new(),
            send_error: None,
            failure: None,
            left: None,
        }
    }

    /// What is due at this moment was taken up, and the run has to end without it.
    pub(super) fn leave(&mut self, due_at: Timestamp) {
        self.left = Some(self.left.map_or(due_at, |left| left.min(due_at)));
    }

    /// Whether something that was taken up is left.
    pub(super) fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// The run has ended, maybe before everything of `due` was taken up.
    pub(super) fn finish(&mut self, due: &DueQueues<'_>) {
        self.calls.due = due.calls();
        self.errors = due.errors();
        self.up_to = due.taken_before().map(|taken| self.left.map_or(taken, |left| left.min(taken)));
        let all = !due.is_cut() && !self.has_left() && self.errors.is_empty();
        self.done = all && self.failed == 0 && self.unsettled == 0;
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
            unsettled = advance.unsettled,
            due_calls = advance.calls.due,
            ticks_calls = advance.calls.ticks,
            done = advance.done,
            up_to = advance.up_to.map(tracing::field::display),
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
