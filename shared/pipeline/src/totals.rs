//! Totals: figures of the reports of several invocations, added up.

use std::ops::AddAssign;

use serde::Serialize;

use crate::report::{CommandCounts, Report};

/// Figures of the reports of several invocations, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Commands by outcome.
    pub commands: CommandCounts,
    /// Queues looked up.
    pub lookups: u64,
    /// Queues found in the local cache.
    pub local_hits: u64,
    /// Queues found in the shared cache.
    pub redis_hits: u64,
    /// Calls of the shared cache that failed.
    pub redis_errors: u64,
    /// Round trips to read rows.
    pub load_calls: u64,
    /// Queues committed.
    pub committed: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Round trips to commit.
    pub commit_calls: u64,
    /// Records written.
    pub items: u64,
    /// Round trips to write them.
    pub write_calls: u64,
    /// How many more round trips one write for each row would have taken.
    pub round_trips_saved: u64,
}

impl From<&Report> for Totals {
    fn from(report: &Report) -> Self {
        Self {
            commands: report.commands,
            lookups: report.cache.lookups,
            local_hits: report.cache.local.hits,
            redis_hits: report.cache.redis.hits,
            redis_errors: report.cache.redis.errors,
            load_calls: report.loads.calls,
            committed: report.commits.committed,
            conflicts: report.commits.conflicts,
            commit_calls: report.commits.calls,
            items: report.writes.items,
            write_calls: report.writes.calls,
            round_trips_saved: report.writes.round_trips_saved,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.commands += other.commands;
        self.lookups += other.lookups;
        self.local_hits += other.local_hits;
        self.redis_hits += other.redis_hits;
        self.redis_errors += other.redis_errors;
        self.load_calls += other.load_calls;
        self.committed += other.committed;
        self.conflicts += other.conflicts;
        self.commit_calls += other.commit_calls;
        self.items += other.items;
        self.write_calls += other.write_calls;
        self.round_trips_saved += other.round_trips_saved;
    }
}
