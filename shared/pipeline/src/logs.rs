//! What an invocation of commands and ticks leaves in the log: a line for each item that was not
//! applied, at the level debug one for each that was committed, and what the line of the invocation
//! says about its messages.

use std::fmt::Write as _;

use millrace_domain::{CommandId, RejectionReason};
use millrace_telemetry::{Metric, Record};

use crate::{
    applied::Applied,
    batch::{Batch, MalformedItem, Source},
    item::{Action, Outcome},
    message::Message,
    player::Player,
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

/// Logs the items that a commit has decided: from a message to the version of the queue.
pub fn log_commit(player: &Player, messages: &[Message], applied: &Applied) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (player_id, version) = (player.player_id.as_str(), applied.base_version + 1);
    for item in player.undecided().take(applied.count) {
        let message_id = messages[item.message].id.as_str();
        let command_id = item.action.delivery().map(|delivery| delivery.command_id.as_str());
        tracing::debug!(message_id, command_id, player_id, version, "committed");
    }
}

/// Adds the messages and the ticks to the record of the invocation, and its message.
pub fn measure_batch(record: &mut Record, batch: &Batch, counts: &CommandCounts) {
    if batch.source != Source::Caller {
        let failed = batch.messages.iter().filter(|message| message.is_handed_back).count();
        record.add(Metric::Messages, batch.messages.len() as u64);
        record.add(Metric::MessagesFailed, failed as u64);
    }
    let ticks = batch.items().filter(|(_, item)| item.action == Action::Tick).count() as u64;
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
