//! A proxy for DynamoDB, SQS and EventBridge that counts requests, and answers some as these
//! services do under load.
//!
//! It reads the operation from `X-Amz-Target`, and forwards what it does not know.
//!
//! A rule sees every [`Call`] before it is forwarded and names its [`Fault`]. Ready-made ones are
//! in [`rules`].

mod call;
mod fault;
mod partial;
pub mod rules;

use std::collections::BTreeSet;
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
use serde_json::json;
use tokio::net::TcpStream;

pub use self::call::{Call, Entry};
use self::fault::Effect;
pub use self::fault::Fault;
use self::partial::Withheld;
use crate::aws;
use crate::gate::{Cut, CutSignal, Gate};

type Rule = Arc<dyn Fn(&Call) -> Fault + Send + Sync>;
/// An answer in memory, because some are changed before they are sent.
type Answer = Response<Bytes>;

/// Forwards requests to services of AWS, counts them, and makes them fail by a rule.
pub struct AwsProxy {
    gate: Gate,
    shared: Arc<Shared>,
}

/// The state that all connections share.
struct Shared {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Mutex<Option<Rule>>,
    counted: Mutex<Vec<CountedCall>>,
}

struct CountedCall {
    operation: String,
    tables: BTreeSet<String>,
    entries: usize,
}

impl AwsProxy {
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
            counted: Mutex::default(),
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
    pub fn env(&self) -> Vec<(&'static str, String)> {
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
        self.sum(|call| u64::from(call.operation == operation))
    }

    /// The number of requests of an operation that named this table.
    pub fn count_on(&self, operation: &str, table: &str) -> u64 {
        self.sum(|call| u64::from(call.operation == operation && call.tables.contains(table)))
    }

    /// The number of items, keys, statements, messages or events in all batches of an operation.
    pub fn entries(&self, operation: &str) -> u64 {
        self.sum(|call| if call.operation == operation { call.entries as u64 } else { 0 })
    }

    /// The number of requests.
    pub fn total(&self) -> u64 {
        self.sum(|_| 1)
    }

    /// Resets all counts except the number of connections.
    pub fn reset_counts(&self) {
        lock(&self.shared.counted).clear();
    }

    fn sum(&self, count: impl Fn(&CountedCall) -> u64) -> u64 {
        lock(&self.shared.counted).iter().map(count).sum()
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
    lock(&shared.counted).push(CountedCall {
        operation: call.operation.clone(),
        tables: call.tables.clone(),
        entries: call.entries().len(),
    });
    let rule = lock(&shared.rule).clone();
    let request = Request::from_parts(parts, body);
    match rule.map_or(Effect::None, |rule| rule(&call).0) {
        Effect::None => shared.forward(request).await,
        Effect::Delay(delay) => {
            tokio::time::sleep(delay).await;
            shared.forward(request).await
        }
        Effect::Error(status, body) => Ok(fault::answer(status, &body)),
        Effect::Disconnect => Err("told to disconnect".into()),
        Effect::LoseAnswer => {
            shared.forward(request).await?;
            Err("told to lose the answer".into())
        }
        Effect::Withhold(withhold) => match Withheld::choose(&call, &withhold) {
            Some(withheld) => shared.forward_rest(request, &withheld).await,
            None => shared.forward(request).await,
        },
    }
}

impl Shared {
    /// Forwards a batch without the withheld entries, and adds them to a successful answer.
    async fn forward_rest(&self, request: Request<Bytes>, withheld: &Withheld<'_>) -> Result<Answer, Closed> {
        let mut answer = match withheld.rest() {
            Some(body) => {
                let answer = self.forward(request.map(|_| Bytes::from(body.to_string()))).await?;
                if answer.status() != StatusCode::OK {
                    return Ok(answer);
                }
                serde_json::from_slice(answer.body())?
            }
            // The answers of BatchGetItem and of SendMessageBatch need these members.
            None => json!({"Responses": {}, "Successful": []}),
        };
        withheld.add_to(&mut answer);
        Ok(fault::answer(StatusCode::OK, &answer))
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
