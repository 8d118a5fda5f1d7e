//! What the steps of an invocation count.

use std::time::Duration;

use millrace_cache::{DataKind, Hit, PerKind, Tier};
use millrace_store::WriteStatistics;
use millrace_telemetry::Usage;
use serde::{Serialize, Serializer};

use crate::lateness::Lateness;

/// What the steps of an invocation count.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Cache lookups.
    pub cache: CacheCounters,
    /// Reads of the table.
    pub loads: Loads,
    /// Conditional writes.
    pub commits: Commits,
    /// Stale due entries that were corrected.
    pub due_entries_corrected: u64,
    /// Stale due entries that could not be corrected.
    pub due_entries_left: u64,
    /// How late timed completions were committed.
    pub lateness: Lateness,
    /// Attempts that failed by a lost heartbeat or a time-out.
    pub attempts_timed_out: u64,
    /// Records written in batches.
    pub writes: WriteStatistics,
    /// Events.
    pub events: EventCounters,
    /// Requests to queues and event buses, and HTTP requests.
    pub usage: Usage,
    /// How long each step took.
    pub steps: StepTimes,
}

/// Reads of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Loads {
    /// Round trips.
    pub calls: u64,
}

/// Conditional writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Commits {
    /// Queues committed.
    pub committed: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Round trips.
    pub calls: u64,
}

/// Events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EventCounters {
    /// Events that every destination accepted.
    pub published: u64,
    /// Round trips to event buses and queues. Rows of the events table count as writes.
    pub calls: u64,
    /// Events of commits that some destination did not accept.
    #[serde(skip)]
    pub failed: u64,
}

/// How long each step took, over all its rounds; in JSON in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StepTimes {
    /// The payload into items by player.
    #[serde(serialize_with = "as_millis")]
    pub decode: Duration,
    /// Queues from the caches and the table.
    #[serde(serialize_with = "as_millis")]
    pub load: Duration,
    /// The domain.
    #[serde(serialize_with = "as_millis")]
    pub apply: Duration,
    /// Conditional writes.
    #[serde(serialize_with = "as_millis")]
    pub commit: Duration,
    /// Records.
    #[serde(serialize_with = "as_millis")]
    pub record: Duration,
    /// Events.
    #[serde(serialize_with = "as_millis")]
    pub publish: Duration,
    /// Changed queues into the caches.
    #[serde(serialize_with = "as_millis")]
    pub refresh: Duration,
}

/// Cache lookups, one a player.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheCounters {
    /// Found in the local cache.
    pub local: PerKind<u64>,
    /// Found in the shared cache.
    pub redis: PerKind<u64>,
    /// Found in neither.
    pub misses: u64,
    /// Errors of the shared cache.
    pub shared_errors: SharedErrors,
}

/// Errors of the shared cache, by the kind of the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SharedErrors {
    /// Lookups.
    pub get: u64,
    /// Copies put and removed.
    pub put: u64,
}

impl SharedErrors {
    /// All of them.
    pub fn total(self) -> u64 {
        self.get + self.put
    }
}

impl CacheCounters {
    /// Counts one lookup.
    pub fn count(&mut self, found: Option<&Hit>) {
        let Some(Hit { copy, tier }) = found else {
            self.misses += 1;
            return;
        };
        let hits = match tier {
            Tier::Local => &mut self.local,
            Tier::Redis => &mut self.redis,
        };
        hits[DataKind::of(&copy.cached)] += 1;
    }
}

/// The sum over all kinds.
pub fn sum_of_kinds(counts: &PerKind<u64>) -> u64 {
    DataKind::ALL.into_iter().map(|kind| counts[kind]).sum()
}

/// A duration in milliseconds, with three decimals.
pub fn millis(duration: Duration) -> f64 {
    thousandths(duration.as_secs_f64() * 1000.0)
}

/// Rounds to three decimals: more would be noise.
pub fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(*duration))
}
