//! What the history says of a finished task that the queue remembers.
//!
//! The queue itself remembers only the outcome and the time. The row of the history has the key
//! `finishedAt#sequence`. Both follow from the queue, so one read of one row finds it.

use std::time::Instant;

use millrace_domain::{EventData, TaskId, record::HistoryRecord};
use millrace_pipeline::{Context, Failure, Invocation, Platform};
use tokio::time::timeout_at;

use crate::{queue::QueueRead, read_error::ReadError};

/// The latest finished task with this id in the history. None if the queue does not remember such
/// a task, or if its row has expired.
///
/// A task that has ended since the last commit has no row yet. Its record comes from the queue as
/// of now. In emergency mode the table is in trouble and is not read. What a read takes is added to
/// the report of `read`.
///
/// # Errors
/// [`ReadError`] if the row cannot be read.
pub async fn read_finished_task(
    platform: &Platform,
    read: &mut QueueRead,
    id: &TaskId,
    invocation: &Invocation,
) -> Result<Option<HistoryRecord>, ReadError> {
    let started = Instant::now();
    let ctx = Context::new(platform, invocation);
    let mut queue = read.cached.queue.clone();
    let mut events = Vec::new();
    queue.advance(read.now, read.rules, &mut events);
    let newest_first = queue.finished_tasks.newest_first();
    let Some(position) = newest_first.iter().position(|finished| finished.task_id == *id) else { return Ok(None) };
    // The newest finished task has the largest number, and every other one the next smaller.
    let sequence = queue.totals.finished().saturating_sub(position as u64);
    let ended = events.into_iter().find_map(|event| match event.data {
        EventData::TaskFinished(record) if record.sequence == sequence => Some(*record),
        _ => None,
    });
    if ended.is_some() || platform.cache.emergency(read.now).is_some() {
        return Ok(ended);
    }
    let key = HistoryRecord::sort_key_of(newest_first[position].finished_at, sequence);
    // The cursor comes right after the key, so the newest row before it is the row of the key.
    let after = format!("{key}~");
    let page = timeout_at(ctx.deadline, platform.store.history(&queue.player_id, 1, Some(&after))).await;
    let page = page.map_err(|_| ReadError::Failed(Failure::deadline()))??;
    read.report.calls += 1;
    read.report.processing_time += started.elapsed();
    Ok(page.items.into_iter().find(|row| row.sequence == sequence))
}
