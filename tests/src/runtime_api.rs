//! A Lambda Runtime API and Extensions API on a port of its own, as AWS documents them, for one
//! process: what it gets is what a function gets in AWS.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::HeaderMap, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
};

/// The largest answer that Lambda takes, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// How a function answered an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Through `/response`.
    Response(Bytes),
    /// Through `/error`: the body, and the header `Lambda-Runtime-Function-Error-Type`.
    Error {
        /// `errorType`, `errorMessage` and the like.
        body: Bytes,
        /// The header.
        error_type: Option<String>,
    },
}

/// How far the process has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It has not asked for an invocation yet.
    Starting,
    /// It has asked for its first invocation.
    Ready,
    /// It has reported that its start failed.
    Failed(String),
}

/// The server. It ends with this value.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    /// Tells the servers of one test process apart in request ids.
    number: u64,
    invocations: AtomicU64,
    queues: Mutex<Queues>,
    arrived: Notify,
    phase: watch::Sender<Phase>,
    /// Whether there is an Extensions API.
    extensions: bool,
    invoke_events: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    /// Not yet asked for.
    pending: VecDeque<Pending>,
    /// Handed out and not yet answered, by request id.
    open: HashMap<String, oneshot::Sender<Answer>>,
    /// What each extension has registered for, by its identifier.
    extensions: HashMap<String, Vec<String>>,
    /// `INVOKE` events that extensions have yet to fetch.
    invoke_events: VecDeque<Value>,
}

#[derive(Debug)]
struct Pending {
    request_id: String,
    payload: Bytes,
    deadline_ms: u128,
    answer: oneshot::Sender<Answer>,
}

type Reply = Response<Full<Bytes>>;

impl RuntimeApi {
    /// Starts a server on a free port of 127.0.0.1. Without `extensions`, their API answers 404, as
    /// in emulators that have none.
    pub async fn start(extensions: bool) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(1);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            number: STARTED.fetch_add(1, Ordering::Relaxed),
            invocations: AtomicU64::new(1),
            queues: Mutex::default(),
            arrived: Notify::new(),
            phase: watch::Sender::new(Phase::Starting),
            extensions,
            invoke_events: Notify::new(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, server }
    }

    /// `host:port`, as in `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How far the process has come, and what comes after.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.state.phase.subscribe()
    }

    /// Queues an invocation. The answer arrives through the receiver. A request id is made where
    /// none is given; Lambda gives a retried asynchronous invocation the id of the first attempt.
    pub fn invoke(&self, payload: Bytes, timeout: Duration, request_id: Option<String>) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let number = self.state.invocations.fetch_add(1, Ordering::Relaxed);
        let request_id =
            request_id.unwrap_or_else(|| format!("{:08x}-6d69-4c6c-8ace-{number:012x}", self.state.number));
        let deadline = SystemTime::now() + timeout;
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis();
        self.state.queues().pending.push_back(Pending { request_id, payload, deadline_ms, answer });
        self.state.arrived.notify_one();
        receiver
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(state.answer(request).await) }
            });
            // A connection that breaks is a process that was killed.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let path = head.uri.path().trim_matches('/').to_owned();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return refuse(StatusCode::BAD_REQUEST, "InvalidRequest", &error.to_string()),
        };
        let segments: Vec<&str> = path.split('/').collect();
        match (&head.method, segments.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => self.response(id, body),
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
                self.error(id, body, &head.headers)
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
                self.phase.send_replace(Phase::Failed(String::from_utf8_lossy(&body).into_owned()));
                accepted()
            }
            (&Method::POST, ["2020-01-01", "extension", "register"]) if self.extensions => {
                self.register(&head.headers, &body)
            }
            (&Method::GET, ["2020-01-01", "extension", "event", "next"]) if self.extensions => {
                self.next_event(&head.headers).await
            }
            (&Method::POST, ["2020-01-01", "extension", "init" | "exit", "error"]) if self.extensions => accepted(),
            (method, _) => refuse(StatusCode::NOT_FOUND, "NotFound", &format!("no route {method} /{path}")),
        }
    }

    async fn next(&self) -> Reply {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Starting;
            if first {
                *phase = Phase::Ready;
            }
            first
        });
        let next = loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.queues().pending.pop_front() {
                break next;
            }
            arrived.await;
        };
        let trace = format!("Root=1-{:08x}-{:024x};Sampled=0", next.deadline_ms / 1000, self.number);
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:process-tasks";
        let mut queues = self.queues();
        if queues.extensions.values().flatten().any(|event| event == "INVOKE") {
            queues.invoke_events.push_back(json!({
                "eventType": "INVOKE",
                "deadlineMs": next.deadline_ms as u64,
                "requestId": next.request_id,
                "invokedFunctionArn": arn,
                "tracing": {"type": "X-Amzn-Trace-Id", "value": trace},
            }));
            self.invoke_events.notify_waiters();
        }
        let reply = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &next.request_id)
            .header("lambda-runtime-deadline-ms", next.deadline_ms.to_string())
            .header("lambda-runtime-invoked-function-arn", arn)
            .header("lambda-runtime-trace-id", trace)
            .body(Full::new(next.payload))
            .expect("the headers are well-formed");
        queues.open.insert(next.request_id, next.answer);
        reply
    }

    fn response(&self, id: &str, body: Bytes) -> Reply {
        if body.len() > MAX_RESPONSE_BYTES {
            let message = format!("the response has {} bytes; allowed: {MAX_RESPONSE_BYTES}", body.len());
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "ResponseSizeTooLarge", &message);
        }
        self.finish(id, Answer::Response(body))
    }

    fn error(&self, id: &str, body: Bytes, headers: &HeaderMap) -> Reply {
        let error_type = text(headers, "lambda-runtime-function-error-type");
        self.finish(id, Answer::Error { body, error_type })
    }

    fn finish(&self, id: &str, answer: Answer) -> Reply {
        match self.queues().open.remove(id) {
            Some(waiting) => {
                // A test that no longer waits has given the invocation up.
                let _ = waiting.send(answer);
                accepted()
            }
            None => refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        }
    }

    fn register(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        let Some(name) = text(headers, "lambda-extension-name") else {
            return refuse(StatusCode::BAD_REQUEST, "Extension.MissingHeader", "Lambda-Extension-Name is missing");
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let events: Vec<String> =
            body["events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if events.iter().any(|event| event == "SHUTDOWN") {
            // All extensions here live in the function's process.
            let message = "SHUTDOWN event is not supported for internal extensions.";
            return refuse(StatusCode::FORBIDDEN, "ShutdownEventNotSupportedForInternalExtension", message);
        }
        let mut queues = self.queues();
        let identifier = format!("{:08x}-0000-4000-8000-{:012x}", self.number, queues.extensions.len() + 1);
        queues.extensions.insert(identifier.clone(), events);
        let registered = json!({"functionName": name, "functionVersion": "$LATEST", "handler": "bootstrap"});
        let mut reply = reply(StatusCode::OK, &registered);
        reply.headers_mut().insert("lambda-extension-identifier", identifier.parse().expect("hexadecimal digits"));
        reply
    }

    async fn next_event(&self, headers: &HeaderMap) -> Reply {
        let known =
            text(headers, "lambda-extension-identifier").is_some_and(|id| self.queues().extensions.contains_key(&id));
        if !known {
            let message = "Lambda-Extension-Identifier names no registered extension";
            return refuse(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier", message);
        }
        loop {
            let arrived = self.invoke_events.notified();
            if let Some(event) = self.queues().invoke_events.pop_front() {
                return reply(StatusCode::OK, &event);
            }
            // An internal extension that has registered for nothing waits for good.
            arrived.await;
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn reply(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    reply
}

fn accepted() -> Reply {
    reply(StatusCode::ACCEPTED, &json!({"status": "OK"}))
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Reply {
    reply(status, &json!({"errorType": error_type, "errorMessage": message}))
}
