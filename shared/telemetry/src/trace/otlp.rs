//! Requests of OTLP, as Protocol Buffers.

use std::num::{NonZeroU64, NonZeroU128};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ResourceMessage,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as SpanMessage, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};
use prost::Message as _;

use super::{
    recording::Finished,
    resource::Resource,
    span::{ERROR_TYPE, FieldValue, KIND, Span},
};

/// The request that exports the spans of an invocation.
pub(super) fn request(finished: &Finished, resource: &Resource) -> Vec<u8> {
    let trace_id = finished.trace.id;
    let service = resource.service_name();
    let root = SpanMessage {
        // Serverless functions are named so by the semantic conventions.
        name: if service.is_empty() { finished.root.name } else { service }.to_owned(),
        parent_span_id: finished.trace.parent.map_or_else(Vec::new, span_id),
        kind: SpanKind::Server.into(),
        links: finished.links.iter().map(|link| message_link(link.trace_id, link.parent)).collect(),
        ..message(&finished.root, trace_id)
    };
    let mut spans = vec![root];
    spans.extend(finished.spans.iter().map(|span| message(span, trace_id)));
    let attributes = resource.attributes.iter().map(|(name, value)| attribute(name, Value::StringValue(value.clone())));
    let scope = InstrumentationScope {
        name: "millrace".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(ResourceMessage { attributes: attributes.collect(), ..ResourceMessage::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

fn message(span: &Span, trace_id: NonZeroU128) -> SpanMessage {
    let kind = match span.fields.text(KIND) {
        Some("client") => SpanKind::Client,
        Some("producer") => SpanKind::Producer,
        _ => SpanKind::Internal,
    };
    let status =
        span.fields.text(ERROR_TYPE).map(|error| Status { message: error.to_owned(), code: StatusCode::Error.into() });
    SpanMessage {
        trace_id: trace_id.get().to_be_bytes().to_vec(),
        span_id: span_id(span.id),
        parent_span_id: span.parent.map_or_else(Vec::new, span_id),
        name: match (span.fields.text("rpc.service"), span.fields.text("rpc.method")) {
            (Some(service), Some(method)) => format!("{service}.{method}"),
            _ => span.shown_name().to_owned(),
        },
        kind: kind.into(),
        start_time_unix_nano: span.start_nanos,
        end_time_unix_nano: span.end_nanos,
        attributes: span.fields.attributes().map(|(name, value)| attribute(name, value.into())).collect(),
        status,
        // The lower byte has the flags of W3C: the trace is sampled.
        flags: 1,
        ..SpanMessage::default()
    }
}

fn message_link(trace_id: NonZeroU128, parent: Option<NonZeroU64>) -> Link {
    Link {
        trace_id: trace_id.get().to_be_bytes().to_vec(),
        span_id: parent.map_or_else(|| vec![0; 8], span_id),
        ..Link::default()
    }
}

fn span_id(id: NonZeroU64) -> Vec<u8> {
    id.get().to_be_bytes().to_vec()
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

impl From<&FieldValue> for Value {
    fn from(value: &FieldValue) -> Self {
        match value {
            FieldValue::Text(text) => Self::StringValue(text.to_string()),
            FieldValue::Integer(integer) => Self::IntValue(*integer),
            FieldValue::Float(float) => Self::DoubleValue(*float),
            FieldValue::Flag(flag) => Self::BoolValue(*flag),
        }
    }
}
