//! Performance: what the functions did in a span of time, which thresholds are passed, and what
//! this process holds now.

use millrace_cache::{CacheStatistics, SharedCacheState};
use millrace_domain::Timestamp;
use millrace_performance::{
    History, HistoryError, Span, ThresholdState,
    threshold_state::{deciding_minutes, observed_ids, states},
};
use millrace_pipeline::{Context, Invocation, Platform, Report, report::MemoryReport};
use millrace_store::Connections;
use serde::Serialize;
use tokio::time::timeout_at;

/// What the functions did in a span of time, and what this process holds now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceReport {
    /// The time of the report.
    pub as_of: Timestamp,
    /// What the functions did; null where the history cannot be read at the moment.
    pub history: Option<History>,
    /// The states of all observed thresholds; null where the history cannot be read at the moment.
    pub thresholds: Option<Vec<ThresholdState>>,
    /// Memory of this process now.
    pub memory: MemoryReport,
    /// Connections of this process to the store; null where the store has none.
    pub connections: Option<Connections>,
    /// Whether the shared cache takes part.
    pub redis: SharedCacheState,
    /// What the caches have done since the start of this process.
    pub statistics: CacheStatistics,
    /// The report of the last invocation of this process with commands.
    pub last: Option<Report>,
}

/// The report as of now, with the history of a span.
pub async fn performance(platform: &Platform, span: Span, invocation: &Invocation) -> PerformanceReport {
    let ctx = Context::new(platform, invocation);
    let read = timeout_at(ctx.deadline, read_history(&ctx, span)).await;
    let read = read.unwrap_or_else(|_| Err(HistoryError("no time was left".to_owned())));
    let read = read.inspect_err(|error| tracing::warn!(%error, "cannot read the performance history")).ok();
    let (history, thresholds) = read.unzip();
    let statistics = platform.cache.statistics();
    PerformanceReport {
        as_of: ctx.now,
        history,
        thresholds,
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

async fn read_history(ctx: &Context<'_>, span: Span) -> Result<(History, Vec<ThresholdState>), HistoryError> {
    let history = ctx.platform.performance.history();
    let limits = &ctx.platform.settings.thresholds;
    let ids = observed_ids(limits);
    let (of_span, deciding) =
        futures::try_join!(history.read(span.minutes(), &[]), history.read(deciding_minutes(limits, ctx.now), &ids),)?;
    let answer = History::new(history.source(), span, &of_span.figures, ctx.now);
    Ok((answer, states(limits, &deciding, ctx.now)))
}
