//! An event of EventBridge, whose `detail` is the body.

use millrace_domain::{
    Timestamp, ids,
    parse::{self, Malformed},
};
use serde_json::value::RawValue;

use super::{
    body::{Envelope, add_body},
    names::CommandNames,
};
use crate::{
    batch::{Batch, Source},
    context::Context,
};

/// The `detail-type` of commands.
pub const DETAIL_TYPE: &str = "TaskQueueCommand";
/// Most characters of another `detail-type` that an error shows.
const MAX_SHOWN: usize = 64;

/// An event of EventBridge.
#[derive(Debug)]
pub struct Event<'a> {
    /// All of it, as it came.
    pub text: &'a str,
    /// What kind of detail it has.
    pub detail_type: String,
    /// The body.
    pub detail: Option<&'a RawValue>,
    /// The id.
    pub id: Option<String>,
    /// When it was sent, as its sender says.
    pub time: Option<String>,
}

/// Decodes an event.
pub fn decode_event(ctx: &Context<'_>, event: Event<'_>) -> Batch {
    let mut batch = Batch::new(Source::EventBridge, 1);
    let id = event.id.unwrap_or_else(|| ctx.invocation.request_id.clone());
    let envelope = Envelope {
        message: batch.add_message(id.clone(), None),
        names: CommandNames::IndexedIfSeveral(&id),
        sent_at: event.time.and_then(|time| Timestamp::parse(&time).ok()).unwrap_or(ctx.now),
        fifo: None,
    };
    let body = match event.detail {
        Some(detail) if event.detail_type == DETAIL_TYPE => parse::message(detail.get()),
        Some(_) => {
            let shown = ids::clip(&event.detail_type, MAX_SHOWN);
            Err(malformed(event.text, format!("detail-type: `{shown}` is not allowed; allowed: {DETAIL_TYPE}")))
        }
        None => Err(malformed(event.text, "detail: missing".to_owned())),
    };
    add_body(&mut batch, envelope, body);
    batch
}

fn malformed(text: &str, detail: String) -> Malformed {
    Malformed { player_id: None, command_id: None, detail, body: text.to_owned() }
}
