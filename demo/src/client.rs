//! Sends events to a function through the Lambda API.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// How long an invocation may take.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Why an event has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the emulator is unreachable: {0}")]
    Unreachable(String),
    #[error("no answer within {} s", INVOCATION_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the invocation failed ({status}): {body}")]
    Failed { status: StatusCode, body: String },
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
}

/// A client of one function.
#[derive(Debug)]
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    uri: String,
}

impl Client {
    /// A client of the function `name`, at a port of this machine.
    pub fn new(port: u16, name: &str) -> Self {
        Self { http: HttpClient::builder(TokioExecutor::new()).build_http(), uri: uri(port, name) }
    }

    /// Sends an event and waits for the answer.
    pub async fn invoke(&self, event: &[u8]) -> Result<Value, ClientError> {
        tokio::time::timeout(INVOCATION_TIMEOUT, self.send(event)).await.map_err(|_| ClientError::TimedOut)?
    }

    async fn send(&self, event: &[u8]) -> Result<Value, ClientError> {
        let unreachable = |error: &dyn std::error::Error| ClientError::Unreachable(error.to_string());
        let request = Request::post(&self.uri)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(event)))
            .map_err(|error| unreachable(&error))?;
        let response = self.http.request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?.to_bytes();
        let text = || String::from_utf8_lossy(&body).into_owned();
        if !status.is_success() {
            return Err(ClientError::Failed { status, body: text() });
        }
        serde_json::from_slice(&body).map_err(|_| ClientError::NotJson(text()))
    }
}

/// The address at which the Lambda API takes events for a function.
pub fn uri(port: u16, name: &str) -> String {
    format!("http://127.0.0.1:{port}/2015-03-31/functions/{name}/invocations")
}
