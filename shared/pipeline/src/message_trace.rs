//! The trace that a message of SQS names.

use std::borrow::Cow;

use millrace_telemetry::trace::TraceContext;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The message attributes that name a trace: the one of OpenTelemetry, and the one that senders use
/// who cannot set system attributes.
#[derive(Deserialize)]
struct MessageAttributes<'a> {
    #[serde(borrow)]
    traceparent: Option<TextAttribute<'a>>,
    #[serde(borrow, rename = "AWSTraceHeader")]
    trace_header: Option<TextAttribute<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TextAttribute<'a> {
    #[serde(borrow)]
    string_value: Cow<'a, str>,
}

/// The trace of a message, by its trace header of SQS, or else by its message attributes. What
/// cannot be read is ignored: a trace decides nothing.
pub fn trace_of_record(trace_header: &str, message_attributes: Option<&RawValue>) -> Option<TraceContext> {
    TraceContext::parse_xray(trace_header).or_else(|| of_attributes(message_attributes?.get()))
}

fn of_attributes(text: &str) -> Option<TraceContext> {
    // Most messages have none.
    if text.len() <= "{}".len() {
        return None;
    }
    let attributes: MessageAttributes<'_> = serde_json::from_str(text).ok()?;
    let named = attributes.traceparent.or(attributes.trace_header)?;
    TraceContext::parse(&named.string_value)
}
