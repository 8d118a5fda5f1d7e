//! HTTP requests in the payload format 2.0 of API Gateway, and the responses.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{function::Function, invocation::Invocation};

/// A request that API Gateway passes to a function.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Option<Vec<u8>>,
    authorizer: Value,
}

/// The response of a function.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers. Their names are in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body. It is compressed if the headers say so.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body. `target` is the percent-encoded path and query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: BTreeMap::from([("host".to_owned(), "api.example".to_owned())]),
            body: None,
            authorizer: Value::Null,
        }
    }

    /// A `GET` request.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` request with a JSON body.
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(body.to_string())
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the context of a valid JWT with this subject and these scopes.
    #[must_use]
    pub fn token(self, subject: &str, scopes: &[&str]) -> Self {
        self.authorizer(json!({"jwt": {"claims": {"sub": subject, "iss": "https://id.example"}, "scopes": scopes}}))
    }

    /// Sets the context of a game server, which has all scopes.
    #[must_use]
    pub fn trusted(self) -> Self {
        self.token("game-server", &["millrace/commands", "millrace/admin"])
    }

    /// Sets the authorizer context.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Value) -> Self {
        self.authorizer = authorizer;
        self
    }

    /// The payload that the function receives.
    pub fn payload(&self) -> Value {
        let (body, encoded) = match &self.body {
            None => (Value::Null, false),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (json!(text), false),
                Err(_) => (json!(STANDARD.encode(bytes)), true),
            },
        };
        let mut payload = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api-id",
                "domainName": "api.example",
                "domainPrefix": "api",
                "http": {
                    "method": self.method, "path": self.path, "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1", "userAgent": "test",
                },
                "requestId": "id=",
                "routeKey": "$default",
                "stage": "$default",
                "time": "12/Mar/2026:19:03:58 +0000",
                "timeEpoch": 1_773_342_238_000_u64,
            },
            "isBase64Encoded": encoded,
        });
        if !body.is_null() {
            payload["body"] = body;
        }
        if !self.authorizer.is_null() {
            payload["requestContext"]["authorizer"] = self.authorizer.clone();
        }
        payload
    }

    /// Sends the request.
    ///
    /// # Panics
    /// If the function fails or its answer is not in the format of API Gateway.
    pub async fn send(&self, function: &Function) -> Response {
        self.send_as(function, Invocation::from(self.payload())).await
    }

    /// Sends this invocation, which a test has made from [`Request::payload`].
    ///
    /// # Panics
    /// If the function fails or its answer is not in the format of API Gateway.
    pub async fn send_as(&self, function: &Function, invocation: Invocation) -> Response {
        let answer = function.invoke(invocation).await;
        Response::from_answer(&answer.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path)))
    }
}

impl Response {
    /// Reads an answer in the format of API Gateway.
    ///
    /// # Panics
    /// If the answer is in another format.
    pub fn from_answer(answer: &Value) -> Self {
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let headers = answer["headers"].as_object().into_iter().flatten().map(|(name, value)| {
            (name.to_ascii_lowercase(), value.as_str().unwrap_or_else(|| panic!("header {name}: {value}")).to_owned())
        });
        let body = answer["body"].as_str().unwrap_or_default();
        let body = match answer["isBase64Encoded"].as_bool() {
            Some(true) => STANDARD.decode(body).expect("base64"),
            _ => body.as_bytes().to_vec(),
        };
        Self { status: status.unwrap_or_else(|| panic!("no status in {answer}")), headers: headers.collect(), body }
    }

    /// The value of a header. Empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {self:?}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts the status code and returns the body as JSON.
    ///
    /// # Panics
    /// If the assertion fails.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Asserts that the response is an RFC 9457 problem with this status code and type. Returns the
    /// problem.
    ///
    /// # Panics
    /// If the assertion fails.
    pub fn problem(&self, status: u16, error_type: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["errorType"], error_type, "{problem:#}");
        assert_eq!(problem["type"], format!("urn:millrace:problem:{error_type}"));
        assert_eq!(problem["status"], status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem:#}");
        }
        problem
    }
}
