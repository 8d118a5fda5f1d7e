//! A queue as of now, cache first.
//!
//! The queue is looked up in the local cache, the shared cache, then the table, where its outbox is
//! written again. What the table had is put into the caches. Time that has passed since the last
//! commit is applied in memory only: the next command or tick applies it in the same way.
//!
//! **Emergency mode**: a copy is served without the progress row that it may lack. The table is not
//! asked.
//!
//! **Read your own writes**: a read may name a version, and is never answered with an older one.
//! Older copies are passed over. Where even the table has an older version, the read fails.

use std::sync::Arc;

use millrace_cache::Hit;
use millrace_domain::{PlayerId, Queue, Rules, Timestamp, codec::CachedQueue, view::QueueView};
use millrace_pipeline::{
    Context, Failure, Invocation, Platform,
    counters::Counters,
    loaded_queue::{LoadedQueue, Provenance},
    lookup::lookup_before,
    measurement::measure_lookup,
    performance::ReadReport,
    rows::{RowRequest, Rows, read_rows},
};
use tokio::time::timeout_at;

use crate::read_error::ReadError;

/// A queue that was read.
#[derive(Debug, Clone)]
pub struct QueueRead {
    /// The queue as of its last commit, with its progress between milestones.
    pub cached: Arc<CachedQueue>,
    /// The time of the read.
    pub now: Timestamp,
    /// The rules by which time passes until then.
    pub rules: Rules,
    /// What it took.
    pub report: ReadReport,
}

impl QueueRead {
    /// The queue as of now, as readers see it.
    pub fn view(&self) -> QueueView {
        QueueView::new(&self.cached.queue, self.now, self.rules)
    }

    /// The queue as of now.
    pub fn advanced(&self) -> Queue {
        let mut queue = self.cached.queue.clone();
        queue.advance(self.now, self.rules, &mut Vec::new());
        queue
    }
}

/// Reads the queue of a player, at least of version `at_least`.
///
/// # Errors
/// [`ReadError`] where there is none, none so new, or it cannot be read.
pub async fn read_queue(
    platform: &Platform,
    player_id: &PlayerId,
    at_least: u64,
    invocation: &Invocation,
) -> Result<QueueRead, ReadError> {
    let ctx = Context::new(platform, invocation);
    let mut counters = Counters::default();
    let (hit, mut cache_errors) = look_up(&ctx, player_id, at_least).await;
    let found = hit.as_ref().map(|hit| hit.tier);
    counters.cache.count(hit.as_ref());
    counters.cache.shared_errors.get = cache_errors;
    let read = read_missing(&ctx, player_id, hit, &mut counters).await;
    if let Ok(loaded) = &read
        && loaded.provenance != Provenance::Cache
        && let Some(copy) = loaded.copy()
    {
        let put = timeout_at(ctx.deadline, platform.cache.put(&[copy], ctx.now)).await;
        counters.cache.shared_errors.put = put.unwrap_or(1);
        cache_errors += counters.cache.shared_errors.put;
    }
    invocation.record.update(|record| measure_lookup(record, &counters.cache));
    let report = ReadReport {
        processing_time: ctx.started.elapsed(),
        found,
        lookups: 1,
        cache_errors,
        calls: counters.loads.calls + counters.writes.calls,
    };
    platform.performance.add_read(&report);
    let loaded = read.map_err(ReadError::Failed)?;
    let newest = loaded.version();
    match loaded.queue {
        None => Err(ReadError::UnknownPlayer),
        Some(_) if newest < at_least => Err(ReadError::VersionNotReached { requested: at_least, newest }),
        Some(cached) => Ok(QueueRead { cached, now: ctx.now, rules: platform.settings.rules, report }),
    }
}

/// Looks for a copy of at least this version in the caches. Also returns the errors of the shared
/// cache.
pub(crate) async fn look_up(ctx: &Context<'_>, player_id: &PlayerId, at_least: u64) -> (Option<Hit>, u64) {
    let lookup = ctx.platform.cache.get_at_least(player_id, at_least, ctx.now);
    let lookup = lookup_before(ctx.deadline, 1, lookup).await;
    (lookup.hits.into_iter().next().flatten(), lookup.shared_errors)
}

/// Reads what the caches did not have: the queue row, or the progress row alone.
async fn read_missing(
    ctx: &Context<'_>,
    player_id: &PlayerId,
    hit: Option<Hit>,
    counters: &mut Counters,
) -> Result<LoadedQueue, Failure> {
    let request = match hit.map(|hit| LoadedQueue::from_cache(hit.copy)) {
        None => RowRequest::queue(player_id.clone(), true),
        Some(loaded) if needs_progress_row(ctx, &loaded) => RowRequest::progress(player_id.clone(), loaded),
        Some(loaded) => return Ok(loaded),
    };
    let adds_progress = matches!(request.rows, Rows::Progress(_));
    let mut loaded = read_rows(ctx, vec![request], counters).await.pop().unwrap_or_else(|| Err(Failure::deadline()))?;
    if adds_progress {
        loaded.provenance = Provenance::CacheWithProgress;
    }
    Ok(loaded)
}

/// In emergency mode the table is in trouble: what the milestones say is enough.
fn needs_progress_row(ctx: &Context<'_>, loaded: &LoadedQueue) -> bool {
    (loaded.lacks_progress() || loaded.needs_last_reports(ctx.now)) && ctx.platform.cache.emergency(ctx.now).is_none()
}
