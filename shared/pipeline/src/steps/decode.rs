//! Decode: the bytes of a payload into a batch.
//!
//! A payload is a list of SQS records, an event of EventBridge, or the body of a caller. One bad
//! message does not fail the payload: what cannot be understood is rejected on its own.

use std::{borrow::Cow, fmt, time::Instant};

use millrace_domain::{
    CommandId, Delivery, FifoPosition, PlayerId, RejectionReason, Timestamp, ids,
    json::{self, MalformedInput, Message, Request},
    record::RejectionRecord,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::{Value, value::RawValue};
use smallvec::smallvec;

use crate::{
    batch::{Batch, Source},
    command_names::{CommandNames, unknown_partition},
    context::Context,
    item::Action,
};

/// The `detail-type` of commands on an EventBridge bus.
const DETAIL_TYPE: &str = "TaskQueueCommand";
/// Most characters of another `detail-type` that an error shows.
const MAX_SHOWN: usize = 64;

/// The fields that tell one kind of payload from another, with their contents.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<Vec<&'a RawValue>>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    id: Option<String>,
    time: Option<String>,
}

/// Decodes the payload of an invocation.
pub fn decode(ctx: &Context<'_>, payload: &[u8]) -> Batch {
    let started = Instant::now();
    let text = text_of(payload);
    let mut batch = match serde_json::from_str::<Payload<'_>>(&text) {
        Ok(Payload { records: Some(records), .. }) => decode_records(ctx, &records),
        Ok(event @ Payload { detail_type: Some(_), .. }) => decode_event(ctx, event, &text),
        _ => decode_body(ctx, &text),
    };
    finish(&mut batch, started);
    batch
}

/// Decodes commands that a caller sends for the queue of `player` alone. Each is a separate
/// message, so that results come in the order of the commands.
pub fn decode_for_player(ctx: &Context<'_>, player: &PlayerId, payload: &[u8]) -> Batch {
    let started = Instant::now();
    let mut batch = decode_body_for(ctx, player, &text_of(payload));
    finish(&mut batch, started);
    batch
}

/// Invalid UTF-8 is not JSON. With replacement characters, it can still be kept and shown.
fn text_of(payload: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

fn finish(batch: &mut Batch, started: Instant) {
    batch.players.iter_mut().for_each(|player| player.bound(&mut batch.messages));
    batch.counters.steps.decode = started.elapsed();
}

/// The fields of a record that are used. All others, most of its bytes, are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    body: Body,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(borrow, default, rename = "eventSourceARN")]
    source_arn: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    #[serde(borrow, default)]
    sent_timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow, default)]
    message_group_id: Cow<'a, str>,
}

/// What a body holds. It is read out of the buffer in which the JSON reader removes the escapes: a
/// copy of the body would be dropped at once.
struct Body(Result<Message, MalformedInput>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl Visitor<'_> for BodyVisitor {
            type Value = Body;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, body: &str) -> Result<Body, E> {
                Ok(Body(json::parse_message(body)))
            }
        }
        deserializer.deserialize_str(BodyVisitor)
    }
}

/// Decodes the records of an SQS payload.
fn decode_records(ctx: &Context<'_>, records: &[&RawValue]) -> Batch {
    let mut batch = Batch::new(Source::Sqs, ctx.platform.settings.batching, records.len());
    for (index, record) in records.iter().enumerate() {
        match serde_json::from_str::<Record<'_>>(record.get()) {
            Ok(record) => add_record(ctx, &mut batch, record),
            Err(error) => add_unreadable_record(ctx, &mut batch, index, record.get(), &error),
        }
    }
    batch
}

fn add_record(ctx: &Context<'_>, batch: &mut Batch, record: Record<'_>) {
    let Record { message_id, body: Body(body), attributes, source_arn } = record;
    // Standard queues carry group ids too, for fairness. Only a FIFO queue orders by them.
    let is_fifo = source_arn.ends_with(".fifo") || !attributes.sequence_number.is_empty();
    let group = Some(attributes.message_group_id.as_ref()).filter(|group| is_fifo && !group.is_empty());
    let sequence = attributes.sequence_number.parse().ok();
    let envelope = Envelope {
        message: batch.add_message(message_id.to_string(), group.map(str::to_owned)),
        names: CommandNames::Indexed(&message_id),
        sent_at: attributes.sent_timestamp.parse().map_or(ctx.now, Timestamp::from_millis),
        fifo: group.zip(sequence).map(|(group, sequence)| FifoPlace { group, sequence }),
    };
    add_body(batch, envelope, body);
}

/// A record that is not one of SQS is malformed input. Its body is all of it.
fn add_unreadable_record(ctx: &Context<'_>, batch: &mut Batch, index: usize, record: &str, error: &serde_json::Error) {
    let value: Value = serde_json::from_str(record).unwrap_or_default();
    let id = match value.get("messageId").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => format!("{}:{index}", ctx.invocation.request_id),
    };
    let names = CommandNames::Indexed(&id);
    let message = batch.add_message(id.clone(), None);
    let malformed = MalformedInput {
        player_id: None,
        command_id: None,
        detail: format!("Records[{index}]: not an SQS record: {error}"),
        body: record.to_owned(),
    };
    let envelope = Envelope { message, names, sent_at: ctx.now, fifo: None };
    add_malformed(batch, envelope, malformed, names.name(0, 1));
}

/// Decodes an event of EventBridge, whose `detail` is the body.
fn decode_event(ctx: &Context<'_>, event: Payload<'_>, text: &str) -> Batch {
    let mut batch = Batch::new(Source::EventBridge, ctx.platform.settings.batching, 1);
    let id = event.id.unwrap_or_else(|| ctx.invocation.request_id.clone());
    let envelope = Envelope {
        message: batch.add_message(id.clone(), None),
        names: CommandNames::IndexedIfSeveral(&id),
        sent_at: event.time.and_then(|time| Timestamp::parse(&time).ok()).unwrap_or(ctx.now),
        fifo: None,
    };
    let detail_type = event.detail_type.unwrap_or_default();
    let body = match event.detail {
        Some(detail) if detail_type == DETAIL_TYPE => json::parse_message(detail.get()),
        Some(_) => {
            let shown = ids::clip(&detail_type, MAX_SHOWN);
            Err(malformed(text, format!("detail-type: `{shown}` is not allowed; allowed: {DETAIL_TYPE}")))
        }
        None => Err(malformed(text, "detail: missing".to_owned())),
    };
    add_body(&mut batch, envelope, body);
    batch
}

fn malformed(text: &str, detail: String) -> MalformedInput {
    MalformedInput { player_id: None, command_id: None, detail, body: text.to_owned() }
}

/// Decodes the body of a direct call: commands for any players, or a tick.
fn decode_body(ctx: &Context<'_>, text: &str) -> Batch {
    let mut batch = Batch::new(Source::Direct, ctx.platform.settings.batching, 1);
    let names = CommandNames::Indexed(&ctx.invocation.request_id);
    let envelope = add_message(ctx, &mut batch, names);
    add_body(&mut batch, envelope, json::parse_message(text));
    batch
}

/// Decodes commands for one player. Each is a separate message.
fn decode_body_for(ctx: &Context<'_>, player: &PlayerId, text: &str) -> Batch {
    let mut batch = Batch::new(Source::Direct, ctx.platform.settings.batching, 1);
    let request_id = &ctx.invocation.request_id;
    match json::parse_message_for(player, text) {
        Ok(Message::Commands(commands)) => {
            for (place, command) in commands.into_iter().enumerate() {
                let envelope = add_message(ctx, &mut batch, CommandNames::Place(request_id, place));
                add_body(&mut batch, envelope, command.map(|request| Message::Commands(smallvec![Ok(request)])));
            }
        }
        other => {
            let envelope = add_message(ctx, &mut batch, CommandNames::Indexed(request_id));
            add_body(&mut batch, envelope, other);
        }
    }
    batch
}

fn add_message<'a>(ctx: &'a Context<'_>, batch: &mut Batch, names: CommandNames<'a>) -> Envelope<'a> {
    let message = batch.add_message(ctx.invocation.request_id.clone(), None);
    Envelope { message, names, sent_at: ctx.now, fifo: None }
}

/// What is known of a message beside its body.
#[derive(Debug, Clone, Copy)]
struct Envelope<'a> {
    /// The message, by its position in the batch.
    message: usize,
    /// How its commands are named that bring no name.
    names: CommandNames<'a>,
    /// When it was sent.
    sent_at: Timestamp,
    /// Its place in a FIFO queue; none for any other message.
    fifo: Option<FifoPlace<'a>>,
}

/// The place of a message in a FIFO queue.
#[derive(Debug, Clone, Copy)]
struct FifoPlace<'a> {
    /// The message group.
    group: &'a str,
    /// The sequence number in the queue.
    sequence: u128,
}

/// Adds what a body holds to the batch.
fn add_body(batch: &mut Batch, envelope: Envelope<'_>, body: Result<Message, MalformedInput>) {
    match body {
        Ok(Message::Tick(players)) => {
            for player in players {
                batch.add_item(envelope.message, player, Action::Tick);
            }
        }
        Ok(Message::Commands(commands)) => {
            let count = commands.len();
            for (index, command) in commands.into_iter().enumerate() {
                match command {
                    Ok(request) => add_command(batch, envelope, request, index, count),
                    Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(index, count)),
                }
            }
        }
        Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(0, 1)),
    }
}

fn add_command(batch: &mut Batch, envelope: Envelope<'_>, request: Request, index: usize, count: usize) {
    let Envelope { message, names, sent_at, fifo } = envelope;
    // The sequence orders the commands of a player only where the group is the player.
    let position = fifo
        .filter(|place| place.group == request.player_id.as_str())
        .map(|place| FifoPosition { sequence: place.sequence, index: index as u16 });
    let delivery = Delivery {
        command_id: request.command_id.unwrap_or_else(|| names.name(index, count)),
        player_id: request.player_id.clone(),
        sent_at,
        position,
        command: request.command,
    };
    batch.add_item(message, request.player_id, Action::Command(delivery));
}

/// Adds malformed input under `name`, unless it brings a name.
fn add_malformed(batch: &mut Batch, envelope: Envelope<'_>, malformed: MalformedInput, name: CommandId) {
    let command_id = malformed.command_id.unwrap_or(name);
    let partition = match &malformed.player_id {
        Some(player) => player.as_str().to_owned(),
        None => unknown_partition(&command_id),
    };
    let record = RejectionRecord {
        partition,
        received_at: envelope.sent_at,
        command_id,
        reason: RejectionReason::Malformed,
        detail: malformed.detail,
        command_type: None,
        task_id: None,
        body: Some(malformed.body),
    };
    batch.add_malformed(envelope.message, malformed.player_id, record);
}
