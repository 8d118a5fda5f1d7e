//! JSON of commands and ticks into domain types, with errors that name the field, the value and
//! what is allowed.
//!
//! A message is read in one pass into a flat struct of all fields that any command has; which of
//! them belong to its `type` is checked after. That is faster than a tagged enum, which buffers, and
//! tells more. Only where that fails is it read again with the path to each field tracked.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};
use serde_json::{error::Category, value::RawValue};
use smallvec::{SmallVec, smallvec};

use crate::{
    command::Command,
    ids::{CommandId, PlayerId, TaskId, clip},
    resources::{MAX_AMOUNT, Resources},
    task::{Priority, TaskSpec, at_most},
};

/// Most commands in one message.
pub const MAX_COMMANDS: usize = 100;
/// Most tasks in one `enqueueTasks`.
pub const MAX_TASKS: usize = 50;
/// Most players in one tick.
pub const MAX_TICK_PLAYERS: usize = 100;
/// Most resources in one `grantResources`.
pub const MAX_GRANTED: usize = 100;
/// What a message may be, for errors.
const EXPECTED: &str = "an object: one command, `{\"commands\": [...]}` or a tick";
/// Longest `reason` of a `failTask`, in characters.
pub const MAX_REASON_LENGTH: usize = 1024;

/// The commands of a message. It is one as a rule, which lies in place.
pub type Commands = SmallVec<[Result<Request, Malformed>; 1]>;

/// What one message holds.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// One command, or each command of a list in its order; one that is malformed spoils only itself.
    Commands(Commands),
    /// A tick: these queues are to be advanced.
    Tick(Vec<PlayerId>),
}

/// A well-formed command of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whose queue.
    pub player_id: PlayerId,
    /// The command's name, where the message gives one.
    pub command_id: Option<CommandId>,
    /// What is asked.
    pub command: Command,
}

/// Input that can never succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Malformed {
    /// The player, where the input names one in the right place and form.
    pub player_id: Option<PlayerId>,
    /// The command's name, likewise.
    pub command_id: Option<CommandId>,
    /// The field, its value and what is allowed.
    pub detail: String,
    /// The malformed input as it came: the command of a list, or the whole message.
    pub body: String,
}

/// Reads the body of one message: a command, `{"commands": [...]}`, or a tick.
///
/// # Errors
/// [`Malformed`] where the message as a whole cannot be understood; a single command of a list that
/// cannot is an `Err` of its own inside [`Message::Commands`].
pub fn message(body: &str) -> Result<Message, Malformed> {
    read_message(body, None)
}

/// Reads a message of commands for the queue of `owner` alone: `playerId` may be left out, and nobody
/// else can be named. A tick is no command. What is malformed belongs to `owner`, whatever it names.
///
/// # Errors
/// [`Malformed`] likewise.
pub fn message_to(owner: &PlayerId, body: &str) -> Result<Message, Malformed> {
    let to_owner = |malformed: Malformed| Malformed { player_id: Some(owner.clone()), ..malformed };
    match read_message(body, Some(owner)).map_err(to_owner)? {
        Message::Commands(commands) => {
            Ok(Message::Commands(commands.into_iter().map(|command| command.map_err(to_owner)).collect()))
        }
        tick => Ok(tick),
    }
}

fn read_message(body: &str, owner: Option<&PlayerId>) -> Result<Message, Malformed> {
    let raw: Raw<'_> = read(body)?;
    let malformed = |detail: String| describe(body, detail);
    if let Some(commands) = &raw.commands {
        if let Some(other) = raw.fields().find(|field| *field != "commands") {
            return Err(malformed(format!("{other}: not allowed beside `commands`")));
        }
        if commands.is_empty() || commands.len() > MAX_COMMANDS {
            return Err(malformed(format!(
                "commands: {} commands are given; allowed: 1 to {MAX_COMMANDS}",
                commands.len()
            )));
        }
        let single = |body: &&RawValue| {
            let body = body.get();
            read::<Raw<'_>>(body).and_then(|raw| raw.into_request(owner).map_err(|detail| describe(body, detail)))
        };
        return Ok(Message::Commands(commands.iter().map(single).collect()));
    }
    if raw.kind.as_deref() == Some("advanceQueues") && owner.is_none() {
        return raw.into_tick().map(Message::Tick).map_err(malformed);
    }
    match raw.into_request(owner) {
        Ok(request) => Ok(Message::Commands(smallvec![Ok(request)])),
        Err(detail) => Err(malformed(detail)),
    }
}

/// Every field that a command or tick may have.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object: one command, `{\"commands\": [...]}` or a tick"
)]
struct Raw<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    player_id: Option<PlayerId>,
    command_id: Option<CommandId>,
    #[serde(default, deserialize_with = "tasks")]
    tasks: Option<Vec<TaskSpec>>,
    task_id: Option<TaskId>,
    #[serde(default, deserialize_with = "amount")]
    units_done: Option<u64>,
    #[serde(default, deserialize_with = "reason")]
    reason: Option<String>,
    priority: Option<Priority>,
    #[serde(default, deserialize_with = "granted")]
    resources: Option<Resources>,
    #[serde(default, deserialize_with = "slots")]
    slots: Option<u8>,
    #[serde(default, deserialize_with = "max_tasks")]
    max_tasks: Option<u16>,
    #[serde(default, deserialize_with = "tick_players")]
    player_ids: Option<Vec<PlayerId>>,
    #[serde(borrow)]
    commands: Option<Vec<&'a RawValue>>,
}

impl Raw<'_> {
    /// The names of the fields that are given.
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        [
            self.kind.is_some().then_some("type"),
            self.player_id.is_some().then_some("playerId"),
            self.command_id.is_some().then_some("commandId"),
            self.tasks.is_some().then_some("tasks"),
            self.task_id.is_some().then_some("taskId"),
            self.units_done.is_some().then_some("unitsDone"),
            self.reason.is_some().then_some("reason"),
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

    /// Refuses every field that a command of this type does not have.
    fn only(&self, allowed: &[&str]) -> Result<(), String> {
        let always = ["type", "playerId", "commandId"];
        match self.fields().find(|field| !always.contains(field) && !allowed.contains(field)) {
            None => Ok(()),
            Some(field) => Err(format!(
                "{field}: unknown field of `{}`; allowed: {}",
                self.kind.as_deref().unwrap_or_default(),
                [&always, allowed].concat().join(", "),
            )),
        }
    }

    fn into_tick(self) -> Result<Vec<PlayerId>, String> {
        if let Some(field) = self.fields().find(|field| !["type", "playerIds"].contains(field)) {
            return Err(format!("{field}: unknown field of `advanceQueues`; allowed: type, playerIds"));
        }
        required(self.player_ids, "playerIds")
    }

    fn into_request(self, owner: Option<&PlayerId>) -> Result<Request, String> {
        const TYPES: &str = "enqueueTasks, reportProgress, failTask, cancelTask, setPriority, moveToFront, \
                             pauseQueue, resumeQueue, clearQueue, grantResources, configureQueue";
        let Some(kind) = self.kind.as_deref() else {
            return Err(format!("type: missing; allowed: {TYPES}"));
        };
        let fields: &[&str] = match kind {
            "enqueueTasks" => &["tasks"],
            "reportProgress" => &["taskId", "unitsDone"],
            "failTask" => &["taskId", "reason"],
            "cancelTask" | "moveToFront" => &["taskId"],
            "setPriority" => &["taskId", "priority"],
            "pauseQueue" | "resumeQueue" | "clearQueue" => &[],
            "grantResources" => &["resources"],
            "configureQueue" => &["slots", "maxTasks"],
            other => return Err(format!("type: unknown type `{}`; allowed: {TYPES}", clip(other, 64))),
        };
        self.only(fields)?;
        let player_id = match (self.player_id, owner) {
            (Some(named), Some(owner)) if named != *owner => {
                return Err(format!("playerId: `{named}` is not allowed here; allowed: `{owner}`, or left out"));
            }
            (named, owner) => required(named.or_else(|| owner.cloned()), "playerId")?,
        };
        let task_id = |id: Option<TaskId>| required(id, "taskId");
        let command = match kind {
            "enqueueTasks" => Command::EnqueueTasks { tasks: required(self.tasks, "tasks")? },
            "reportProgress" => Command::ReportProgress {
                task_id: task_id(self.task_id)?,
                units_done: required(self.units_done, "unitsDone")?,
            },
            "failTask" => {
                Command::FailTask { task_id: task_id(self.task_id)?, reason: required(self.reason, "reason")? }
            }
            "cancelTask" => Command::CancelTask { task_id: task_id(self.task_id)? },
            "setPriority" => {
                Command::SetPriority { task_id: task_id(self.task_id)?, priority: required(self.priority, "priority")? }
            }
            "moveToFront" => Command::MoveToFront { task_id: task_id(self.task_id)? },
            "pauseQueue" => Command::PauseQueue,
            "resumeQueue" => Command::ResumeQueue,
            "clearQueue" => Command::ClearQueue,
            "grantResources" => Command::GrantResources { resources: required(self.resources, "resources")? },
            _ => Command::ConfigureQueue { slots: self.slots, max_tasks: self.max_tasks },
        };
        Ok(Request { player_id, command_id: self.command_id, command })
    }
}

fn required<T>(field: Option<T>, name: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("{name}: missing"))
}

/// A JSON object, and nothing else: a derived implementation would take an array for a struct too,
/// its fields by their position.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// Reads `body`; a failure is read again for the path to the field.
fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Malformed> {
    if let Ok(Object(value)) = serde_json::from_str(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let (path, error) = match serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer) {
        Err(error) => (error.path().to_string(), error.into_inner()),
        Ok(_) => match deserializer.end() {
            Err(error) => (".".to_owned(), error),
            Ok(()) => return Err(describe(body, "not readable".to_owned())),
        },
    };
    let error = match error.classify() {
        Category::Syntax | Category::Eof => {
            format!("not JSON: {error}: `{}`; allowed: {EXPECTED}", clip(body, 64))
        }
        // The path of the whole is a dot.
        _ if path == "." => error.to_string(),
        _ => format!("{path}: {error}"),
    };
    Err(describe(body, clip(&error, 2_000)))
}

/// A malformed input, with what of it names its player and command.
fn describe(body: &str, detail: String) -> Malformed {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    Malformed {
        player_id: text("playerId").and_then(|id| PlayerId::new(id).ok()),
        command_id: text("commandId").and_then(|id| CommandId::new(id).ok()),
        detail,
        body: body.to_owned(),
    }
}

/// Reads a whole number from `min` to `max`; anything else is refused with its value.
pub(crate) fn bounded<'de, D: Deserializer<'de>>(deserializer: D, min: u64, max: u64) -> Result<u64, D::Error> {
    struct Visitor {
        min: u64,
        max: u64,
    }
    impl Visitor {
        fn refuse<E: de::Error>(&self, value: impl fmt::Display) -> E {
            E::custom(format!("`{value}` is not allowed; allowed: a whole number from {} to {}", self.min, self.max))
        }
    }
    impl de::Visitor<'_> for Visitor {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {} to {}", self.min, self.max)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            if (self.min..=self.max).contains(&value) { Ok(value) } else { Err(self.refuse(value)) }
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            match u64::try_from(value) {
                Ok(value) => self.visit_u64(value),
                Err(_) => Err(self.refuse(value)),
            }
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
            Err(self.refuse(value))
        }
    }
    deserializer.deserialize_u64(Visitor { min, max })
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    bounded(deserializer, 0, MAX_AMOUNT).map(Some)
}

fn slots<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    bounded(deserializer, 1, 10).map(|n| Some(n as u8))
}

fn max_tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    bounded(deserializer, 1, 200).map(|n| Some(n as u16))
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let reason = String::deserialize(deserializer)?;
    at_most(reason.chars().count(), MAX_REASON_LENGTH, "characters")?;
    Ok(Some(reason))
}

fn tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<TaskSpec>>, D::Error> {
    let tasks = listed::<Object<TaskSpec>, D>(deserializer, MAX_TASKS, "tasks")?;
    Ok(tasks.map(|tasks| tasks.into_iter().map(|Object(task)| task).collect()))
}

fn tick_players<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PlayerId>>, D::Error> {
    listed(deserializer, MAX_TICK_PLAYERS, "players")
}

fn granted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resources>, D::Error> {
    let resources = Resources::deserialize(deserializer)?;
    at_most(resources.len(), MAX_GRANTED, "resources")?;
    Ok(Some(resources))
}

fn listed<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    max: usize,
    what: &str,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Vec::<T>::deserialize(deserializer)?;
    if list.is_empty() || list.len() > max {
        return Err(de::Error::custom(format!("{} {what} are given; allowed: 1 to {max}", list.len())));
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests;
