//! Sends events and HTTP requests to the functions.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the emulator is unreachable: {0}")]
    Unreachable(String),
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the invocation failed ({status}): {body}")]
    Failed { status: StatusCode, body: String },
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    #[error("the answer has no events: {0}")]
    NoEvents(String),
}

/// A client of the emulator at a port of this machine.
#[derive(Debug)]
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    port: u16,
}

impl Client {
    pub fn new(port: u16) -> Self {
        Self { http: HttpClient::builder(TokioExecutor::new()).build_http(), port }
    }

    /// Sends an event to a function through the Lambda API, and waits for the answer.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Value, ClientError> {
        let response = self.send("POST", &invocation_url(self.port, function), event).await?;
        if !response.status().is_success() {
            let body = String::from_utf8_lossy(response.body()).into_owned();
            return Err(ClientError::Failed { status: response.status(), body });
        }
        json(response.body())
    }

    /// Sends an HTTP request to `queue-api`, and waits for the response.
    pub async fn request(&self, method: &str, path: &str, body: String) -> Result<Response<Value>, ClientError> {
        let (head, body) = self.send(method, &(url(self.port) + path), body.into()).await?.into_parts();
        Ok(Response::from_parts(head, json(&body)?))
    }

    async fn send(&self, method: &str, url: &str, body: Bytes) -> Result<Response<Bytes>, ClientError> {
        let unreachable = |error: &dyn std::error::Error| ClientError::Unreachable(error.to_string());
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| unreachable(&error))?;
        let answer = async {
            let (head, body) = self.http.request(request).await.map_err(|error| unreachable(&error))?.into_parts();
            let body = body.collect().await.map_err(|error| unreachable(&error))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await.map_err(|_| ClientError::TimedOut)?
    }
}

fn json(body: &[u8]) -> Result<Value, ClientError> {
    serde_json::from_slice(body).map_err(|_| ClientError::NotJson(String::from_utf8_lossy(body).into_owned()))
}

/// The address at which the emulator takes HTTP requests. Its router, in `Cargo.toml`, hands them
/// to `queue-api`.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The address at which the Lambda API takes events for a function.
pub fn invocation_url(port: u16, function: &str) -> String {
    format!("{}/2015-03-31/functions/{function}/invocations", url(port))
}
