//! Decode: an event's bytes into commands, ticks and malformed input.
//!
//! Each message is decoded by itself: one bad body must not fail the event. The envelope of SQS, most
//! of the bytes of a batch, has a reader of its own (`sqs`) for the form in which AWS writes it; in any
//! other form each record is read by itself.

use std::{borrow::Cow, fmt};

use millrace_domain::{
    CommandId, Delivery, FifoPosition, PlayerId, RejectionReason, Timestamp,
    json::{self, MalformedInput, Message},
    record::RejectionRecord,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::value::RawValue;

mod sqs;

/// The `detail-type` of commands on an EventBridge bus.
pub const DETAIL_TYPE: &str = "TaskQueueCommand";

/// Where an event came from, which decides how failures are handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// SQS: by batch item failures.
    Sqs,
    /// EventBridge: by failing the invocation, which is asynchronous and tried again.
    EventBridge,
    /// A caller who reads the answer.
    Direct,
}

/// A message of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// What a batch item failure names.
    pub id: String,
    /// The group, of a message from a FIFO queue.
    pub fifo_group: Option<String>,
}

/// One thing to do for one player.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The message that it came in.
    pub message: usize,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Deliver a command.
    Command(Delivery),
    /// Advance the queue to now.
    Tick(PlayerId),
}

impl Task {
    /// Whose queue.
    pub fn player_id(&self) -> &PlayerId {
        match self {
            Self::Command(delivery) => &delivery.player_id,
            Self::Tick(player_id) => player_id,
        }
    }
}

/// Malformed input, ready to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The message that it came in.
    pub message: usize,
    /// The player, where the input names one.
    pub player_id: Option<PlayerId>,
    /// Its row.
    pub record: RejectionRecord,
}

/// An event, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Where it came from.
    pub source: Source,
    /// Its messages.
    pub messages: Vec<MessageInfo>,
    /// The commands and ticks in the order of the messages.
    pub items: Vec<Item>,
    /// What could not be understood.
    pub refused: Vec<Refused>,
}

/// Decodes the bytes of an invocation that began at `now`.
pub fn decode(payload: &[u8], request_id: &str, now: Timestamp) -> Decoded {
    // Invalid UTF-8 is no JSON; replaced, it can still be kept and shown.
    let text = match std::str::from_utf8(payload) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(payload),
    };
    if let Some(decoded) = sqs_as_written(&text, now) {
        return decoded;
    }
    match serde_json::from_str::<Probe<'_>>(&text) {
        Ok(Probe { records: Some(records), .. }) => sqs_one_by_one(&records, request_id, now),
        Ok(Probe { detail_type: Some(detail_type), detail, id, time, .. }) => {
            event_bridge(&text, &detail_type, detail, id, time, request_id, now)
        }
        _ => direct(&text, request_id, now),
    }
}

/// Decodes commands that a caller sends for the queue of `owner` alone. Each is a message of its own, so
/// that results come in the order of the commands.
pub fn decode_for(owner: &PlayerId, payload: &[u8], request_id: &str, now: Timestamp) -> Decoded {
    let text = String::from_utf8_lossy(payload);
    let mut decoder = Decoder::new(Source::Direct, 1);
    let name = |index: usize| fallback_id(request_id, Some(index));
    match json::parse_message_for(owner, &text) {
        Ok(Message::Commands(commands)) => {
            for (index, command) in commands.into_iter().enumerate() {
                let message = decoder.message(request_id.to_owned(), None);
                let body = command.map(|request| Message::Commands(smallvec::smallvec![Ok(request)]));
                decoder.body(message, body, &|_, _| name(index), now, None, None);
            }
        }
        other => {
            let message = decoder.message(request_id.to_owned(), None);
            decoder.body(message, other, &|index, _| name(index), now, None, None);
        }
    }
    decoder.decoded
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    body: Body,
    #[serde(borrow, default)]
    attributes: SqsAttributes<'a>,
    #[serde(borrow, default, rename = "eventSourceARN")]
    source_arn: Cow<'a, str>,
}

/// What a body holds. It is read where it stands, or where the JSON reader has put it without its
/// escapes: a copy of it would be thrown away at once.
struct Body(Result<Message, MalformedInput>);

impl Body {
    fn of(text: &str) -> Self {
        Self(json::parse_message(text))
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl Visitor<'_> for BodyVisitor {
            type Value = Body;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, body: &str) -> Result<Body, E> {
                Ok(Body::of(body))
            }
        }
        deserializer.deserialize_str(BodyVisitor)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct SqsAttributes<'a> {
    #[serde(borrow, default)]
    sent_timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow, default)]
    message_group_id: Cow<'a, str>,
}

/// What tells one sort of event from another.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<Vec<&'a RawValue>>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    id: Option<String>,
    time: Option<String>,
}

/// An event of SQS in the form in which AWS writes it. Its records are decoded one by one as they are
/// read: a list of them all would be the largest thing that an invocation holds.
fn sqs_as_written(text: &str, now: Timestamp) -> Option<Decoded> {
    // About the least that a record takes with all its fields; room that is not used costs nothing.
    const RECORD_BYTES: usize = 700;
    let mut decoder = Decoder::new(Source::Sqs, text.len() / RECORD_BYTES + 1);
    sqs::read(text, |record| decoder.sqs_record(record, now))?;
    Some(decoder.decoded)
}

/// Records in some other form: each is read on its own, and what is none of SQS is malformed.
fn sqs_one_by_one(records: &[&RawValue], request_id: &str, now: Timestamp) -> Decoded {
    let mut decoder = Decoder::new(Source::Sqs, records.len());
    for (index, record) in records.iter().enumerate() {
        match serde_json::from_str::<SqsRecord<'_>>(record.get()) {
            Ok(record) => decoder.sqs_record(record, now),
            Err(error) => {
                let value: serde_json::Value = serde_json::from_str(record.get()).unwrap_or_default();
                let id = match value.get("messageId").and_then(serde_json::Value::as_str) {
                    Some(id) => id.to_owned(),
                    None => format!("{request_id}:{index}"),
                };
                let message = decoder.message(id.clone(), None);
                let malformed = MalformedInput {
                    player_id: None,
                    command_id: None,
                    detail: format!("Records[{index}]: no SQS record: {error}"),
                    body: record.get().to_owned(),
                };
                decoder.refuse(message, fallback_id(&id, Some(0)), malformed, now);
            }
        }
    }
    decoder.decoded
}

fn event_bridge(
    text: &str,
    detail_type: &str,
    detail: Option<&RawValue>,
    id: Option<String>,
    time: Option<String>,
    request_id: &str,
    now: Timestamp,
) -> Decoded {
    let mut decoder = Decoder::new(Source::EventBridge, 1);
    let id = id.unwrap_or_else(|| request_id.to_owned());
    let sent_at = time.and_then(|time| Timestamp::parse(&time).ok()).unwrap_or(now);
    let message = decoder.message(id.clone(), None);
    let malformed =
        |detail: String| MalformedInput { player_id: None, command_id: None, detail, body: text.to_owned() };
    match detail {
        Some(detail) if detail_type == DETAIL_TYPE => {
            let single = |index: usize, count: usize| fallback_id(&id, (count > 1).then_some(index));
            decoder.body(message, json::parse_message(detail.get()), &single, sent_at, None, None);
        }
        Some(_) => {
            let detail = format!(
                "detail-type: `{}` is not allowed; allowed: {DETAIL_TYPE}",
                millrace_domain::ids::clip(detail_type, 64)
            );
            decoder.refuse(message, fallback_id(&id, None), malformed(detail), sent_at);
        }
        None => decoder.refuse(message, fallback_id(&id, None), malformed("detail: missing".to_owned()), sent_at),
    }
    decoder.decoded
}

fn direct(text: &str, request_id: &str, now: Timestamp) -> Decoded {
    let mut decoder = Decoder::new(Source::Direct, 1);
    let message = decoder.message(request_id.to_owned(), None);
    let name = |index: usize, _: usize| fallback_id(request_id, Some(index));
    decoder.body(message, json::parse_message(text), &name, now, None, None);
    decoder.decoded
}

struct Decoder {
    decoded: Decoded,
}

impl Decoder {
    fn new(source: Source, messages: usize) -> Self {
        let decoded = Decoded {
            source,
            messages: Vec::with_capacity(messages),
            items: Vec::with_capacity(messages),
            refused: Vec::new(),
        };
        Self { decoded }
    }

    fn message(&mut self, id: String, fifo_group: Option<String>) -> usize {
        self.decoded.messages.push(MessageInfo { id, fifo_group });
        self.decoded.messages.len() - 1
    }

    fn sqs_record(&mut self, record: SqsRecord<'_>, now: Timestamp) {
        let SqsRecord { message_id, body, attributes, source_arn } = record;
        let sent_at = attributes.sent_timestamp.parse().map_or(now, Timestamp::from_millis);
        // Standard queues carry group ids too (fair queues); only a FIFO queue orders by them.
        let fifo = source_arn.ends_with(".fifo") || !attributes.sequence_number.is_empty();
        let group = (fifo && !attributes.message_group_id.is_empty()).then(|| attributes.message_group_id.to_string());
        let sequence = if group.is_some() { sequence_number(&attributes.sequence_number) } else { None };
        let message = self.message(message_id.to_string(), group);
        let name = |index: usize, _: usize| fallback_id(&message_id, Some(index));
        self.body(message, body.0, &name, sent_at, sequence, Some(&attributes.message_group_id));
    }

    /// Takes one body; `name` gives the id of a command that has none, by its index and their number.
    fn body(
        &mut self,
        message: usize,
        body: Result<Message, MalformedInput>,
        name: &dyn Fn(usize, usize) -> CommandId,
        sent_at: Timestamp,
        sequence: Option<u128>,
        group: Option<&str>,
    ) {
        match body {
            Ok(Message::Tick(players)) => {
                self.decoded.items.extend(players.into_iter().map(|player| Item { message, task: Task::Tick(player) }));
            }
            Ok(Message::Commands(commands)) => {
                let count = commands.len();
                for (index, command) in commands.into_iter().enumerate() {
                    match command {
                        Ok(request) => {
                            let position = sequence
                                .filter(|_| group == Some(request.player_id.as_str()))
                                .map(|sequence| FifoPosition { sequence, index: index as u16 });
                            let delivery = Delivery {
                                command_id: request.command_id.unwrap_or_else(|| name(index, count)),
                                player_id: request.player_id,
                                sent_at,
                                position,
                                command: request.command,
                            };
                            self.decoded.items.push(Item { message, task: Task::Command(delivery) });
                        }
                        Err(malformed) => self.refuse(message, name(index, count), malformed, sent_at),
                    }
                }
            }
            Err(malformed) => self.refuse(message, name(0, 1), malformed, sent_at),
        }
    }

    fn refuse(&mut self, message: usize, name: CommandId, malformed: MalformedInput, received_at: Timestamp) {
        let command_id = malformed.command_id.unwrap_or(name);
        let partition = match &malformed.player_id {
            Some(player) => player.as_str().to_owned(),
            None => unknown_partition(&command_id),
        };
        self.decoded.refused.push(Refused {
            message,
            player_id: malformed.player_id,
            record: RejectionRecord {
                partition,
                received_at,
                command_id,
                reason: RejectionReason::Malformed,
                detail: malformed.detail,
                command_type: None,
                task_id: None,
                body: Some(malformed.body),
            },
        });
    }
}

/// A sequence number, which has 20 digits: one too many for 64 bits. Its last 19 are read as such, several
/// times as fast as 128 bits.
fn sequence_number(text: &str) -> Option<u128> {
    const LOW: usize = 19;
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len().checked_sub(LOW).and_then(|at| text.split_at_checked(at)) {
        Some((high, low)) if are_digits(high) && are_digits(low) => {
            let (high, low): (u128, u64) = (high.parse().ok()?, low.parse().ok()?);
            high.checked_mul(10_u128.pow(LOW as u32))?.checked_add(low.into())
        }
        _ => text.parse().ok(),
    }
}

/// `unknown#<hex digit>`: malformed input without a player is spread over 16 partitions, and a second
/// delivery goes to the same one.
fn unknown_partition(command_id: &CommandId) -> String {
    let digit = millrace_domain::command_memory::hash(command_id)[0] & 0xf;
    format!("unknown#{digit:x}")
}

/// The name of a command that brings none: `<id>:<index>`, or the id alone. Message ids of AWS fit as
/// they are; anything else is made to fit.
fn fallback_id(id: &str, index: Option<usize>) -> CommandId {
    let name = match index {
        Some(index) => CommandId::with_index(id, index),
        None => CommandId::new(id),
    };
    name.unwrap_or_else(|_| {
        let fitting = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-') { c } else { '_' };
        let start: String = id.chars().take(100).map(fitting).collect();
        let name = format!("{start}:{}", index.unwrap_or(0));
        CommandId::new(&name).unwrap_or_else(|_| unreachable!("made of what is allowed"))
    })
}
