//! Commands of a caller who waits: all for one queue, all results in their order, and the new queue.
//!
//! They go through the same steps as those of an event. Between decoding and applying, the caller's
//! rights can be checked: until [`Service::apply_commands`] nothing has happened.

use millrace_domain::{Command, PlayerId, Timestamp, view::QueueView};
use serde::Serialize;

use crate::{
    answer::CommandResult,
    decode::{Decoded, Task, decode_for},
    report::Report,
    service::{Invocation, Service},
};

/// Commands that are read and not applied yet.
#[derive(Debug)]
pub struct ReadCommands {
    player_id: PlayerId,
    decoded: Decoded,
    started: std::time::Instant,
    now: Timestamp,
}

impl ReadCommands {
    /// The well-formed ones, each with its place in the list.
    pub fn well_formed(&self) -> impl Iterator<Item = (usize, &Command)> {
        self.decoded.items.iter().filter_map(|item| match &item.task {
            Task::Command(delivery) => Some((item.message, &delivery.command)),
            Task::Tick(_) => None,
        })
    }
}

/// What became of a caller's commands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandsAnswer {
    /// All results, in the order of the commands.
    pub results: Vec<CommandResult>,
    /// The queue after them; left out where none of them was understood, or they failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueView>,
    /// What it took.
    pub report: Report,
}

impl Service {
    /// Reads commands for the queue of `player_id`: a command or `{"commands": [...]}`. A command need not
    /// name the player, and can name no other. What is malformed spoils only itself.
    pub fn read_commands(&self, player_id: &PlayerId, payload: &[u8], request_id: &str) -> ReadCommands {
        let started = std::time::Instant::now();
        let now = self.now();
        let decoded = decode_for(player_id, payload, request_id, now);
        ReadCommands { player_id: player_id.clone(), decoded, started, now }
    }

    /// Applies them, and records what was refused or malformed.
    pub async fn apply_commands(&self, commands: ReadCommands, invocation: &Invocation) -> CommandsAnswer {
        let ReadCommands { player_id, decoded, started, now } = commands;
        let (answer, held) = self.carry(decoded, Some(&player_id), invocation, started, now).await;
        self.performance.commands(&answer.report);
        let queue = held.map(|held| QueueView::new(&held.cached.queue, now, self.settings.rules));
        CommandsAnswer { results: answer.results, queue, report: answer.report }
    }
}
