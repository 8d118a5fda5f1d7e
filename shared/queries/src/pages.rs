//! Finished tasks and refused commands, newest first, page by page.

use std::time::Duration;

use millrace_domain::{
    PlayerId,
    record::{HistoryRecord, RejectionRecord},
};
use millrace_pipeline::{Context, Failure, Invocation, Platform, performance::ReadReport};
use millrace_store::{Page, StoreError};
use tokio::time::timeout_at;

use crate::{queue::read_queue, read_error::ReadError};

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
    let rows = platform.store.history(request.player_id, request.limit, request.after);
    read_page(platform, request, invocation, rows).await
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
    let mut report = ReadReport { processing_time: Duration::ZERO, found: None, lookups: 0, cache_errors: 0, calls: 1 };
    // Records are written before a command is answered: a caller that knows a version finds its
    // records.
    if at_least > 0 {
        let queue = read_queue(platform, player_id, at_least, invocation).await?;
        report = ReadReport { calls: queue.report.calls + 1, ..queue.report };
    }
    let page = timeout_at(ctx.deadline, rows).await.map_err(|_| ReadError::Failed(Failure::deadline()))??;
    if page.items.is_empty() && after.is_none() && at_least == 0 {
        // An empty page is an answer where the player exists, and an error where it does not.
        let queue = read_queue(platform, player_id, 0, invocation).await?;
        report = ReadReport { calls: queue.report.calls + 1, ..queue.report };
    }
    report.processing_time = ctx.started.elapsed();
    Ok(PageRead { page, report })
}
