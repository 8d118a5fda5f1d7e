//! The report of an invocation, and the figures that the steps count on their way.

use std::{collections::BTreeMap, time::Duration};

use millrace_cache::{CacheStatistics, SharedCacheState, Tier};
use millrace_domain::{Priority, record::Table};
use millrace_store::{Connections, WriteStatistics, batch_writer::Count};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::lateness::{Lateness, LatenessReport};

/// What an invocation took.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The invocation.
    pub request_id: String,
    /// Whether it was the first of its process.
    pub cold_start: bool,
    /// From the event's bytes to the answer, in milliseconds.
    pub processing_time_ms: f64,
    /// Commands by what became of them.
    pub commands: CommandCounts,
    /// Different players.
    pub players: u64,
    /// How late timed completions were seen.
    pub lateness: LatenessReport,
    /// Cache lookups, one a player.
    pub cache: CacheReport,
    /// Queues and progress read from the table.
    pub loads: LoadReport,
    /// Conditional writes.
    pub commits: CommitReport,
    /// Batched records.
    pub writes: WriteReport,
    /// Calls of the store on their way; null where the store has no connections to count.
    pub connections: Option<ConnectionReport>,
    /// Where the time went, in milliseconds.
    pub steps_ms: StepReport,
    /// Memory at the end.
    pub memory: MemoryReport,
    /// What the cache tiers have done since the start of the process.
    pub statistics: CacheStatistics,
}

/// Commands by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CommandCounts {
    /// All of them: the sum of the others.
    pub received: u64,
    /// Took effect.
    pub applied: u64,
    /// Decided before.
    pub duplicate: u64,
    /// Refused for good.
    pub rejected: u64,
    /// To be delivered again.
    pub failed: u64,
    /// Not understood.
    pub malformed: u64,
}

/// Cache lookups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheReport {
    /// Queues looked up.
    pub lookups: u64,
    /// Found in some tier.
    pub hits: u64,
    /// Found in none.
    pub misses: u64,
    /// Hits of lookups, 0 to 1; null where nothing was looked up.
    pub hit_rate: Option<f64>,
    /// The tier inside the process.
    pub local: LocalReport,
    /// The tier that all processes share.
    pub redis: RedisReport,
    /// Whether emergency mode is on, as far as this process knows.
    pub emergency: bool,
}

/// Hits inside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LocalReport {
    /// Found there.
    pub hits: u64,
}

/// Hits in the shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RedisReport {
    /// Found there.
    pub hits: u64,
    /// Calls that failed.
    pub errors: u64,
    /// `up`, `down` or `off`.
    pub state: SharedCacheState,
}

/// Queues and progress read from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Round trips.
    pub calls: u64,
}

/// Conditional writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CommitReport {
    /// Queues committed.
    pub committed: u64,
    /// Writes refused because the version had changed.
    pub conflicts: u64,
    /// Round trips.
    pub calls: u64,
}

/// Batched records.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteReport {
    /// Rows written.
    pub items: u64,
    /// Round trips.
    pub calls: u64,
    /// Rows sent again.
    pub retried_items: u64,
    /// Round trips that one write a row would have taken more.
    pub round_trips_saved: u64,
    /// By table.
    pub by_table: BTreeMap<Table, CountReport>,
    /// By priority, the most urgent first.
    #[serde(serialize_with = "most_urgent_first")]
    pub by_priority: BTreeMap<Priority, CountReport>,
}

/// Rows and round trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountReport {
    /// Rows written.
    pub items: u64,
    /// Round trips.
    pub calls: u64,
}

/// Calls of the store on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    /// Most at once; what comes beyond waits.
    pub max: u64,
    /// At the end of the invocation.
    pub current: u64,
    /// Most at once since the start of the process.
    pub peak: u64,
}

impl From<Connections> for ConnectionReport {
    fn from(Connections { max, current, peak }: Connections) -> Self {
        Self { max: max as u64, current: current as u64, peak: peak as u64 }
    }
}

/// How long each step took, in milliseconds; over all rounds, where there were several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// The event's bytes into commands by player.
    pub decode: f64,
    /// Queues from the caches and the table.
    pub load: f64,
    /// The domain.
    pub apply: f64,
    /// Conditional writes, and applying again after conflicts.
    pub commit: f64,
    /// Batched records.
    pub record: f64,
    /// Changed queues into the caches.
    pub refresh: f64,
}

/// Memory at the end of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReport {
    /// Resident memory of the process; null where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Queues in the local cache.
    pub local_cache_entries: u64,
    /// Their bytes, about.
    pub local_cache_bytes: u64,
}

/// What the steps count on their way.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Cache lookups.
    pub cache: CacheFigures,
    /// Round trips to load queues.
    pub loads: u64,
    /// Queues committed.
    pub committed: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// How late timed completions were seen.
    pub lateness: Lateness,
    /// Round trips to commit.
    pub commit_calls: u64,
    /// Batched records.
    pub writes: WriteStatistics,
    /// Where the time went.
    pub steps: Steps,
}

/// How long each step took.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the steps of the pipeline")]
pub struct Steps {
    pub decode: Duration,
    pub load: Duration,
    pub apply: Duration,
    pub commit: Duration,
    pub record: Duration,
    pub refresh: Duration,
}

/// Cache lookups so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheFigures {
    /// Found inside the process.
    pub local: u64,
    /// Found in the shared tier.
    pub redis: u64,
    /// Found in none.
    pub misses: u64,
    /// Errors of the shared tier.
    pub shared_errors: u64,
}

impl CacheFigures {
    /// Counts one lookup.
    pub fn count(&mut self, found: Option<Tier>) {
        match found {
            Some(Tier::Local) => self.local += 1,
            Some(Tier::Redis) => self.redis += 1,
            None => self.misses += 1,
        }
    }

    fn report(&self, state: SharedCacheState, emergency: bool) -> CacheReport {
        let hits = self.local + self.redis;
        let lookups = hits + self.misses;
        CacheReport {
            lookups,
            hits,
            misses: self.misses,
            hit_rate: (lookups > 0).then(|| thousandths(hits as f64 / lookups as f64)),
            local: LocalReport { hits: self.local },
            redis: RedisReport { hits: self.redis, errors: self.shared_errors, state },
            emergency,
        }
    }
}

impl Figures {
    /// The report's part on caches.
    pub fn cache_report(&self, state: SharedCacheState, emergency: bool) -> CacheReport {
        self.cache.report(state, emergency)
    }

    /// The report's part on conditional writes.
    pub fn commit_report(&self) -> CommitReport {
        CommitReport { committed: self.committed, conflicts: self.conflicts, calls: self.commit_calls }
    }

    /// The report's part on where the time went.
    pub fn step_report(&self) -> StepReport {
        let millis = |step: Duration| thousandths(step.as_secs_f64() * 1000.0);
        let Steps { decode, load, apply, commit, record, refresh } = self.steps;
        StepReport {
            decode: millis(decode),
            load: millis(load),
            apply: millis(apply),
            commit: millis(commit),
            record: millis(record),
            refresh: millis(refresh),
        }
    }

    /// The report's part on batched records.
    pub fn write_report(&self) -> WriteReport {
        let count = |count: &Count| CountReport { items: count.items, calls: count.calls };
        WriteReport {
            items: self.writes.items,
            calls: self.writes.calls,
            retried_items: self.writes.retried_items,
            round_trips_saved: self.writes.round_trips_saved(),
            by_table: self.writes.by_table.iter().map(|(table, counted)| (*table, count(counted))).collect(),
            by_priority: self
                .writes
                .by_priority
                .iter()
                .map(|(priority, counted)| (*priority, count(counted)))
                .collect(),
        }
    }
}

/// Rounds to three digits behind the point: more would be noise.
pub(crate) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn most_urgent_first<S: Serializer>(
    counts: &BTreeMap<Priority, CountReport>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(counts.len()))?;
    for (priority, count) in counts.iter().rev() {
        map.serialize_entry(priority, count)?;
    }
    map.end()
}
