//! What an invocation logs: what was not applied, with its message and player, and one line of figures.

use crate::{answer::Answer, decode::Decoded, status::Status};

/// Logs what was not applied, with the message and player that it belongs to.
pub(crate) fn log(decoded: &Decoded, statuses: &[Status], refused: &[Status], answer: &Answer) {
    let items = decoded.items.iter().map(|item| (item.message, item.task.player_id().as_str())).zip(statuses);
    let malformed =
        decoded.refused.iter().map(|refused| (refused.message, refused.record.partition.as_str())).zip(refused);
    for ((message, player_id), status) in items.chain(malformed) {
        let message_id = decoded.messages[message].id.as_str();
        match status {
            Status::Failed(failure) => {
                tracing::warn!(message_id, player_id, reason = failure.code, detail = %failure.detail, "failed");
            }
            Status::Rejected(rejection) => {
                tracing::info!(message_id, player_id, reason = rejection.reason.as_str(), detail = %rejection.detail, "rejected");
            }
            _ => {}
        }
    }
    let report = &answer.report;
    tracing::info!(
        messages = decoded.messages.len(),
        message_failures = answer.batch_item_failures.len(),
        received = report.commands.received,
        applied = report.commands.applied,
        duplicate = report.commands.duplicate,
        rejected = report.commands.rejected,
        failed = report.commands.failed,
        malformed = report.commands.malformed,
        players = report.players,
        processing_time_ms = report.processing_time_ms,
        cache_lookups = report.cache.lookups,
        cache_hits = report.cache.hits,
        hit_rate = report.cache.hit_rate,
        completions = report.lateness.count,
        lateness_p99_ms = report.lateness.p99_ms,
        commits = report.commits.committed,
        conflicts = report.commits.conflicts,
        writes = report.writes.items,
        round_trips_saved = report.writes.round_trips_saved,
        "processed"
    );
}
