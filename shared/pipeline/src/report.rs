//! The report of an invocation: what it took, as the answer says it.

use std::collections::BTreeMap;

use millrace_cache::{CacheStatistics, PerKind, SharedCacheState};
use millrace_domain::{Priority, record::Table};
use millrace_performance::Sketch;
use millrace_store::{Connections, WriteStatistics, batch_writer::Count};
use millrace_telemetry::Usage;
use serde::{Serialize, Serializer};

use crate::{
    counters::{CacheCounters, Commits, EventCounters, Loads, SharedErrors, StepTimes, sum_of_kinds, thousandths},
    lateness::LatenessReport,
};

/// What an invocation took. All functions answer with the same report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The invocation.
    pub request_id: String,
    /// Whether it was the first of its process.
    pub cold_start: bool,
    /// From the payload to the answer, in milliseconds.
    pub processing_time_ms: f64,
    /// Commands by outcome.
    pub commands: CommandCounts,
    /// Rejected and failed commands by reason.
    pub reasons: Reasons,
    /// Attempts that failed by a lost heartbeat or a time-out.
    pub attempts_timed_out: u64,
    /// Players of the batch.
    pub players: u64,
    /// How late timed completions were committed.
    pub lateness: LatenessReport,
    /// The lateness of all these completions, for the performance history.
    #[serde(skip)]
    pub lateness_values: Sketch,
    /// Cache lookups, one a player.
    pub cache: CacheReport,
    /// Reads of the table.
    pub loads: Loads,
    /// Conditional writes.
    pub commits: Commits,
    /// Records written in batches.
    pub writes: WriteReport,
    /// Events published.
    pub events: EventCounters,
    /// Connections to the store; null where the store has none.
    pub connections: Option<Connections>,
    /// Where the time went, in milliseconds.
    pub steps_ms: StepTimes,
    /// Memory at the end.
    pub memory: MemoryReport,
    /// What the caches have done since the start of the process.
    pub statistics: CacheStatistics,
    /// What it costs, estimated.
    pub cost: CostReport,
}

/// Commands by outcome, with the reasons of those that were not applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandOutcomes {
    /// The commands by outcome.
    pub counts: CommandCounts,
    /// Rejected and failed commands by reason.
    pub reasons: Reasons,
}

/// Rejected and failed commands by reason. Malformed input has no reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reasons {
    /// Commands that are refused for good.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Commands that have to be delivered again.
    pub failed: BTreeMap<&'static str, u64>,
}

/// The estimated cost, and what it is estimated from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostReport {
    /// Millionths of a dollar, at list prices.
    pub microdollars: f64,
    /// What was used.
    #[serde(flatten)]
    pub usage: Usage,
}

impl From<Usage> for CostReport {
    fn from(usage: Usage) -> Self {
        Self { microdollars: usage.microdollars(), usage }
    }
}

/// Commands by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CommandCounts {
    /// All of them: the sum of the others.
    pub received: u64,
    /// Commands that took effect.
    pub applied: u64,
    /// Commands that were decided before.
    pub duplicate: u64,
    /// Commands that are refused for good.
    pub rejected: u64,
    /// Commands that have to be delivered again.
    pub failed: u64,
    /// Input that could not be understood.
    pub malformed: u64,
}

/// Cache lookups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheReport {
    /// Queues looked up.
    pub lookups: u64,
    /// Queues found in a cache.
    pub hits: u64,
    /// Queues found in no cache.
    pub misses: u64,
    /// Hits per lookup, 0 to 1; null where nothing was looked up.
    pub hit_rate: Option<f64>,
    /// The local cache.
    pub local: LocalReport,
    /// The shared cache.
    pub redis: RedisReport,
    /// Whether emergency mode is on, as far as this process knows.
    pub emergency: bool,
}

/// Hits of the local cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LocalReport {
    /// Queues found there.
    pub hits: u64,
    /// The same by kind of data.
    pub kinds: PerKind<u64>,
}

/// Hits of the shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisReport {
    /// Queues found there.
    pub hits: u64,
    /// The same by kind of data.
    pub kinds: PerKind<u64>,
    /// Calls that failed.
    pub errors: u64,
    /// The same by kind of call.
    pub errors_by_call: SharedErrors,
    /// `up`, `down` or `off`.
    pub state: SharedCacheState,
}

/// Records written in batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteReport {
    /// Rows written.
    pub items: u64,
    /// Round trips.
    pub calls: u64,
    /// Rows sent more than once.
    pub retried_items: u64,
    /// How many more round trips one write for each row would have taken.
    pub round_trips_saved: u64,
    /// Rows and round trips by table.
    pub by_table: BTreeMap<Table, Count>,
    /// Rows and round trips by priority, the most urgent first.
    #[serde(serialize_with = "most_urgent_first")]
    pub by_priority: BTreeMap<Priority, Count>,
}

/// Memory at the end of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReport {
    /// Resident memory of the process, in bytes; null where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Queues in the local cache.
    pub local_cache_entries: u64,
    /// Their approximate size in bytes.
    pub local_cache_bytes: u64,
}

impl CacheReport {
    pub(crate) fn new(counters: &CacheCounters, state: SharedCacheState, emergency: bool) -> Self {
        let (local, redis) = (sum_of_kinds(&counters.local), sum_of_kinds(&counters.redis));
        let hits = local + redis;
        let lookups = hits + counters.misses;
        Self {
            lookups,
            hits,
            misses: counters.misses,
            hit_rate: (lookups > 0).then(|| thousandths(hits as f64 / lookups as f64)),
            local: LocalReport { hits: local, kinds: counters.local },
            redis: RedisReport {
                hits: redis,
                kinds: counters.redis,
                errors: counters.shared_errors.total(),
                errors_by_call: counters.shared_errors,
                state,
            },
            emergency,
        }
    }
}

impl From<WriteStatistics> for WriteReport {
    fn from(written: WriteStatistics) -> Self {
        Self {
            items: written.items,
            calls: written.calls,
            retried_items: written.retried_items,
            round_trips_saved: written.round_trips_saved(),
            by_table: written.by_table,
            by_priority: written.by_priority,
        }
    }
}

fn most_urgent_first<S: Serializer>(counts: &BTreeMap<Priority, Count>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().rev())
}
