//! A fake Lambda Runtime API, with the calls that a function uses.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};

/// The deadline of every invocation: 2030-01-01T00:00:00.042Z.
pub const DEADLINE_MS: u64 = 1_893_456_000_042;

/// The answer to the registration of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extensions {
    /// As Lambda answers.
    Known,
    /// Status 404.
    Unknown,
    /// Status 200 with an invalid body.
    Garbled,
    /// No answer.
    Silent,
}

/// The answer of a function to one invocation.
#[derive(Debug)]
pub struct Answer {
    /// `response` or `error`.
    pub kind: String,
    /// The body.
    pub body: Value,
    /// The id of the invocation.
    pub request_id: String,
}

/// A running Runtime API.
pub struct RuntimeApi {
    address: String,
    invocations: mpsc::UnboundedSender<(String, Bytes)>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

struct Shared {
    extensions: Extensions,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Bytes)>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    extension_is_waiting: AtomicBool,
}

impl RuntimeApi {
    /// Starts the API on a free port.
    pub async fn start(extensions: Extensions) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            extensions,
            waiting: tokio::sync::Mutex::new(waiting),
            answers: Mutex::default(),
            extension_is_waiting: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| Arc::clone(&shared).serve(request));
                // The result is ignored: a function that ends breaks its connections.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, invocations, shared, next_id: AtomicU64::new(1) }
    }

    /// The address of the API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a registered extension has asked for its next event. Lambda does not end the init
    /// phase before it has.
    pub fn extension_is_waiting(&self) -> bool {
        self.shared.extension_is_waiting.load(Ordering::SeqCst)
    }

    /// Invokes the function and waits for its answer.
    pub async fn invoke(&self, payload: &[u8]) -> Answer {
        let request_id = format!("request-{}", self.next_id.fetch_add(1, Ordering::SeqCst));
        let (sender, answer) = oneshot::channel();
        self.shared.answers.lock().unwrap().insert(request_id.clone(), sender);
        self.invocations.send((request_id, Bytes::copy_from_slice(payload))).unwrap();
        timeout(Duration::from_secs(10), answer).await.expect("the function answers").unwrap()
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        Ok(match segments[..] {
            ["2018-06-01", "runtime", "invocation", "next"] => self.next().await,
            ["2018-06-01", "runtime", "invocation", id, kind @ ("response" | "error")] => {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).expect("an answer is JSON");
                let sender = self.answers.lock().unwrap().remove(id).expect("one answer to each invocation");
                // The receiver is gone if the test has ended.
                let _ = sender.send(Answer { kind: kind.to_owned(), body, request_id: id.to_owned() });
                reply(202, "{}")
            }
            ["2020-01-01", "extension", "register"] => self.register().await,
            ["2020-01-01", "extension", "event", "next"] => {
                self.extension_is_waiting.store(true, Ordering::SeqCst);
                pending().await
            }
            _ => reply(404, "{}"),
        })
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let Some((request_id, payload)) = self.waiting.lock().await.recv().await else { return pending().await };
        Response::builder()
            .header("lambda-runtime-aws-request-id", request_id)
            .header("lambda-runtime-deadline-ms", DEADLINE_MS)
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:echo")
            .body(Full::new(payload))
            .unwrap()
    }

    async fn register(&self) -> Response<Full<Bytes>> {
        match self.extensions {
            Extensions::Known => Response::builder()
                .header("lambda-extension-identifier", "extension-1")
                .body(Full::from(r#"{"functionName": "echo", "functionVersion": "1", "handler": "bootstrap"}"#))
                .unwrap(),
            Extensions::Unknown => reply(404, "{}"),
            Extensions::Garbled => reply(200, "what?"),
            Extensions::Silent => pending().await,
        }
    }
}

fn reply(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(body)).unwrap()
}
