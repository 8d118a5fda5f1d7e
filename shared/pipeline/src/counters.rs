//! What the steps of an invocation count.

use std::time::Duration;

use millrace_cache::Tier;
use millrace_store::WriteStatistics;

use crate::lateness::Lateness;

/// What the steps of an invocation count.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Cache lookups.
    pub cache: CacheCounters,
    /// Round trips to read rows.
    pub load_calls: u64,
    /// Queues committed.
    pub committed: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Round trips to commit.
    pub commit_calls: u64,
    /// Stale due entries that were corrected.
    pub due_entries_corrected: u64,
    /// Stale due entries that could not be corrected.
    pub due_entries_left: u64,
    /// How late timed completions were committed.
    pub lateness: Lateness,
    /// Records written in batches.
    pub writes: WriteStatistics,
    /// How long each step took.
    pub steps: StepTimes,
}

/// How long each step took, over all its rounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// The payload into items by player.
    pub decode: Duration,
    /// Queues from the caches and the table.
    pub load: Duration,
    /// The domain.
    pub apply: Duration,
    /// Conditional writes.
    pub commit: Duration,
    /// Records.
    pub record: Duration,
    /// Changed queues into the caches.
    pub refresh: Duration,
}

/// Cache lookups, one a player.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheCounters {
    /// Found in the local cache.
    pub local: u64,
    /// Found in the shared cache.
    pub redis: u64,
    /// Found in neither.
    pub misses: u64,
    /// Errors of the shared cache.
    pub shared_errors: u64,
}

impl CacheCounters {
    /// Counts one lookup.
    pub fn count(&mut self, found: Option<Tier>) {
        match found {
            Some(Tier::Local) => self.local += 1,
            Some(Tier::Redis) => self.redis += 1,
            None => self.misses += 1,
        }
    }
}
