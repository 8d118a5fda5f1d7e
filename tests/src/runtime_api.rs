//! A Lambda Runtime API and Extensions API for one process, as AWS documents them. The process
//! receives what a function receives in AWS.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot, watch};

use crate::http_server::HttpServer;

/// The largest answer that Lambda accepts, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// The answer of a function to an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A success, posted to `/response`.
    Response(Bytes),
    /// An error, posted to `/error`.
    Error {
        /// JSON with `errorType` and `errorMessage`.
        body: Bytes,
        /// The header `Lambda-Runtime-Function-Error-Type`.
        error_type: Option<String>,
    },
}

/// The state of the initialization of the process.
#[derive(Debug, Clone, PartialEq)]
pub enum InitState {
    /// The process has not asked for an invocation yet.
    Starting,
    /// The process has asked for its first invocation.
    Ready,
    /// The process has reported that its initialization failed.
    Failed(String),
}

/// The server. It stops when this value is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    state: Arc<State>,
    server: HttpServer,
}

#[derive(Debug)]
struct State {
    /// The number of this server within the test process. It makes request ids unique.
    number: u64,
    function_name: String,
    invocation_count: AtomicU64,
    invocations: Mutex<Invocations>,
    arrived: Notify,
    init_state: watch::Sender<InitState>,
    has_extensions_api: bool,
    invoke_events: Notify,
}

#[derive(Debug, Default)]
struct Invocations {
    /// Invocations that the process has not asked for yet.
    pending: VecDeque<Pending>,
    /// The receivers of the answers to invocations that the process works on, by request id.
    open: HashMap<String, oneshot::Sender<Answer>>,
    /// The events that each extension has registered for, by the identifier of the extension.
    extensions: HashMap<String, Vec<String>>,
    /// `INVOKE` events that extensions have not fetched yet.
    invoke_events: VecDeque<Value>,
}

/// What the function learns of its caller, beside the payload.
#[derive(Debug, Clone, Default)]
pub struct CallerHeaders {
    /// The client context; none: the caller sends none.
    pub client_context: Option<String>,
    /// What Lambda says about the trace; none: it is not sampled; empty: nothing.
    pub trace: Option<String>,
}

#[derive(Debug)]
struct Pending {
    request_id: String,
    headers: CallerHeaders,
    payload: Bytes,
    deadline_ms: u128,
    answer: oneshot::Sender<Answer>,
}

type Reply = Response<Bytes>;

impl RuntimeApi {
    /// Starts a server for the function `function_name` on a free port of 127.0.0.1. Without
    /// `has_extensions_api`, requests to the Extensions API are answered with 404, as by emulators
    /// that do not have this API.
    pub async fn start(function_name: &str, has_extensions_api: bool) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(1);
        let state = Arc::new(State {
            number: STARTED.fetch_add(1, Ordering::Relaxed),
            function_name: function_name.to_owned(),
            invocation_count: AtomicU64::new(1),
            invocations: Mutex::default(),
            arrived: Notify::new(),
            init_state: watch::Sender::new(InitState::Starting),
            has_extensions_api,
            invoke_events: Notify::new(),
        });
        let shared = Arc::clone(&state);
        let server = HttpServer::start(move |request| {
            let state = Arc::clone(&shared);
            async move { state.answer(request).await }
        });
        Self { server: server.await, state }
    }

    /// `host:port`, the value for `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// The state of the initialization, and its changes.
    pub fn init_state(&self) -> watch::Receiver<InitState> {
        self.state.init_state.subscribe()
    }

    /// Queues an invocation. The receiver gets the answer. Without a `request_id`, the invocation
    /// gets a new one. Lambda retries an asynchronous invocation with the id of the first attempt.
    pub fn invoke(
        &self,
        payload: Bytes,
        timeout: Duration,
        request_id: Option<String>,
        headers: CallerHeaders,
    ) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let number = self.state.invocation_count.fetch_add(1, Ordering::Relaxed);
        let request_id =
            request_id.unwrap_or_else(|| format!("{:08x}-6d69-4c6c-8ace-{number:012x}", self.state.number));
        let deadline = SystemTime::now() + timeout;
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis();
        let pending = Pending { request_id, headers, payload, deadline_ms, answer };
        self.state.lock().pending.push_back(pending);
        self.state.arrived.notify_one();
        receiver
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Invocations> {
        self.invocations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Bytes>) -> Reply {
        let (head, body) = request.into_parts();
        let path = head.uri.path().trim_matches('/').to_owned();
        let segments: Vec<&str> = path.split('/').collect();
        match (&head.method, segments.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => self.response(id, body),
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
                self.error(id, body, &head.headers)
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
                self.init_state.send_replace(InitState::Failed(String::from_utf8_lossy(&body).into_owned()));
                accepted()
            }
            (&Method::POST, ["2020-01-01", "extension", "register"]) if self.has_extensions_api => {
                self.register(&head.headers, &body)
            }
            (&Method::GET, ["2020-01-01", "extension", "event", "next"]) if self.has_extensions_api => {
                self.next_event(&head.headers).await
            }
            (&Method::POST, ["2020-01-01", "extension", "init" | "exit", "error"]) if self.has_extensions_api => {
                accepted()
            }
            (method, _) => refuse(StatusCode::NOT_FOUND, "NotFound", &format!("no route {method} /{path}")),
        }
    }

    async fn next(&self) -> Reply {
        self.init_state.send_if_modified(|state| {
            let is_first_request = *state == InitState::Starting;
            if is_first_request {
                *state = InitState::Ready;
            }
            is_first_request
        });
        let next = loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.lock().pending.pop_front() {
                break next;
            }
            arrived.await;
        };
        let not_sampled = format!("Root=1-{:08x}-{:024x};Sampled=0", next.deadline_ms / 1000, self.number);
        let trace = next.headers.trace.unwrap_or(not_sampled);
        let arn = format!("arn:aws:lambda:eu-central-1:123456789012:function:{}", self.function_name);
        let mut invocations = self.lock();
        if invocations.extensions.values().flatten().any(|event| event == "INVOKE") {
            invocations.invoke_events.push_back(json!({
                "eventType": "INVOKE",
                "deadlineMs": next.deadline_ms as u64,
                "requestId": next.request_id,
                "invokedFunctionArn": arn,
                "tracing": {"type": "X-Amzn-Trace-Id", "value": trace},
            }));
            self.invoke_events.notify_waiters();
        }
        let mut reply = Response::builder();
        if let Some(context) = &next.headers.client_context {
            reply = reply.header("lambda-runtime-client-context", context.as_bytes());
        }
        if !trace.is_empty() {
            reply = reply.header("lambda-runtime-trace-id", trace);
        }
        let reply = reply
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &next.request_id)
            .header("lambda-runtime-deadline-ms", next.deadline_ms.to_string())
            .header("lambda-runtime-invoked-function-arn", arn)
            .body(next.payload)
            .expect("the headers are well-formed");
        invocations.open.insert(next.request_id, next.answer);
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
        match self.lock().open.remove(id) {
            Some(waiting) => {
                // Sending fails if the test no longer waits for the answer.
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
            // Only external extensions may register for SHUTDOWN. The extensions here are internal:
            // they run in the process of the function.
            let message = "SHUTDOWN event is not supported for internal extensions.";
            return refuse(StatusCode::FORBIDDEN, "ShutdownEventNotSupportedForInternalExtension", message);
        }
        let mut invocations = self.lock();
        let identifier = format!("{:08x}-0000-4000-8000-{:012x}", self.number, invocations.extensions.len() + 1);
        invocations.extensions.insert(identifier.clone(), events);
        let registered = json!({"functionName": name, "functionVersion": "$LATEST", "handler": "bootstrap"});
        let mut reply = reply(StatusCode::OK, &registered);
        reply.headers_mut().insert("lambda-extension-identifier", identifier.parse().expect("hexadecimal digits"));
        reply
    }

    async fn next_event(&self, headers: &HeaderMap) -> Reply {
        let is_registered =
            text(headers, "lambda-extension-identifier").is_some_and(|id| self.lock().extensions.contains_key(&id));
        if !is_registered {
            let message = "Lambda-Extension-Identifier names no registered extension";
            return refuse(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier", message);
        }
        loop {
            let arrived = self.invoke_events.notified();
            if let Some(event) = self.lock().invoke_events.pop_front() {
                return reply(StatusCode::OK, &event);
            }
            // An extension that has not registered for INVOKE waits for ever.
            arrived.await;
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn reply(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(Bytes::from(body.to_string()));
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
