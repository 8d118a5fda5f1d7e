//! Queues from the table.

use millrace_domain::{FailureReason, PlayerId};
use millrace_pipeline::{
    Failure,
    loaded_queue::LoadedQueue,
    rows::{RowRequest, read_rows},
};

use crate::{error::UpkeepError, progress::Progress};

/// Players that are read and put at once: as many as one call reads from the table.
pub(crate) const CHUNK: usize = 100;

/// Reads queues from the table, without their progress rows: a copy that does not know the progress
/// lives longer, and a reader that needs it reads the progress row. None where the deadline has
/// passed.
///
/// # Errors
/// [`UpkeepError::StoreUnavailable`] where the store answers for none of them: to continue would
/// not help.
pub(crate) async fn load_queues(
    progress: &mut Progress<'_>,
    players: &[PlayerId],
) -> Result<Option<Vec<Result<LoadedQueue, Failure>>>, UpkeepError> {
    let requests = players.iter().map(|player| RowRequest::queue(player.clone(), false)).collect();
    let results = read_rows(progress.ctx, requests, progress.counters).await;
    let failures: Vec<&Failure> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let Some(first) = failures.first() else { return Ok(Some(results)) };
    if failures.iter().any(|failure| failure.reason == FailureReason::Deadline) {
        return Ok(None);
    }
    let is_of_one_row = matches!(first.reason, FailureReason::RowUnreadable | FailureReason::RowTooLarge);
    if failures.len() == results.len() && !is_of_one_row {
        return Err(UpkeepError::StoreUnavailable { reason: first.detail.clone().into_owned() });
    }
    tracing::warn!(failed = failures.len(), reason = first.reason.code(), detail = %first.detail, "queues were not read");
    Ok(Some(results))
}
