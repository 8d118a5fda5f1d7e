//! A message: one command, a list of commands, or a tick.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{error::Category, value::RawValue};
use serde_path_to_error::{Path, Segment};
use smallvec::{SmallVec, smallvec};

use crate::{
    json::{
        command::{MessageFields, Request},
        value::Object,
    },
    model::ids::{CommandId, PlayerId, clip},
};

/// What a message may be, for errors.
const EXPECTED: &str = "an object: one command, `{\"commands\": [...]}` or a tick";

/// Most characters of a value that an error shows.
const MAX_SHOWN: usize = 64;

/// The commands of a message. Most messages have one, which is kept in place.
pub type ParsedCommands = SmallVec<[Result<Request, MalformedInput>; 1]>;

/// The content of a message.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// One command, or the commands of a list in their order. Each of them may be malformed.
    Commands(ParsedCommands),
    /// A tick: the queues of these players are to be advanced.
    Tick(Vec<PlayerId>),
}

/// Input that can never succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct MalformedInput {
    /// The player, if the input names one in the right place and form.
    pub player_id: Option<PlayerId>,
    /// The command's id, likewise.
    pub command_id: Option<CommandId>,
    /// The field, its value and what is allowed.
    pub detail: String,
    /// The input as it came: the command of a list, or the whole message.
    pub body: String,
}

/// Parses a message: a command, `{"commands": [...]}`, or a tick.
///
/// # Errors
/// [`MalformedInput`] if the message as a whole is malformed. A malformed command of a list is an
/// `Err` within [`Message::Commands`].
pub fn parse_message(body: &str) -> Result<Message, MalformedInput> {
    parse(body, None)
}

/// Parses a message of commands for the queue of `owner`. `playerId` may be absent and can name no
/// other player. A tick is not accepted. Malformed input is attributed to `owner`.
///
/// # Errors
/// [`MalformedInput`] as for [`parse_message`].
pub fn parse_message_for(owner: &PlayerId, body: &str) -> Result<Message, MalformedInput> {
    let attribute = |input: MalformedInput| MalformedInput { player_id: Some(owner.clone()), ..input };
    match parse(body, Some(owner)).map_err(attribute)? {
        Message::Commands(commands) => {
            Ok(Message::Commands(commands.into_iter().map(|command| command.map_err(attribute)).collect()))
        }
        tick => Ok(tick),
    }
}

fn parse(body: &str, owner: Option<&PlayerId>) -> Result<Message, MalformedInput> {
    let fields: MessageFields<'_> = parse_object(body)?;
    if let Some(commands) = fields.command_list() {
        let commands = commands.map_err(|detail| malformed(body, detail))?;
        let parse_one = |body: &&RawValue| {
            let body = body.get();
            let fields: MessageFields<'_> = parse_object(body)?;
            fields.into_request(owner).map_err(|detail| malformed(body, detail))
        };
        return Ok(Message::Commands(commands.iter().map(parse_one).collect()));
    }
    if fields.is_tick() && owner.is_none() {
        return fields.into_tick().map(Message::Tick).map_err(|detail| malformed(body, detail));
    }
    match fields.into_request(owner) {
        Ok(request) => Ok(Message::Commands(smallvec![Ok(request)])),
        Err(detail) => Err(malformed(body, detail)),
    }
}

/// Parses `body`. If that fails, parses it again to find the path of the field.
fn parse_object<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, MalformedInput> {
    if let Ok(Object(value)) = serde_json::from_str(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let (path, value, error) = match serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer) {
        Err(error) => (error.path().to_string(), value_at(body, error.path()), error.into_inner()),
        Ok(_) => match deserializer.end() {
            Err(error) => (".".to_owned(), None, error),
            Ok(()) => return Err(malformed(body, "not readable".to_owned())),
        },
    };
    let mut detail = match error.classify() {
        Category::Syntax | Category::Eof => {
            format!("not JSON: {error}: `{}`; allowed: {EXPECTED}", clip(body, MAX_SHOWN))
        }
        // The path of the whole message is a dot.
        _ if path == "." => error.to_string(),
        _ => format!("{path}: {error}"),
    };
    if let Some(value) = value.map(|value| clip(value, MAX_SHOWN))
        && !is_quoted(&detail, value.trim_matches('"'))
    {
        detail += &format!("; sent: `{value}`");
    }
    Err(malformed(body, clip(&detail, 2_000)))
}

/// Whether the error quotes the value already.
fn is_quoted(detail: &str, value: &str) -> bool {
    detail.contains(&format!("`{value}`")) || detail.contains(&format!("\"{value}\""))
}

/// The value at `path` as it was sent.
fn value_at<'a>(body: &'a str, path: &Path) -> Option<&'a str> {
    let body: &RawValue = serde_json::from_str(body).ok()?;
    let value = path.iter().try_fold(body, |value, segment| match segment {
        Segment::Seq { index } => serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(*index).copied(),
        Segment::Map { key } => {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.get(key).copied()
        }
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    value.map(RawValue::get)
}

/// Malformed input, with the player and the command that it names.
fn malformed(body: &str, detail: String) -> MalformedInput {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    MalformedInput {
        player_id: text("playerId").and_then(|id| PlayerId::new(id).ok()),
        command_id: text("commandId").and_then(|id| CommandId::new(id).ok()),
        detail,
        body: body.to_owned(),
    }
}
