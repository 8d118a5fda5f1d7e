//! An X-Ray daemon and an OTLP collector, and the spans that they got.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as AttributeValue,
    trace::v1::{Span as OtlpSpan, span::SpanKind},
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{net::UdpSocket, time::timeout};

use crate::http_server::HttpServer;

/// How long the daemon waits for a datagram. The function sends them before its answer.
const WAIT: Duration = Duration::from_millis(200);

/// A span, as X-Ray and OTLP both know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace, in 32 hexadecimal digits.
    pub trace_id: String,
    /// The span, in 16 hexadecimal digits.
    pub id: String,
    /// The parent; empty if there is none.
    pub parent: String,
    /// The name.
    pub name: String,
    /// The attributes; in X-Ray, the metadata.
    pub attributes: BTreeMap<String, Value>,
    /// The traces and spans of its links, as `<trace>-<span>`.
    pub links: Vec<String>,
    /// `internal`, `client`, `producer` or `server` over OTLP. In X-Ray, the namespace.
    pub kind: String,
    /// Whether it failed.
    pub failed: bool,
    /// Begin and end, in nanoseconds since the Unix epoch.
    pub nanos: (u64, u64),
}

/// A daemon of X-Ray on a free port.
#[derive(Debug)]
pub struct XRayDaemon {
    socket: UdpSocket,
}

impl XRayDaemon {
    /// Starts a daemon.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        Self { socket: UdpSocket::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1") }
    }

    /// The value of `AWS_XRAY_DAEMON_ADDRESS`.
    ///
    /// # Panics
    /// If the socket has no address.
    pub fn address(&self) -> String {
        self.socket.local_addr().expect("a bound socket has an address").to_string()
    }

    /// The segment documents that have arrived.
    ///
    /// # Panics
    /// If a datagram is not what the daemon accepts.
    pub async fn take_documents(&self) -> Vec<Value> {
        let (mut documents, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while let Ok(received) = timeout(WAIT, self.socket.recv(&mut buffer)).await {
            let datagram = std::str::from_utf8(&buffer[..received.expect("a datagram")]).expect("UTF-8");
            let (header, document) = datagram.split_once('\n').expect("a header line");
            let header: Value = serde_json::from_str(header).expect("JSON");
            assert_eq!(header, json!({"format": "json", "version": 1}));
            documents.push(serde_json::from_str(document).expect("JSON"));
        }
        documents
    }

    /// The spans of the segment documents that have arrived, parents first.
    pub async fn take(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for document in self.take_documents().await {
            assert_eq!(document["type"], "subsegment", "{document}");
            let root = text(&document["trace_id"]);
            let trace_id = root.strip_prefix("1-").expect("version 1").replace('-', "");
            add_subsegment(&document, &trace_id, text(&document["parent_id"]), &mut spans);
        }
        spans
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn add_subsegment(document: &Value, trace_id: &str, parent: &str, spans: &mut Vec<Span>) {
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    let nanos = |name: &str| (document[name].as_f64().expect("seconds") * 1e9) as u64;
    let link = |link: &Value| format!("{}-{}", text(&link["trace_id"])[2..].replace('-', ""), text(&link["id"]));
    let metadata = document["metadata"]["millrace"].as_object().cloned().unwrap_or_default();
    let id = text(&document["id"]).to_owned();
    spans.push(Span {
        trace_id: trace_id.to_owned(),
        id: id.clone(),
        parent: parent.to_owned(),
        name: text(&document["name"]).to_owned(),
        attributes: metadata.into_iter().collect(),
        links: list("links").iter().map(link).collect(),
        kind: text(&document["namespace"]).to_owned(),
        failed: document["fault"] == true,
        nanos: (nanos("start_time"), nanos("end_time")),
    });
    list("subsegments").iter().for_each(|nested| add_subsegment(nested, trace_id, &id, spans));
}

/// An OTLP collector on a free port.
#[derive(Debug)]
pub struct OtlpCollector {
    server: HttpServer,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl OtlpCollector {
    /// Starts a collector that answers with this status.
    pub async fn answering(status: StatusCode) -> Self {
        let requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
        let received = Arc::clone(&requests);
        let server = HttpServer::start(move |request: Request<Bytes>| {
            assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
            assert_eq!(request.headers()["content-type"], "application/x-protobuf");
            let decoded = ExportTraceServiceRequest::decode(request.into_body()).expect("a request of OTLP");
            received.lock().unwrap_or_else(PoisonError::into_inner).push(decoded);
            async move {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = status;
                response
            }
        });
        Self { server: server.await, requests }
    }

    /// Starts a collector.
    pub async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The value of `MILLRACE_TRACES`.
    pub fn setting(&self) -> String {
        format!("otlp:http://{}", self.address())
    }

    /// The requests that have arrived.
    pub fn take_requests(&self) -> Vec<ExportTraceServiceRequest> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans that have arrived.
    pub fn take(&self) -> Vec<Span> {
        let resources = self.take_requests().into_iter().flat_map(|request| request.resource_spans);
        let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
        spans.map(|span| span_of_otlp(&span)).collect()
    }
}

fn span_of_otlp(span: &OtlpSpan) -> Span {
    let attribute = |value: Option<&AttributeValue>| match value {
        Some(AttributeValue::StringValue(text)) => json!(text),
        Some(AttributeValue::IntValue(integer)) => json!(integer),
        Some(AttributeValue::DoubleValue(double)) => json!(double),
        Some(AttributeValue::BoolValue(flag)) => json!(flag),
        other => panic!("an attribute {other:?}"),
    };
    let attributes = span.attributes.iter().map(|pair| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        (pair.key.clone(), attribute(value))
    });
    Span {
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name.clone(),
        attributes: attributes.collect(),
        links: span.links.iter().map(|link| format!("{}-{}", hex(&link.trace_id), hex(&link.span_id))).collect(),
        kind: match span.kind() {
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Server => "server",
            _ => "internal",
        }
        .to_owned(),
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the children of a span, in the order of their ends. A name that occurs several
/// times is there several times.
pub fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a str> {
    spans.iter().filter(|span| span.parent == parent.id).map(|span| span.name.as_str()).collect()
}

/// The first span with this name.
///
/// # Panics
/// If there is none.
pub fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names = || spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {:?}", names()))
}
