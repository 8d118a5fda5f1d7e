//! Reads queue rows and progress rows from the table, past all caches.
//!
//! A queue row may carry records that a crashed process never wrote: its outbox. They are written
//! again before anything is decided on that row, because the next commit replaces them, and events
//! among them are published again. A cached copy of the same version shows that this was done.

use millrace_domain::{
    PlayerId, Queue, Record,
    codec::{self, CachedQueue, Outbox},
    record::{ProgressRecord, Table},
};
use millrace_store::{QueueRow, RecordWrite, StoreError};
use tokio::time::timeout_at;

use crate::{
    context::Context,
    counters::Counters,
    failure::Failure,
    grouping::grouping_of,
    loaded_queue::{DueEntry, LoadedQueue},
    publishing::{CommitEvents, publish},
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

/// A queue row as it was read, with the records of its outbox.
struct QueueWithOutbox {
    loaded: LoadedQueue,
    outbox: Vec<Record>,
}

/// Reads rows in as few calls as the store needs, and writes outboxes again. One result for each
/// request, in order; one that fails harms no other.
pub async fn read_rows(
    ctx: &Context<'_>,
    requests: Vec<RowRequest>,
    counters: &mut Counters,
) -> Vec<Result<LoadedQueue, Failure>> {
    if requests.is_empty() {
        return Vec::new();
    }
    let ids = |wants: fn(&Rows) -> bool| -> Vec<PlayerId> {
        requests.iter().filter(|request| wants(&request.rows)).map(|request| request.player_id.clone()).collect()
    };
    let queues = ids(|rows| !matches!(rows, Rows::Progress(_)));
    let progress = ids(|rows| !matches!(rows, Rows::Queue));
    let Ok(mut response) = timeout_at(ctx.deadline, ctx.platform.store.load(&queues, &progress)).await else {
        return requests.iter().map(|_| Err(Failure::deadline())).collect();
    };
    counters.loads.calls += response.calls;

    let mut outboxes: Vec<RecordWrite<usize>> = Vec::new();
    let mut results: Vec<Result<LoadedQueue, Failure>> = Vec::with_capacity(requests.len());
    for (position, RowRequest { player_id, rows, recorded_version }) in requests.into_iter().enumerate() {
        let result = match rows {
            Rows::Queue => queue_of(ctx, &player_id, response.take_queue(&player_id)),
            Rows::QueueAndProgress => {
                let queue = queue_of(ctx, &player_id, response.take_queue(&player_id));
                with_progress(queue, response.take_progress(&player_id))
            }
            Rows::Progress(loaded) => {
                with_progress(Ok(QueueWithOutbox { loaded, outbox: Vec::new() }), response.take_progress(&player_id))
            }
        };
        let result = result.map(|QueueWithOutbox { loaded, outbox }| {
            let grouping = grouping_of(&player_id, ctx.platform.settings.batching);
            let is_recorded = loaded.version() == recorded_version;
            let outbox = if is_recorded { Vec::new() } else { outbox };
            outboxes.extend(outbox.into_iter().map(|record| RecordWrite { record, origin: position, grouping }));
            loaded
        });
        results.push(result.map_err(Failure::from));
    }
    for (position, failure) in write_outboxes(ctx, outboxes, counters).await {
        results[position] = Err(failure);
    }
    results
}

/// Writes the records of outboxes, and publishes the events among them. Returns the positions of
/// the requests for which that failed.
async fn write_outboxes(
    ctx: &Context<'_>,
    outboxes: Vec<RecordWrite<usize>>,
    counters: &mut Counters,
) -> Vec<(usize, Failure)> {
    let is_event = |write: &RecordWrite<usize>| matches!(write.record, Record::Events(_));
    let commits = outboxes.iter().filter_map(|write| match &write.record {
        Record::Events(record) => Some(CommitEvents { origin: write.origin, record: record.clone() }),
        _ => None,
    });
    let commits: Vec<CommitEvents> = commits.collect();
    let rows: Vec<_> = outboxes.into_iter().filter(|write| ctx.platform.keeps_events() || !is_event(write)).collect();
    let mut failures = Vec::new();
    if !rows.is_empty() {
        let written = ctx.platform.batch_writer.write(rows, ctx.deadline).await;
        counters.writes.merge(&written.statistics);
        failures.extend(written.failed.into_iter().map(|failed| (failed.origin, Failure::from(failed.error))));
    }
    if !commits.is_empty() {
        failures.extend(publish(ctx, &commits, &mut counters.events).await);
    }
    failures
}

/// The queue of a row, as of now; no queue where there is no row.
fn queue_of(
    ctx: &Context<'_>,
    player_id: &PlayerId,
    row: Result<Option<QueueRow>, StoreError>,
) -> Result<QueueWithOutbox, StoreError> {
    let Some(row) = row? else {
        let loaded = LoadedQueue::from_table(None, ctx.now, DueEntry::Accurate);
        return Ok(QueueWithOutbox { loaded, outbox: Vec::new() });
    };
    let (cached, outbox) = decode_row(player_id, &row)?;
    let next_due = cached.queue.due_at(ctx.platform.settings.rules);
    let is_stale = row.due_at.is_some_and(|entry| entry <= ctx.now && next_due.is_none_or(|due| due > entry));
    let due_entry = if is_stale { DueEntry::Stale } else { DueEntry::Accurate };
    Ok(QueueWithOutbox { loaded: LoadedQueue::from_table(Some(cached), ctx.now, due_entry), outbox })
}

fn with_progress(
    row: Result<QueueWithOutbox, StoreError>,
    progress: Result<Option<ProgressRecord>, StoreError>,
) -> Result<QueueWithOutbox, StoreError> {
    let QueueWithOutbox { loaded, outbox } = row?;
    Ok(QueueWithOutbox { loaded: loaded.with_progress(progress?.as_ref()), outbox })
}

/// Decodes a queue row, and the records of its outbox with the stats that belong to them.
fn decode_row(player_id: &PlayerId, row: &QueueRow) -> Result<(CachedQueue, Vec<Record>), StoreError> {
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::unreadable(Table::Queues, format!("{player_id}: {error}"));
    let queue: Queue = codec::decode(&row.queue).map_err(|error| unreadable(&error))?;
    if queue.player_id != *player_id || queue.version != row.version {
        return Err(unreadable(&format!(
            "the row holds version {} of `{}` under version {}",
            queue.version, queue.player_id, row.version
        )));
    }
    let mut records = match &row.outbox {
        Some(outbox) => codec::decode::<Outbox>(outbox).map_err(|error| unreadable(&error))?.0,
        None => Vec::new(),
    };
    if records.iter().any(|record| matches!(record, Record::History(_))) {
        records.push(Record::Stats(queue.stats()));
    }
    let progress_known = !queue.has_partial_progress();
    Ok((CachedQueue { queue, progress_known }, records))
}
