//! Records of SQS. Each is read on its own, so that a damaged one spoils only itself.

use std::{borrow::Cow, fmt};

use millrace_domain::{
    Timestamp,
    parse::{self, Malformed, Message},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{
    body::{Envelope, FifoPlace, add_body, add_malformed},
    names::CommandNames,
};
use crate::{
    batch::{Batch, Source},
    context::Context,
};

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

/// What a body holds. It is read out of the buffer in which the JSON reader removes the escapes: a copy
/// of the body would be dropped at once.
struct Body(Result<Message, Malformed>);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl Visitor<'_> for BodyVisitor {
            type Value = Body;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, body: &str) -> Result<Body, E> {
                Ok(Body(parse::message(body)))
            }
        }
        deserializer.deserialize_str(BodyVisitor)
    }
}

/// Decodes the records of an SQS payload.
pub fn decode_records(ctx: &Context<'_>, records: &[&RawValue]) -> Batch {
    let mut batch = Batch::new(Source::Sqs, records.len());
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
    let malformed = Malformed {
        player_id: None,
        command_id: None,
        detail: format!("Records[{index}]: not an SQS record: {error}"),
        body: record.to_owned(),
    };
    let envelope = Envelope { message, names, sent_at: ctx.now, fifo: None };
    add_malformed(batch, envelope, malformed, names.name(0, 1));
}
