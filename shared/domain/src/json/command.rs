//! The fields of commands and ticks, and which of them belong to which `type`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    json::{
        amounts::NamedAmounts,
        value::{Bounded, Object, at_most, one_to},
    },
    model::{
        command::Command,
        ids::{CommandId, PlayerId, TaskId, clip},
        json_text::JsonText,
        queue::MAX_SLOTS,
        resources::{MAX_AMOUNT, Resources},
        task::{Priority, TaskSpec},
    },
};

/// Most commands in one message.
pub const MAX_COMMANDS: usize = 100;
/// Most tasks in one `enqueueTasks`.
pub const MAX_TASKS: usize = 50;
/// Most players in one tick.
pub const MAX_TICK_PLAYERS: usize = 100;
/// Most resources in one `grantResources`.
pub const MAX_GRANTED: usize = 100;
/// Longest `reason` of a `failTask`, in characters.
pub const MAX_REASON_LENGTH: usize = 1024;

/// The types of commands, for errors.
const TYPES: &str = "enqueueTasks, reportProgress, completeTask, failTask, cancelTask, setPriority, \
                     moveToFront, pauseQueue, resumeQueue, clearQueue, grantResources, configureQueue";
/// The fields that every command has.
const COMMON_FIELDS: [&str; 3] = ["type", "playerId", "commandId"];

/// A well-formed command of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The owner of the queue.
    pub player_id: PlayerId,
    /// The command's id, if the message gives one.
    pub command_id: Option<CommandId>,
    /// The command.
    pub command: Command,
}

/// All fields that a message, a command or a tick may have.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object: one command, `{\"commands\": [...]}` or a tick"
)]
pub(super) struct MessageFields<'a> {
    #[serde(borrow, rename = "type")]
    type_name: Option<Cow<'a, str>>,
    player_id: Option<PlayerId>,
    command_id: Option<CommandId>,
    #[serde(default, deserialize_with = "tasks")]
    tasks: Option<Vec<TaskSpec>>,
    task_id: Option<TaskId>,
    units_done: Option<Bounded<0, MAX_AMOUNT>>,
    attempt: Option<Bounded<1, MAX_AMOUNT>>,
    #[serde(default, deserialize_with = "reason")]
    reason: Option<String>,
    retry: Option<bool>,
    result: Option<JsonText>,
    priority: Option<Priority>,
    #[serde(default, deserialize_with = "resources")]
    resources: Option<Resources>,
    slots: Option<Bounded<1, MAX_SLOTS>>,
    max_tasks: Option<Bounded<1, 200>>,
    #[serde(default, deserialize_with = "player_ids")]
    player_ids: Option<Vec<PlayerId>>,
    #[serde(borrow)]
    commands: Option<Vec<&'a RawValue>>,
}

impl<'a> MessageFields<'a> {
    /// The names of the fields that are given.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            self.type_name.is_some().then_some("type"),
            self.player_id.is_some().then_some("playerId"),
            self.command_id.is_some().then_some("commandId"),
            self.tasks.is_some().then_some("tasks"),
            self.task_id.is_some().then_some("taskId"),
            self.units_done.is_some().then_some("unitsDone"),
            self.attempt.is_some().then_some("attempt"),
            self.reason.is_some().then_some("reason"),
            self.retry.is_some().then_some("retry"),
            self.result.is_some().then_some("result"),
            self.priority.is_some().then_some("priority"),
            self.resources.is_some().then_some("resources"),
            self.slots.is_some().then_some("slots"),
            self.max_tasks.is_some().then_some("maxTasks"),
            self.player_ids.is_some().then_some("playerIds"),
            self.commands.is_some().then_some("commands"),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn is_tick(&self) -> bool {
        self.type_name.as_deref() == Some("advanceQueues")
    }

    /// The commands of a list, if the message is one.
    pub(super) fn command_list(&self) -> Option<Result<&[&'a RawValue], String>> {
        let commands = self.commands.as_deref()?;
        if let Some(other) = self.names().find(|field| *field != "commands") {
            return Some(Err(format!("{other}: not allowed beside `commands`")));
        }
        if commands.is_empty() || commands.len() > MAX_COMMANDS {
            let found = commands.len();
            return Some(Err(format!("commands: {found} commands are given; allowed: 1 to {MAX_COMMANDS}")));
        }
        Some(Ok(commands))
    }

    /// The players of a tick.
    pub(super) fn into_tick(self) -> Result<Vec<PlayerId>, String> {
        if let Some(field) = self.names().find(|field| !["type", "playerIds"].contains(field)) {
            return Err(format!("{field}: unknown field of `advanceQueues`; allowed: type, playerIds"));
        }
        required(self.player_ids, "playerIds")
    }

    /// The command. With an owner, `playerId` may be absent and can name no other player.
    pub(super) fn into_request(self, owner: Option<&PlayerId>) -> Result<Request, String> {
        self.check_fields()?;
        let player_id = match (&self.player_id, owner) {
            (Some(named), Some(owner)) if named != owner => {
                return Err(format!("playerId: `{named}` is not allowed here; allowed: `{owner}`, or left out"));
            }
            (named, owner) => required(named.as_ref().or(owner).cloned(), "playerId")?,
        };
        let command_id = self.command_id.clone();
        Ok(Request { player_id, command_id, command: self.into_command()? })
    }

    /// Refuses an unknown type, and every field that a command of this type does not have.
    fn check_fields(&self) -> Result<(), String> {
        let Some(type_name) = self.type_name.as_deref() else {
            return Err(format!("type: missing; allowed: {TYPES}"));
        };
        let fields: &[&str] = match type_name {
            "enqueueTasks" => &["tasks"],
            "reportProgress" => &["taskId", "unitsDone", "attempt"],
            "completeTask" => &["taskId", "attempt", "result"],
            "failTask" => &["taskId", "reason", "attempt", "retry"],
            "cancelTask" | "moveToFront" => &["taskId"],
            "setPriority" => &["taskId", "priority"],
            "pauseQueue" | "resumeQueue" | "clearQueue" => &[],
            "grantResources" => &["resources"],
            "configureQueue" => &["slots", "maxTasks"],
            other => return Err(format!("type: unknown type `{}`; allowed: {TYPES}", clip(other, 64))),
        };
        match self.names().find(|field| !COMMON_FIELDS.contains(field) && !fields.contains(field)) {
            None => Ok(()),
            Some(field) => {
                let allowed = [&COMMON_FIELDS, fields].concat().join(", ");
                Err(format!("{field}: unknown field of `{type_name}`; allowed: {allowed}"))
            }
        }
    }

    /// The command of a type that [`Self::check_fields`] has checked.
    fn into_command(self) -> Result<Command, String> {
        let task_id = |id: Option<TaskId>| required(id, "taskId");
        let attempt = self.attempt.map(|Bounded(attempt)| attempt);
        Ok(match self.type_name.as_deref().unwrap_or_default() {
            "enqueueTasks" => Command::EnqueueTasks { tasks: required(self.tasks, "tasks")? },
            "reportProgress" => Command::ReportProgress {
                task_id: task_id(self.task_id)?,
                units_done: required(self.units_done, "unitsDone")?.0,
                attempt,
            },
            "completeTask" => Command::CompleteTask { task_id: task_id(self.task_id)?, attempt, result: self.result },
            "failTask" => Command::FailTask {
                task_id: task_id(self.task_id)?,
                reason: required(self.reason, "reason")?,
                attempt,
                retry: self.retry.unwrap_or(true),
            },
            "cancelTask" => Command::CancelTask { task_id: task_id(self.task_id)? },
            "setPriority" => {
                Command::SetPriority { task_id: task_id(self.task_id)?, priority: required(self.priority, "priority")? }
            }
            "moveToFront" => Command::MoveToFront { task_id: task_id(self.task_id)? },
            "pauseQueue" => Command::PauseQueue,
            "resumeQueue" => Command::ResumeQueue,
            "clearQueue" => Command::ClearQueue,
            "grantResources" => Command::GrantResources { resources: required(self.resources, "resources")? },
            _ => Command::ConfigureQueue {
                slots: self.slots.map(|Bounded(slots)| slots as u8),
                max_tasks: self.max_tasks.map(|Bounded(max_tasks)| max_tasks as u16),
            },
        })
    }
}

fn required<T>(field: Option<T>, name: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("{name}: missing"))
}

fn tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<TaskSpec>>, D::Error> {
    let Some(tasks) = Option::<Vec<Object<TaskSpec>>>::deserialize(deserializer)? else { return Ok(None) };
    one_to(tasks.into_iter().map(|Object(task)| task).collect(), MAX_TASKS, "tasks").map(Some)
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let reason = Option::<String>::deserialize(deserializer)?;
    at_most(reason.as_ref().map_or(0, |reason| reason.chars().count()), MAX_REASON_LENGTH, "characters")?;
    Ok(reason)
}

fn resources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resources>, D::Error> {
    let resources = Option::<NamedAmounts>::deserialize(deserializer)?;
    resources.map(|named| named.at_most(MAX_GRANTED)).transpose()
}

fn player_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PlayerId>>, D::Error> {
    let Some(players) = Option::deserialize(deserializer)? else { return Ok(None) };
    one_to(players, MAX_TICK_PLAYERS, "players").map(Some)
}
