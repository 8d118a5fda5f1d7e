//! What became of the commands, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{answers::CommandResult, send::portions::Portion};

/// The most results that are listed. The others are only counted.
const MAX_LISTED: usize = 50;

/// What became of all commands.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcomes {
    /// Commands that were sent.
    pub sent: u64,
    /// Taken by a queue or bus; what becomes of them is not known yet.
    pub accepted: u64,
    pub applied: u64,
    pub duplicate: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Refused and failed commands by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first refused and failed commands.
    pub results: Vec<Listed>,
}

/// A command that was refused or failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub player_id: String,
    pub command_id: String,
    pub status: String,
    pub reason: String,
    pub detail: String,
}

impl Outcomes {
    /// Whether every command was applied before, applied now, or accepted.
    pub fn is_good(&self) -> bool {
        self.rejected + self.failed == 0
    }

    /// A queue or bus has taken the commands of a portion.
    pub fn accept(&mut self, portion: &Portion) {
        self.sent += portion.commands.len() as u64;
        self.accepted += portion.commands.len() as u64;
    }

    /// All commands of a portion have failed.
    pub fn fail(&mut self, portion: &Portion, reason: &str, detail: &str) {
        for command in &portion.commands {
            self.failed += 1;
            self.list(portion.player.clone(), command.id.clone(), "failed", reason, detail);
        }
    }

    /// The results of the commands of a portion.
    pub fn add(&mut self, results: Vec<CommandResult>) {
        for result in results {
            self.sent += 1;
            match result.status.as_str() {
                "applied" => self.applied += 1,
                "duplicate" => self.duplicate += 1,
                status => {
                    let count = if status == "rejected" { &mut self.rejected } else { &mut self.failed };
                    *count += 1;
                    let reason = result.reason.unwrap_or_default();
                    let detail = result.detail.unwrap_or_default();
                    let command = result.command_id.unwrap_or_default();
                    self.list(result.player_id.unwrap_or_default(), command, status, &reason, &detail);
                }
            }
        }
    }

    /// Adds the outcomes of other commands.
    pub fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.applied += other.applied;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.failed += other.failed;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.results.extend(other.results);
        self.results.truncate(MAX_LISTED);
    }

    fn list(&mut self, player_id: String, command_id: String, status: &str, reason: &str, detail: &str) {
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
        if self.results.len() < MAX_LISTED {
            let (status, reason, detail) = (status.to_owned(), reason.to_owned(), detail.to_owned());
            self.results.push(Listed { player_id, command_id, status, reason, detail });
        }
    }
}
