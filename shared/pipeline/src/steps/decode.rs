//! Decode: the bytes of a payload into a batch.
//!
//! | payload | messages |
//! |---|---|
//! | an object with `Records` | one for each record of SQS |
//! | an array, as EventBridge Pipes sends it | one for each element: a record of SQS, or a body |
//! | anything else | the body |
//!
//! A body is a command, a list of commands or a tick, or one that EventBridge or SNS has wrapped.
//! One bad message does not fail the payload: what cannot be understood is rejected on its own.

use std::{borrow::Cow, fmt, time::Instant};

use millrace_domain::{
    CommandId, Delivery, FifoPlace, FifoPosition, FifoQueueId, PlayerId, RejectionReason, Sender, Timestamp,
    json::{self, MalformedInput, Message, Request},
    record::RejectionRecord,
};
use millrace_telemetry::trace::{self, TARGET};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::{Value, value::RawValue};
use smallvec::smallvec;
use tracing::instrument;

use crate::{
    batch::{Batch, Source},
    command_names::{CommandNames, unknown_partition},
    context::Context,
    envelope::{Body, malformed},
    item::Action,
    message_trace::trace_of_record,
    text::Text,
};

/// Why a message with other bytes is refused.
const NOT_UTF8: &str = "the message is not UTF-8; allowed: JSON in UTF-8";

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// Decodes the payload of an invocation.
#[instrument(target = TARGET, level = "info", skip_all)]
pub fn decode(ctx: &Context<'_>, payload: &[u8]) -> Batch {
    let started = Instant::now();
    let text = Text::new(payload);
    let mut batch = if let Ok(payload) = serde_json::from_str::<Payload<'_>>(text.as_str()) {
        decode_records(ctx, &text, &payload.records)
    } else {
        match serde_json::from_str::<Vec<&RawValue>>(text.as_str()) {
            Ok(elements) if !elements.is_empty() => decode_elements(ctx, &text, &elements),
            _ => decode_body(ctx, &text),
        }
    };
    finish(&mut batch, started);
    batch
}

/// Decodes commands that `sender` sends for the queue of `player` alone. Each is a separate
/// message, so that results come in the order of the commands. Commands without a name get one that
/// is made from `id`.
#[instrument(target = TARGET, name = "decode", level = "info", skip_all)]
pub fn decode_for_player(ctx: &Context<'_>, player: &PlayerId, sender: Sender, id: &str, payload: &[u8]) -> Batch {
    let started = Instant::now();
    let mut batch = decode_body_for(ctx, player, sender, id, &Text::new(payload));
    batch.counters.usage.http_requests = 1;
    finish(&mut batch, started);
    batch
}

fn finish(batch: &mut Batch, started: Instant) {
    batch.players.iter_mut().for_each(|player| player.bound(&mut batch.messages));
    batch.messages.iter().filter_map(|message| message.trace).for_each(trace::link);
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
    #[serde(borrow, default)]
    message_attributes: Option<&'a RawValue>,
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
    #[serde(borrow, default, rename = "AWSTraceHeader")]
    trace_header: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Body {
    /// Reads the body out of the buffer in which the JSON reader removes the escapes: a copy of it
    /// would be dropped at once.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl Visitor<'_> for BodyVisitor {
            type Value = Body;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, body: &str) -> Result<Body, E> {
                Ok(Body::parse(body))
            }
        }
        deserializer.deserialize_str(BodyVisitor)
    }
}

/// Decodes the records of an SQS payload.
fn decode_records(ctx: &Context<'_>, text: &Text<'_>, records: &[&RawValue]) -> Batch {
    let mut batch = Batch::new(Source::Sqs, ctx.platform.settings.batching, records.len());
    for (index, record) in records.iter().map(|record| record.get()).enumerate() {
        match serde_json::from_str::<Record<'_>>(record) {
            Ok(record_of_sqs) if text.is_utf8(record) => add_record(ctx, &mut batch, record_of_sqs),
            Ok(_) => add_unreadable_record(ctx, &mut batch, index, record, NOT_UTF8.to_owned()),
            Err(error) => {
                let detail = format!("Records[{index}]: not an SQS record: {error}");
                add_unreadable_record(ctx, &mut batch, index, record, detail);
            }
        }
    }
    let requests = requests_of_lambda(records.len());
    match batch.messages.iter().any(|message| message.fifo_group.is_some()) {
        true => batch.counters.usage.fifo_requests += requests,
        false => batch.counters.usage.standard_requests += requests,
    }
    batch
}

/// The requests by which Lambda receives and deletes messages, at most ten in each.
fn requests_of_lambda(messages: usize) -> u64 {
    2 * messages.div_ceil(10) as u64
}

fn add_record(ctx: &Context<'_>, batch: &mut Batch, record: Record<'_>) {
    let Record { message_id, body, attributes, message_attributes, source_arn } = record;
    let Body { id, trace, message } = body;
    // Standard queues carry group ids too, for fairness. Only a FIFO queue orders by them.
    let is_fifo = source_arn.ends_with(".fifo") || !attributes.sequence_number.is_empty();
    let group = Some(attributes.message_group_id.as_ref()).filter(|group| is_fifo && !group.is_empty());
    let sequence = attributes.sequence_number.parse().ok();
    let envelope = Envelope {
        message: batch.add_message(message_id.to_string(), group.map(str::to_owned)),
        names: CommandNames { id: id.as_deref().unwrap_or(&message_id), first: 0 },
        sender: Sender::Trusted,
        sent_at: attributes.sent_timestamp.parse().map_or(ctx.now, Timestamp::from_millis),
        fifo: group.zip(sequence).map(|(group, sequence)| {
            let queue = FifoQueueId::of(&source_arn);
            FifoMessage { queue, group, sequence }
        }),
    };
    let trace = trace_of_record(&attributes.trace_header, message_attributes).or(trace);
    batch.messages[envelope.message].trace = trace;
    add_body(batch, envelope, message);
}

/// A record that is not one of SQS is malformed input. Its body is all of it.
fn add_unreadable_record(ctx: &Context<'_>, batch: &mut Batch, index: usize, record: &str, detail: String) {
    let value: Value = serde_json::from_str(record).unwrap_or_default();
    let id = match value.get("messageId").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => format!("{}:{index}", ctx.invocation.request_id),
    };
    let names = CommandNames { id: &id, first: 0 };
    let message = batch.add_message(id.clone(), None);
    let envelope = Envelope { message, names, sender: Sender::Trusted, sent_at: ctx.now, fifo: None };
    add_malformed(batch, envelope, malformed(record, detail), names.name(0));
}

/// Decodes the elements of an array. Commands without a name are numbered through all of it.
fn decode_elements(ctx: &Context<'_>, text: &Text<'_>, elements: &[&RawValue]) -> Batch {
    let mut batch = Batch::new(Source::Invoker, ctx.platform.settings.batching, elements.len());
    let mut first = 0;
    for element in elements.iter().map(|element| element.get()) {
        match serde_json::from_str::<Record<'_>>(element) {
            Ok(record) if text.is_utf8(element) => add_record(ctx, &mut batch, record),
            _ => first += add_element(ctx, &mut batch, text, element, first),
        }
    }
    batch
}

/// Decodes the body of a direct call: commands for any players, or a tick.
fn decode_body(ctx: &Context<'_>, text: &Text<'_>) -> Batch {
    let mut batch = Batch::new(Source::Invoker, ctx.platform.settings.batching, 1);
    add_element(ctx, &mut batch, text, text.as_str(), 0);
    batch
}

/// Adds a body that came without an envelope of SQS. Returns how many commands it has.
fn add_element(ctx: &Context<'_>, batch: &mut Batch, text: &Text<'_>, element: &str, first: usize) -> usize {
    let Body { id, trace, message } = match text.is_utf8(element) {
        true => Body::parse(element),
        false => Body { id: None, trace: None, message: Err(malformed(element, NOT_UTF8.to_owned())) },
    };
    let commands = match &message {
        Ok(Message::Commands(commands)) => commands.len(),
        Ok(Message::Tick(_)) => 0,
        Err(_) => 1,
    };
    let names = match &id {
        Some(id) => CommandNames { id, first: 0 },
        None => CommandNames { id: &ctx.invocation.request_id, first },
    };
    let envelope = add_message(ctx, batch, Sender::Trusted, names);
    batch.messages[envelope.message].trace = trace;
    add_body(batch, envelope, message);
    if id.is_some() { 0 } else { commands }
}

/// Decodes commands for one player. Each is a separate message.
fn decode_body_for(ctx: &Context<'_>, player: &PlayerId, sender: Sender, id: &str, text: &Text<'_>) -> Batch {
    let mut batch = Batch::new(Source::Invoker, ctx.platform.settings.batching, 1);
    let body = match text.is_utf8(text.as_str()) {
        true => json::parse_message_for(player, text.as_str()),
        false => {
            Err(MalformedInput { player_id: Some(player.clone()), ..malformed(text.as_str(), NOT_UTF8.to_owned()) })
        }
    };
    match body {
        Ok(Message::Commands(commands)) => {
            for (first, command) in commands.into_iter().enumerate() {
                let envelope = add_message(ctx, &mut batch, sender, CommandNames { id, first });
                add_body(&mut batch, envelope, command.map(|request| Message::Commands(smallvec![Ok(request)])));
            }
        }
        other => {
            let envelope = add_message(ctx, &mut batch, sender, CommandNames { id, first: 0 });
            add_body(&mut batch, envelope, other);
        }
    }
    batch
}

fn add_message<'a>(ctx: &Context<'_>, batch: &mut Batch, sender: Sender, names: CommandNames<'a>) -> Envelope<'a> {
    let message = batch.add_message(names.id.to_owned(), None);
    Envelope { message, names, sender, sent_at: ctx.now, fifo: None }
}

/// What is known of a message beside its body.
#[derive(Debug, Clone, Copy)]
struct Envelope<'a> {
    /// The message, by its position in the batch.
    message: usize,
    /// How its commands are named that bring no name.
    names: CommandNames<'a>,
    /// Who sent it.
    sender: Sender,
    /// When it was sent.
    sent_at: Timestamp,
    /// Its place in a FIFO queue; none for any other message.
    fifo: Option<FifoMessage<'a>>,
}

/// The place of a message in a FIFO queue.
#[derive(Debug, Clone, Copy)]
struct FifoMessage<'a> {
    /// The queue.
    queue: FifoQueueId,
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
            for (index, command) in commands.into_iter().enumerate() {
                match command {
                    Ok(request) => add_command(batch, envelope, request, index),
                    Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(index)),
                }
            }
        }
        Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(0)),
    }
}

fn add_command(batch: &mut Batch, envelope: Envelope<'_>, request: Request, index: usize) {
    let Envelope { message, names, sender, sent_at, fifo } = envelope;
    // The sequence orders the commands of a player only where the group is the player.
    let fifo = fifo.filter(|place| place.group == request.player_id.as_str()).map(|place| FifoPlace {
        queue: place.queue,
        position: FifoPosition { sequence: place.sequence, index: index as u16 },
    });
    let delivery = Delivery {
        command_id: request.command_id.unwrap_or_else(|| names.name(index)),
        player_id: request.player_id.clone(),
        sender,
        sent_at,
        fifo,
        command: request.command,
    };
    batch.add_item(message, request.player_id, Action::Command(delivery));
}

/// Adds malformed input. `name` is what it is called if it brings no `commandId`, and part of the
/// key of its row, because two commands of a message may bring the same `commandId`.
fn add_malformed(batch: &mut Batch, envelope: Envelope<'_>, malformed: MalformedInput, name: CommandId) {
    let entry = name.as_str().to_owned();
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
        entry,
    };
    batch.add_malformed(envelope.message, malformed.player_id, record);
}
