//! Segment documents for the daemon of X-Ray.
//!
//! Lambda writes the segment of the function. The spans of an invocation are a subsegment of it,
//! with the others nested inside, so that an invocation is one datagram. Only a tree that is too
//! large for one is split: each subsegment can be sent alone, with the id of its parent.

use std::{collections::HashMap, fmt, num::NonZeroU64};

use serde::{Serialize, Serializer};

use super::{
    context::TraceContext,
    recording::Finished,
    span::{ERROR_TYPE, FieldValue, Fields, KIND, Span},
};

/// The line that begins each datagram.
const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";
/// The most bytes of a segment document. X-Ray takes 64 KB, and a datagram a little less.
const MAX_BYTES: usize = 60 * 1024;
/// The name of the subsegment of an invocation. The segment around it has that of the function.
const HANDLER: &str = "handler";

/// A subsegment. The first three optional fields are those of one that is sent alone.
#[derive(Serialize)]
struct Subsegment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<SpanId>,
    name: &'a str,
    id: SpanId,
    start_time: f64,
    end_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws: Option<Aws<'a>>,
    fault: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause<'a>>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subsegments: Vec<Self>,
}

/// What the map of services shows of a call to AWS.
#[derive(Serialize)]
struct Aws<'a> {
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Cause<'a> {
    exceptions: [Exception<'a>; 1],
}

#[derive(Serialize)]
struct Exception<'a> {
    id: SpanId,
    r#type: &'a str,
}

/// Fields that are not indexed. X-Ray groups them by a free name.
#[derive(Serialize)]
struct Metadata<'a> {
    millrace: Attributes<'a>,
}

struct Attributes<'a>(&'a Fields);

#[derive(Serialize)]
struct Link {
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<SpanId>,
}

/// A span id in 16 hexadecimal digits.
#[derive(Clone, Copy)]
struct SpanId(NonZeroU64);

/// The datagrams of an invocation.
pub(super) fn datagrams(finished: &Finished) -> Vec<Vec<u8>> {
    let mut children: HashMap<NonZeroU64, Vec<&Span>> = HashMap::new();
    for span in &finished.spans {
        // The span of the invocation is the parent of a span whose parent is beyond the limit.
        let has_parent = |parent: &NonZeroU64| finished.spans.iter().any(|span| span.id == *parent);
        let parent = span.parent.filter(has_parent).unwrap_or(finished.root.id);
        children.entry(parent).or_default().push(span);
    }
    let context = TraceContext { trace_id: finished.trace.id, parent: finished.trace.parent, sampled: Some(true) };
    let mut root = subsegment(&finished.root, &children);
    root.name = HANDLER;
    root.links = finished.links.iter().map(Link::from).collect();
    let mut datagrams = Vec::with_capacity(1);
    add(root, context, &mut datagrams);
    datagrams
}

/// Adds a subsegment that is sent alone. One that is too large is sent without what is nested in
/// it, and that follows.
fn add(mut subsegment: Subsegment<'_>, context: TraceContext, datagrams: &mut Vec<Vec<u8>>) {
    subsegment.r#type = Some("subsegment");
    subsegment.trace_id = Some(context.root().to_string());
    subsegment.parent_id = context.parent.map(SpanId);
    let mut datagram = encode(&subsegment);
    let mut nested = Vec::new();
    if datagram.len() > MAX_BYTES {
        nested = std::mem::take(&mut subsegment.subsegments);
        datagram = encode(&subsegment);
    }
    datagrams.push(datagram);
    let context = TraceContext { parent: Some(subsegment.id.0), ..context };
    nested.into_iter().for_each(|nested| add(nested, context, datagrams));
}

fn encode(subsegment: &Subsegment<'_>) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(4_096);
    datagram.extend_from_slice(HEADER);
    // Text and numbers: serialization cannot fail.
    let _ = serde_json::to_writer(&mut datagram, subsegment);
    datagram
}

fn subsegment<'a>(span: &'a Span, children: &HashMap<NonZeroU64, Vec<&'a Span>>) -> Subsegment<'a> {
    let text = |name| span.fields.text(name);
    let id = SpanId(span.id);
    let error = text(ERROR_TYPE);
    let service = text("rpc.service");
    Subsegment {
        r#type: None,
        trace_id: None,
        parent_id: None,
        name: service.unwrap_or_else(|| span.shown_name()),
        id,
        start_time: seconds(span.start_nanos),
        end_time: seconds(span.end_nanos),
        namespace: match (service, text(KIND)) {
            (Some(_), _) => Some("aws"),
            (None, Some("client")) => Some("remote"),
            _ => None,
        },
        aws: text("rpc.method").map(|operation| Aws { operation, table_name: text("db.collection.name") }),
        fault: error.is_some(),
        cause: error.map(|r#type| Cause { exceptions: [Exception { id, r#type }] }),
        metadata: Metadata { millrace: Attributes(&span.fields) },
        links: Vec::new(),
        subsegments: children.get(&span.id).into_iter().flatten().map(|span| subsegment(span, children)).collect(),
    }
}

/// X-Ray takes seconds. A microsecond is the least that a double has of today's time.
fn seconds(nanos: u64) -> f64 {
    (nanos / 1_000) as f64 / 1e6
}

impl From<&TraceContext> for Link {
    fn from(context: &TraceContext) -> Self {
        Self { trace_id: context.root().to_string(), id: context.parent.map(SpanId) }
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.attributes())
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU128;

    use serde_json::Value;

    use super::*;
    use crate::trace::recording::Trace;

    fn span(id: u64, parent: u64, name: &'static str) -> Span {
        Span {
            id: NonZeroU64::new(id).unwrap(),
            parent: NonZeroU64::new(parent),
            name,
            fields: Fields::default(),
            start_nanos: 1_780_000_000_123_456_789,
            end_nanos: 1_780_000_000_223_456_789,
        }
    }

    fn documents(spans: Vec<Span>) -> Vec<Value> {
        let id = NonZeroU128::new(0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793).unwrap();
        let trace = Trace { id, parent: NonZeroU64::new(9), is_sampled: true };
        let links = vec![TraceContext { trace_id: id, parent: NonZeroU64::new(7), sampled: None }];
        let finished = Finished { trace, root: span(1, 0, "invocation"), spans, links };
        let document = |datagram: &Vec<u8>| {
            assert!(datagram.len() <= MAX_BYTES);
            serde_json::from_slice(datagram.strip_prefix(HEADER).expect("a header")).expect("JSON")
        };
        datagrams(&finished).iter().map(document).collect()
    }

    #[test]
    fn an_invocation_is_one_document_with_nested_subsegments() {
        let documents = documents(vec![span(3, 2, "redis"), span(2, 1, "load"), span(4, 1, "apply")]);
        assert_eq!(documents.len(), 1);
        let root = &documents[0];
        for (name, expected) in [
            ("type", "subsegment"),
            ("trace_id", "1-5759e988-bd862e3fe1be46a994272793"),
            ("parent_id", "0000000000000009"),
            ("id", "0000000000000001"),
            ("name", "handler"),
        ] {
            assert_eq!(root[name], expected, "{name}");
        }
        assert_eq!(
            (root["start_time"].as_f64(), root["end_time"].as_f64()),
            (Some(1_780_000_000.123_456), Some(1_780_000_000.223_456))
        );
        assert_eq!(root["links"][0]["id"], "0000000000000007");
        assert_eq!(root["subsegments"][0]["name"], "load");
        assert_eq!(root["subsegments"][0]["subsegments"][0]["name"], "redis");
        assert_eq!(root["subsegments"][1]["name"], "apply");
        assert!(root["subsegments"][0].get("trace_id").is_none());
    }

    #[test]
    fn a_large_tree_is_split_into_documents_that_name_their_parents() {
        let calls = (10..900).map(|id| span(id, 2, "dynamodb"));
        let documents = documents(calls.chain([span(2, 1, "load"), span(3, 1, "apply")]).collect());
        let names: Vec<&str> = documents.iter().filter_map(|document| document["name"].as_str()).collect();
        assert_eq!(names[..2], ["handler", "load"]);
        assert_eq!(documents[1]["parent_id"], "0000000000000001");
        assert_eq!(documents.len(), 3 + 890);
        let calls = documents.iter().filter(|document| document["parent_id"] == "0000000000000002").count();
        assert_eq!(calls, 890);
    }
}
