//! EventBridge and SQS as HTTP servers that keep what was sent.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::{Request, Response};
use millrace_servers::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use serde_json::{Value, json};

use crate::{function::FunctionBuilder, http_server::HttpServer};

/// One server for both services.
#[derive(Debug)]
pub struct EventCalls {
    server: HttpServer,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation, such as `PutEvents`.
    pub operation: String,
    /// The header `X-Amzn-Trace-Id`; empty if there is none.
    pub trace: String,
    /// The entries.
    pub entries: Vec<Value>,
}

impl EventCalls {
    /// Starts a server that accepts everything.
    pub async fn start() -> Self {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let received = Arc::clone(&calls);
        let server = HttpServer::start(move |request: Request<Bytes>| {
            let header = |name: &str| {
                let value = request.headers().get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let (target, trace) = (header("x-amz-target"), header("x-amzn-trace-id"));
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(request.body()).expect("JSON");
            let entries = body["Entries"].as_array().cloned().unwrap_or_default();
            let answer = answer(&operation, &entries);
            received.lock().unwrap_or_else(PoisonError::into_inner).push(Call { operation, trace, entries });
            async move { Response::new(Bytes::from(answer.to_string())) }
        });
        Self { server: server.await, calls }
    }

    /// Lets a function call this server.
    pub fn serve(&self, function: FunctionBuilder) -> FunctionBuilder {
        let url = format!("http://{}", self.server.address);
        function
            .env("AWS_ENDPOINT_URL_SQS", &url)
            .env("AWS_ENDPOINT_URL_EVENTBRIDGE", &url)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    }

    /// The URL of a queue with this name.
    pub fn queue_url(&self, name: &str) -> String {
        format!("http://{}/123456789012/{name}", self.server.address)
    }

    /// The calls of an operation since the last time, in their order.
    pub fn take(&self, operation: &str) -> Vec<Call> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.extract_if(.., |call| call.operation == operation).collect()
    }
}

impl Call {
    /// The trace headers of the entries.
    pub fn trace_headers(&self) -> Vec<String> {
        let header = |entry: &Value| match self.operation.as_str() {
            "PutEvents" => entry["TraceHeader"].clone(),
            _ => entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].clone(),
        };
        self.entries.iter().map(|entry| header(entry).as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn answer(operation: &str, entries: &[Value]) -> Value {
    match operation {
        "PutEvents" => {
            let accepted: Vec<Value> = (0..entries.len()).map(|at| json!({"EventId": format!("e-{at}")})).collect();
            json!({"FailedEntryCount": 0, "Entries": accepted})
        }
        _ => {
            let accepted =
                entries.iter().map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""}));
            json!({"Successful": accepted.collect::<Vec<_>>(), "Failed": []})
        }
    }
}
