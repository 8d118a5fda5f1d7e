//! Reads queue rows and progress rows from the table, past all caches.
//!
//! A queue row may carry records that a crashed process never wrote: its outbox. They are written
//! again before anything is decided on that row, because the next commit replaces them, and events
//! among them are published again. A cached copy of the same version shows that this was done.

use millrace_domain::{
    PlayerId, Queue,
    codec::{self, CachedQueue, Outbox},
    record::{ProgressRecord, Table},
};
use millrace_store::{QueueRow, StoreError};
use tokio::time::timeout_at;

use crate::{
    context::Context,
    counters::Counters,
    failure::Failure,
    loaded_queue::{DueEntry, LoadedQueue, Provenance},
    outboxes::Outboxes,
};

/// What is read of one player.
#[derive(Debug)]
pub struct RowRequest {
    /// The player.
    pub player_id: PlayerId,
    /// The rows.
    pub rows: Rows,
    /// The newest version whose records are known to be written, so that its outbox need not be
    /// written again; 0 if none is.
    pub recorded_version: u64,
}

/// The rows that are read of one player.
#[derive(Debug)]
pub enum Rows {
    /// The queue row.
    Queue,
    /// The queue row and the progress row.
    QueueAndProgress,
    /// The progress row, for a copy from a cache that does not know the progress.
    Progress(LoadedQueue),
}

impl RowRequest {
    /// Reads the queue row, and the progress row where the progress has to be known.
    pub fn queue(player_id: PlayerId, needs_progress: bool) -> Self {
        let rows = if needs_progress { Rows::QueueAndProgress } else { Rows::Queue };
        Self { player_id, rows, recorded_version: 0 }
    }

    /// Reads the progress row alone, for a copy from a cache.
    pub fn progress(player_id: PlayerId, copy: LoadedQueue) -> Self {
        Self { player_id, rows: Rows::Progress(copy), recorded_version: 0 }
    }
}

/// A queue row as it was read, with its outbox.
struct QueueWithOutbox {
    loaded: LoadedQueue,
    outbox: Outbox,
}

/// Reads rows in as few calls as the store needs, and writes outboxes again. One result for each
/// request, in order; one that fails harms no other.
pub async fn read_rows(
    ctx: &Context<'_>,
    requests: Vec<RowRequest>,
    counters: &mut Counters,
) -> Vec<Result<LoadedQueue, Failure>> {
    let (mut results, outboxes) = load_rows(ctx, requests, counters).await;
    for (position, failure) in outboxes.repeat(ctx, counters).await {
        results[position] = Err(failure);
    }
    results
}

/// Reads rows like [`read_rows`], and writes nothing. Nothing that is decided on such a queue may
/// be committed, because its outbox would be lost.
pub async fn peek_rows(
    ctx: &Context<'_>,
    requests: Vec<RowRequest>,
    counters: &mut Counters,
) -> Vec<Result<LoadedQueue, Failure>> {
    load_rows(ctx, requests, counters).await.0
}

/// Reads rows, and collects the outboxes that are not known to be written.
async fn load_rows(
    ctx: &Context<'_>,
    requests: Vec<RowRequest>,
    counters: &mut Counters,
) -> (Vec<Result<LoadedQueue, Failure>>, Outboxes) {
    if requests.is_empty() {
        return (Vec::new(), Outboxes::default());
    }
    let ids = |wants: fn(&Rows) -> bool| -> Vec<PlayerId> {
        requests.iter().filter(|request| wants(&request.rows)).map(|request| request.player_id.clone()).collect()
    };
    let queues = ids(|rows| !matches!(rows, Rows::Progress(_)));
    let progress = ids(|rows| !matches!(rows, Rows::Queue));
    // The stats row says whether the events of an outbox are published.
    let stats = if ctx.platform.publishing.is_some() { queues.as_slice() } else { &[] };
    let Ok(mut response) = timeout_at(ctx.deadline, ctx.platform.store.load(&queues, &progress, stats)).await else {
        return (requests.iter().map(|_| Err(Failure::deadline())).collect(), Outboxes::default());
    };
    counters.loads.calls += response.calls;

    let mut outboxes = Outboxes::default();
    let mut results: Vec<Result<LoadedQueue, Failure>> = Vec::with_capacity(requests.len());
    for (position, RowRequest { player_id, rows, recorded_version }) in requests.into_iter().enumerate() {
        let result = match rows {
            Rows::Queue => queue_of(ctx, &player_id, response.take_queue(&player_id)),
            Rows::QueueAndProgress => {
                let queue = queue_of(ctx, &player_id, response.take_queue(&player_id));
                with_progress(ctx, queue, response.take_progress(&player_id))
            }
            Rows::Progress(loaded) => {
                let copy = QueueWithOutbox { loaded, outbox: Outbox::default() };
                with_progress(ctx, Ok(copy), response.take_progress(&player_id))
            }
        };
        let result = result.map(|QueueWithOutbox { loaded, outbox }| {
            let is_recorded = loaded.version() == recorded_version
                || response
                    .take_stats(&player_id)
                    .is_ok_and(|stats| stats.is_some_and(|stats| stats.is_done(loaded.version())));
            if let Some(cached) = &loaded.queue
                && !is_recorded
            {
                outboxes.add(ctx, position, &cached.queue, outbox);
            }
            loaded
        });
        results.push(result.map_err(Failure::from));
    }
    (results, outboxes)
}

/// The queue of a row, as of now; no queue where there is no row.
fn queue_of(
    ctx: &Context<'_>,
    player_id: &PlayerId,
    row: Result<Option<QueueRow>, StoreError>,
) -> Result<QueueWithOutbox, StoreError> {
    let Some(row) = row? else {
        let loaded = LoadedQueue::from_table(None, ctx.now, DueEntry::Accurate);
        return Ok(QueueWithOutbox { loaded, outbox: Outbox::default() });
    };
    let (cached, outbox) = decode_row(player_id, &row)?;
    let next_due = cached.queue.due_at(ctx.platform.settings.rules);
    let is_stale = row.due_at.is_some_and(|entry| entry <= ctx.now && next_due.is_none_or(|due| due > entry));
    let due_entry = if is_stale { DueEntry::Stale } else { DueEntry::Accurate };
    Ok(QueueWithOutbox { loaded: LoadedQueue::from_table(Some(cached), ctx.now, due_entry), outbox })
}

/// Adds a progress row to a queue.
///
/// If a report in that row renews a heartbeat that seemed lost, the row of the queue has come due
/// too early in the due index. Its due entry is stale then, so it is corrected once in the time of
/// a heartbeat.
fn with_progress(
    ctx: &Context<'_>,
    row: Result<QueueWithOutbox, StoreError>,
    progress: Result<Option<ProgressRecord>, StoreError>,
) -> Result<QueueWithOutbox, StoreError> {
    let QueueWithOutbox { loaded, outbox } = row?;
    let seems_lost = loaded.provenance == Provenance::Table && loaded.needs_last_reports(ctx.now);
    let mut loaded = loaded.with_progress(progress?.as_ref());
    if seems_lost && !loaded.needs_last_reports(ctx.now) {
        loaded.due_entry = DueEntry::Stale;
    }
    Ok(QueueWithOutbox { loaded, outbox })
}

/// Decodes a queue row and its outbox.
fn decode_row(player_id: &PlayerId, row: &QueueRow) -> Result<(CachedQueue, Outbox), StoreError> {
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::unreadable(Table::Queues, format!("{player_id}: {error}"));
    let queue: Queue = codec::decode(&row.queue).map_err(|error| unreadable(&error))?;
    if queue.player_id != *player_id || queue.version != row.version {
        return Err(unreadable(&format!(
            "the row holds version {} of `{}` under version {}",
            queue.version, queue.player_id, row.version
        )));
    }
    let outbox = row.outbox.as_ref().map(|outbox| codec::decode(outbox)).transpose();
    let outbox = outbox.map_err(|error| unreadable(&error))?.unwrap_or_default();
    let progress_known = !queue.has_partial_progress();
    Ok((CachedQueue { queue, progress_known }, outbox))
}
