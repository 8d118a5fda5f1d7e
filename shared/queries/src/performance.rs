//! What the invocations of this process took, and what it holds now.

use millrace_cache::{CacheStatistics, SharedCacheState};
use millrace_domain::Timestamp;
use millrace_pipeline::{
    Platform, Report,
    performance::{CommandSummary, Summary},
    report::MemoryReport,
};
use millrace_store::Connections;
use serde::Serialize;

/// What the invocations of this process took, and what it holds now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceReport {
    /// The time of the report.
    pub as_of: Timestamp,
    /// Invocations with commands.
    pub commands: CommandSummary,
    /// Reads of queues.
    pub reads: Summary,
    /// Memory now.
    pub memory: MemoryReport,
    /// Connections to the store; null where the store has none.
    pub connections: Option<Connections>,
    /// Whether the shared cache takes part.
    pub redis: SharedCacheState,
    /// What the caches have done since the start of the process.
    pub statistics: CacheStatistics,
    /// The report of the last invocation with commands.
    pub last: Option<Report>,
}

/// The report of this process as of now.
pub fn performance(platform: &Platform) -> PerformanceReport {
    let statistics = platform.cache.statistics();
    PerformanceReport {
        as_of: platform.clock.now(),
        commands: platform.performance.commands(),
        reads: platform.performance.reads(),
        memory: MemoryReport {
            resident_bytes: (platform.resident_bytes)(),
            local_cache_entries: statistics.local.entries,
            local_cache_bytes: statistics.local.bytes,
        },
        connections: platform.store.connections(),
        redis: platform.cache.shared_state(),
        statistics,
        last: platform.performance.last(),
    }
}
