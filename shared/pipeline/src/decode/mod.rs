//! Decode: the bytes of a payload into a batch.
//!
//! | module | what it reads |
//! |---|---|
//! | [`sqs`] | records of SQS, each on its own |
//! | [`event_bridge`] | an event of EventBridge |
//! | [`direct`] | the body of a caller, for any player or for one player alone |
//! | [`body`] | the body of a message: commands, a tick, or malformed input |
//! | [`names`] | the names of commands that bring none |
//!
//! One bad message does not fail the payload: what cannot be understood is rejected on its own.

mod body;
mod direct;
mod event_bridge;
mod names;
mod sqs;

use std::{borrow::Cow, time::Instant};

use millrace_domain::PlayerId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{batch::Batch, context::Context};

/// The fields that tell one kind of payload from another, with their contents.
#[derive(Deserialize)]
struct Envelope<'a> {
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
    let mut batch = match serde_json::from_str::<Envelope<'_>>(&text) {
        Ok(Envelope { records: Some(records), .. }) => sqs::decode_records(ctx, &records),
        Ok(Envelope { detail_type: Some(detail_type), detail, id, time, .. }) => {
            let event = event_bridge::Event { text: &text, detail_type, detail, id, time };
            event_bridge::decode_event(ctx, event)
        }
        _ => direct::decode_body(ctx, &text),
    };
    finish(&mut batch, started);
    batch
}

/// Decodes commands that a caller sends for the queue of `player` alone. Each is a message of its own, so
/// that results come in the order of the commands.
pub fn decode_for_player(ctx: &Context<'_>, player: &PlayerId, payload: &[u8]) -> Batch {
    let started = Instant::now();
    let mut batch = direct::decode_body_for(ctx, player, &text_of(payload));
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
