//! A proxy for DynamoDB that counts requests and answers some as DynamoDB does under load.
//!
//! It forwards also other services that speak the same protocol, such as SQS.
//!
//! A rule sees every [`Call`] before it is forwarded and names its [`Fault`]. Ready-made ones are
//! in [`rules`].

mod call;
mod fault;
mod partial;
pub mod rules;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

pub use self::call::Call;
use self::fault::Effect;
pub use self::fault::{Entry, Fault};
use crate::aws::{self, Environment};
use crate::gate::{Cut, CutSignal, Gate};

type Rule = Arc<dyn Fn(&Call) -> Fault + Send + Sync>;
/// An answer in memory, because some are changed before they are sent.
type Answer = Response<Bytes>;

/// Forwards requests to DynamoDB, counts them, and makes them fail by a rule.
pub struct DynamoProxy {
    gate: Gate,
    shared: Arc<Shared>,
}

/// The state that all connections share.
struct Shared {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Mutex<Option<Rule>>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// By operation, and by operation and table.
    requests: BTreeMap<String, u64>,
    tables: BTreeMap<(String, String), u64>,
    entries: BTreeMap<String, u64>,
}

impl DynamoProxy {
    /// Starts one before an endpoint such as `http://127.0.0.1:8000`, on a free port.
    ///
    /// # Panics
    /// When it gets no port.
    pub async fn start(endpoint: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let shared = Arc::new(Shared {
            endpoint: endpoint.into().trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
            rule: Mutex::default(),
            counts: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let gate = Gate::open(move |stream, cut| serve(stream, cut, Arc::clone(&theirs))).await;
        Self { gate, shared }
    }

    /// Its URL: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// The environment variables with which a function uses it.
    pub fn env(&self) -> Environment {
        aws::environment(&self.endpoint())
    }

    /// Replaces the rule that decides about calls. It is called once for each request, so it may
    /// count, and applies to requests that arrive from now on.
    pub fn set_rule(&self, rule: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        *lock(&self.shared.rule) = Some(Arc::new(rule));
    }

    /// Removes the rule: everything is forwarded.
    pub fn clear_rule(&self) {
        *lock(&self.shared.rule) = None;
    }

    /// Refuses connections and cuts those that are open, until [`accept`](Self::accept).
    pub fn refuse(&self) {
        self.gate.close();
        self.gate.cut(Cut::Reset);
    }

    /// Accepts connections again.
    pub fn accept(&self) {
        self.gate.reopen();
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.gate.accepted()
    }

    /// The number of requests of an operation, such as `BatchWriteItem`. Each attempt of a client
    /// counts, also if the rule answered it.
    pub fn count(&self, operation: &str) -> u64 {
        let counts = lock(&self.shared.counts);
        counts.requests.get(operation).copied().unwrap_or(0)
    }

    /// The number of requests of an operation that named this table.
    pub fn count_on(&self, operation: &str, table: &str) -> u64 {
        let key = (operation.to_owned(), table.to_owned());
        let counts = lock(&self.shared.counts);
        counts.tables.get(&key).copied().unwrap_or(0)
    }

    /// The number of requests that named this table. A request with several tables counts for each.
    pub fn count_table(&self, table: &str) -> u64 {
        let counts = lock(&self.shared.counts);
        let of_table = counts.tables.iter().filter(|((_, name), _)| name == table);
        of_table.map(|(_, count)| count).sum()
    }

    /// The number of items, keys, statements or transaction parts in all requests of an operation.
    /// A request of one item has one.
    pub fn entries(&self, operation: &str) -> u64 {
        let counts = lock(&self.shared.counts);
        counts.entries.get(operation).copied().unwrap_or(0)
    }

    /// The number of requests by operation.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.counts).requests.clone()
    }

    /// The number of requests.
    pub fn total(&self) -> u64 {
        lock(&self.shared.counts).requests.values().sum()
    }

    /// Resets all counts except the number of connections.
    pub fn reset_counts(&self) {
        *lock(&self.shared.counts) = Counts::default();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, cut: CutSignal, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A connection that is closed by a fault ends with an error too.
        _ = connection => {}
        _ = cut => {}
    }
}

/// Why a connection is closed without an answer.
type Closed = Box<dyn std::error::Error + Send + Sync>;

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let answer = answer(request, shared).await;
    answer.map(|answer| answer.map(Full::new))
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let target = parts.headers.get("x-amz-target");
    let call = Call::new(target.and_then(|target| target.to_str().ok()), &body);
    shared.note(&call);
    let rule = lock(&shared.rule).clone();
    let fault = rule.map_or_else(Fault::none, |rule| rule(&call));
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    let request = Request::from_parts(parts, body);
    match fault.effect {
        Effect::None => shared.forward(request).await,
        Effect::Error(error) => Ok(error.answer()),
        Effect::Disconnect => Err("told to disconnect".into()),
        Effect::LoseAnswer => {
            shared.forward(request).await?;
            Err("told to lose the answer".into())
        }
        Effect::Withhold(withhold) => {
            let (forwarded, withheld) = partial::split(&call, &withhold);
            let Some(withheld) = withheld else {
                return shared.forward(request).await;
            };
            let answer = match forwarded {
                Some(body) => {
                    let (parts, _) = request.into_parts();
                    let body = Bytes::from(body.to_string());
                    shared.forward(Request::from_parts(parts, body)).await?
                }
                None => fault::answer(StatusCode::OK, &Value::Object(serde_json::Map::new())),
            };
            merge(answer, &call, withheld)
        }
    }
}

/// Adds the parts that were not forwarded to a successful answer.
fn merge(answer: Answer, call: &Call, withheld: partial::Withheld) -> Result<Answer, Closed> {
    if answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let answer = partial::merge(serde_json::from_slice(answer.body())?, call, withheld);
    Ok(fault::answer(StatusCode::OK, &answer))
}

impl Shared {
    fn note(&self, call: &Call) {
        let mut counts = lock(&self.counts);
        *counts.requests.entry(call.operation.clone()).or_default() += 1;
        *counts.entries.entry(call.operation.clone()).or_default() += call.entries() as u64;
        for table in &call.tables {
            let key = (call.operation.clone(), table.clone());
            *counts.tables.entry(key).or_default() += 1;
        }
    }

    /// Forwards a request and returns the answer, both unchanged.
    async fn forward(&self, request: Request<Bytes>) -> Result<Answer, Closed> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.endpoint).parse::<Uri>()?;
        for header in [CONNECTION, TRANSFER_ENCODING] {
            parts.headers.remove(header);
        }
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let request = Request::from_parts(parts, Full::new(body));
        let (mut parts, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        for header in [CONNECTION, TRANSFER_ENCODING] {
            parts.headers.remove(header);
        }
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(Response::from_parts(parts, body))
    }
}
