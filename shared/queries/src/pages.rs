//! Finished tasks and refused commands, newest first, page by page.
//!
//! The first page of the history is kept in the shared cache under the version of the queue. It is
//! served only where that is the version of the cached queue, so it is as fresh as the queue.

use millrace_cache::Tier;
use millrace_domain::{
    PlayerId,
    record::{HistoryRecord, RejectionRecord},
};
use millrace_pipeline::{
    Context, Failure, Invocation, Platform, counters::CacheCounters, measurement::measure_lookup,
    performance::ReadReport,
};
use millrace_store::{Page, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

use crate::{
    queue::{look_up, read_queue},
    read_error::ReadError,
};

/// Which page of a player's rows is read.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// Most rows of the page.
    pub limit: usize,
    /// The sort key of the last row of the page before; none for the first page.
    pub after: Option<&'a str>,
    /// The version that the queue must have reached; 0 for any.
    pub at_least: u64,
}

/// Rows that were read.
#[derive(Debug, Clone)]
pub struct PageRead<T> {
    /// The rows, and where the next ones begin.
    pub page: Page<T>,
    /// The cache that had the rows; none: they came from the table.
    pub found: Option<Tier>,
    /// What it took.
    pub report: ReadReport,
}

/// Reads finished tasks.
///
/// # Errors
/// [`ReadError`] where the player is unknown, its queue has not reached the version, or the rows
/// cannot be read.
pub async fn read_history(
    platform: &Platform,
    request: PageRequest<'_>,
    invocation: &Invocation,
) -> Result<PageRead<HistoryRecord>, ReadError> {
    let ctx = Context::new(platform, invocation);
    // A queue is cached once its records are written: its history is complete as of its version.
    let copy = match request.after {
        None => look_up(&ctx, request.player_id, request.at_least).await.0,
        Some(_) => None,
    };
    let copy = copy.map(|hit| (hit.copy.cached.queue.version, hit.tier));
    if let Some((version, tier)) = copy
        && let Some(page) = cached_page(&ctx, request, version).await
    {
        let mut cache = CacheCounters::default();
        cache.redis.frequent = 1;
        invocation.record.update(|record| measure_lookup(record, &cache));
        let processing_time = ctx.started.elapsed();
        let report = ReadReport { processing_time, found: Some(tier), lookups: 1, ..ReadReport::default() };
        return Ok(PageRead { page, found: Some(Tier::Redis), report });
    }
    let rows = platform.store.history(request.player_id, request.limit, request.after);
    let read = read_page(platform, request, invocation, rows).await?;
    if let Some((version, _)) = copy {
        cache_page(&ctx, request, version, &read.page).await;
    }
    Ok(read)
}

/// A first page of the history as the shared cache holds it.
#[derive(Serialize, Deserialize)]
struct CachedPage {
    limit: usize,
    items: Vec<HistoryRecord>,
    next: Option<String>,
}

/// The first page from the shared cache, if it was cached for this version and this limit.
async fn cached_page(ctx: &Context<'_>, request: PageRequest<'_>, version: u64) -> Option<Page<HistoryRecord>> {
    let cached = timeout_at(ctx.deadline, ctx.platform.cache.get_page(request.player_id, version)).await.ok()?;
    let CachedPage { limit, items, next } = serde_json::from_slice(&cached.0?).ok()?;
    (limit == request.limit).then_some(Page { items, next })
}

/// Puts a first page into the shared cache. A failure fails nothing: the next read tries again.
async fn cache_page(ctx: &Context<'_>, request: PageRequest<'_>, version: u64, page: &Page<HistoryRecord>) {
    let cached = CachedPage { limit: request.limit, items: page.items.clone(), next: page.next.clone() };
    let Ok(bytes) = serde_json::to_vec(&cached) else { return };
    let put = ctx.platform.cache.put_page(request.player_id, version, &bytes);
    if timeout_at(ctx.deadline, put).await.is_err() {
        tracing::debug!("no time was left to cache a page of the history");
    }
}

/// Reads refused commands.
///
/// # Errors
/// [`ReadError`] as for [`read_history`].
pub async fn read_rejections(
    platform: &Platform,
    request: PageRequest<'_>,
    invocation: &Invocation,
) -> Result<PageRead<RejectionRecord>, ReadError> {
    let rows = platform.store.rejections(request.player_id.as_str(), request.limit, request.after);
    read_page(platform, request, invocation, rows).await
}

async fn read_page<T>(
    platform: &Platform,
    request: PageRequest<'_>,
    invocation: &Invocation,
    rows: impl Future<Output = Result<Page<T>, StoreError>>,
) -> Result<PageRead<T>, ReadError> {
    let PageRequest { player_id, after, at_least, .. } = request;
    let ctx = Context::new(platform, invocation);
    let mut report = ReadReport::default();
    // Records are written before a command is answered: a caller that knows a version finds its
    // records.
    if at_least > 0 {
        report = read_queue(platform, player_id, at_least, invocation).await?.report;
    }
    let page = timeout_at(ctx.deadline, rows).await.map_err(|_| ReadError::Failed(Failure::deadline()))??;
    if page.items.is_empty() && after.is_none() && at_least == 0 {
        // An empty page is an answer where the player exists, and an error where it does not.
        report = read_queue(platform, player_id, 0, invocation).await?.report;
    }
    report.calls += 1;
    report.processing_time = ctx.started.elapsed();
    Ok(PageRead { page, found: None, report })
}
