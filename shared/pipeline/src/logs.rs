//! What an invocation of commands and ticks leaves in the log: a line for each item that was not
//! applied, and what the line of the invocation says about its messages.

use std::fmt::Write as _;

use millrace_domain::{CommandId, RejectionReason};
use millrace_telemetry::{Metric, Record};

use crate::{
    batch::{Batch, MalformedItem},
    item::{Action, Outcome},
    report::CommandCounts,
};

/// Logs the items that were not applied.
pub fn log_items(batch: &Batch) {
    for (player_id, item) in batch.items() {
        let command_id = item.action.delivery().map(|delivery| &delivery.command_id);
        log_outcome(batch, item.message, player_id.as_str(), command_id, &item.outcome);
    }
    for malformed in &batch.malformed {
        let MalformedItem { message, record, outcome, .. } = malformed;
        log_outcome(batch, *message, &record.partition, Some(&record.command_id), outcome);
    }
}

/// Adds the messages and the ticks to the record of the invocation, and its message.
pub fn measure_batch(record: &mut Record, batch: &Batch, counts: &CommandCounts) {
    let messages = batch.messages.len() as u64;
    let failed = batch.messages.iter().filter(|message| message.is_handed_back).count() as u64;
    let ticks = batch.items().filter(|(_, item)| item.action == Action::Tick).count() as u64;
    record.add(Metric::Messages, messages);
    record.add(Metric::MessagesFailed, failed);
    record.add(Metric::Ticks, ticks);
    let players = batch.players.len();
    let CommandCounts { received, applied, duplicate, rejected, failed, malformed } = *counts;
    let mut message = format!("processed: {received} commands of {players} players");
    for (count, what) in [
        (applied, "applied"),
        (duplicate, "duplicate"),
        (rejected, "rejected"),
        (malformed, "malformed"),
        (failed, "failed"),
        (ticks, "ticks"),
    ] {
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(message, ", {count} {what}");
        }
    }
    record.set_message(message);
}

fn log_outcome(batch: &Batch, message: usize, player_id: &str, command_id: Option<&CommandId>, outcome: &Outcome) {
    let message_id = batch.messages[message].id.as_str();
    let command_id = command_id.map(CommandId::as_str);
    match outcome {
        Outcome::Failed(failure) => {
            let (reason, detail) = (failure.reason.code(), &failure.detail);
            tracing::warn!(message_id, command_id, player_id, reason, %detail, "failed");
        }
        Outcome::Rejected(rejection) => {
            // The detail of malformed input quotes it. Its row has the detail.
            let detail = (rejection.reason != RejectionReason::Malformed).then_some(rejection.detail.as_ref());
            let reason = rejection.reason.as_str();
            tracing::info!(message_id, command_id, player_id, reason, detail, "rejected");
        }
        Outcome::Undecided | Outcome::Applied | Outcome::Duplicate(_) => {}
    }
}
