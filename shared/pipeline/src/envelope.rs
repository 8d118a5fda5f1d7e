//! Bodies that a service has wrapped: an event of EventBridge, or a notification of SNS, that came
//! through a queue.

use std::borrow::Cow;

use millrace_domain::{
    ids,
    json::{self, MalformedInput, Message},
};
use millrace_telemetry::trace::TraceContext;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The `detail-type` of commands on an EventBridge bus.
const DETAIL_TYPE: &str = "TaskQueueCommand";
/// Most characters of another `detail-type` that an error shows.
const MAX_SHOWN: usize = 64;

/// A body, with the id of what it was wrapped in.
pub struct Body {
    /// The id of the event or notification; none for a body that was not wrapped.
    pub id: Option<String>,
    /// The trace that the event names, if it does.
    pub trace: Option<TraceContext>,
    /// What the body holds.
    pub message: Result<Message, MalformedInput>,
}

/// The fields that tell one kind of wrapping from another, with their contents.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    id: Option<String>,
    #[serde(borrow, rename = "trace-header")]
    trace_header: Option<&'a RawValue>,
    #[serde(rename = "Type")]
    notification_type: Option<String>,
    #[serde(rename = "Message")]
    notification: Option<String>,
    #[serde(rename = "MessageId")]
    notification_id: Option<String>,
}

impl Body {
    /// Reads a body. Wrapped bodies have fields that a command refuses, so that only a body that is
    /// no command is looked at again.
    pub fn parse(text: &str) -> Self {
        match json::parse_message(text) {
            Err(malformed) => Self::unwrap(text).unwrap_or(Self { id: None, trace: None, message: Err(malformed) }),
            message => Self { id: None, trace: None, message },
        }
    }

    fn unwrap(text: &str) -> Option<Self> {
        let wrapped: Wrapped<'_> = serde_json::from_str(text).ok()?;
        if let Some(detail_type) = wrapped.detail_type {
            let message = match wrapped.detail {
                Some(detail) if detail_type == DETAIL_TYPE => json::parse_message(detail.get()),
                Some(_) => {
                    let shown = ids::clip(&detail_type, MAX_SHOWN);
                    Err(malformed(text, format!("detail-type: `{shown}` is not allowed; allowed: {DETAIL_TYPE}")))
                }
                None => Err(malformed(text, "detail: missing".to_owned())),
            };
            let trace = wrapped.trace_header.and_then(trace_of);
            return Some(Self { id: wrapped.id.filter(|id| !id.is_empty()), trace, message });
        }
        if wrapped.notification_type.as_deref() == Some("Notification") {
            let body = Self::parse(&wrapped.notification?);
            return Some(Self { id: body.id.or(wrapped.notification_id.filter(|id| !id.is_empty())), ..body });
        }
        None
    }
}

/// The trace that a JSON value names. Any other value is ignored: a trace decides nothing.
pub fn trace_of(value: &RawValue) -> Option<TraceContext> {
    let text: Cow<'_, str> = serde_json::from_str(value.get()).ok()?;
    TraceContext::parse(&text)
}

/// Malformed input that names nothing.
pub fn malformed(text: &str, detail: String) -> MalformedInput {
    MalformedInput { player_id: None, command_id: None, detail, body: text.to_owned() }
}
