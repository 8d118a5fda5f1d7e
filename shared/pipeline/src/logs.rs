//! What an invocation logs: each item that was not applied, and one line for the whole invocation.

use crate::{answer::Answer, batch::Batch, item::Outcome};

/// Logs the items that were not applied, and the line of the invocation. Alarms and dashboards read
/// it.
pub fn log_batch(batch: &Batch, answer: &Answer) {
    for (player_id, item) in batch.items() {
        log_outcome(batch, item.message, player_id.as_str(), &item.outcome);
    }
    for malformed in &batch.malformed {
        log_outcome(batch, malformed.message, &malformed.record.partition, &malformed.outcome);
    }
    let report = &answer.report;
    tracing::info!(
        messages = batch.messages.len(),
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
        events_published = report.events.published,
        events_failed = report.events.failed,
        "processed"
    );
}

fn log_outcome(batch: &Batch, message: usize, player_id: &str, outcome: &Outcome) {
    let message_id = batch.messages[message].id.as_str();
    match outcome {
        Outcome::Failed(failure) => {
            tracing::warn!(message_id, player_id, reason = failure.reason.code(), detail = %failure.detail, "failed");
        }
        Outcome::Rejected(rejection) => {
            let reason = rejection.reason.as_str();
            tracing::info!(message_id, player_id, reason, detail = %rejection.detail, "rejected");
        }
        Outcome::Undecided | Outcome::Applied | Outcome::Duplicate(_) => {}
    }
}
