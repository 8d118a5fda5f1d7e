//! HTTP requests as API Gateway hands them to a function, in payload format 2.0, and the answers.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::function::{Function, Invocation};

/// A request on its way through API Gateway.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Option<Vec<u8>>,
    authorizer: Value,
}

/// What the function answers.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as it goes over the wire.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body; `target` is path and query, encoded as on the wire.
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

    /// A `GET`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` of JSON.
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(body.to_string())
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// From somebody with a token that API Gateway has checked.
    #[must_use]
    pub fn token(self, subject: &str, scopes: &[&str]) -> Self {
        self.authorizer(json!({"jwt": {"claims": {"sub": subject, "iss": "https://id.example"}, "scopes": scopes}}))
    }

    /// From somebody with both scopes.
    #[must_use]
    pub fn trusted(self) -> Self {
        self.token("game-server", &["millrace/commands", "millrace/admin"])
    }

    /// With this authorizer context.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Value) -> Self {
        self.authorizer = authorizer;
        self
    }

    /// The event that the function gets.
    pub fn event(&self) -> Value {
        let (body, encoded) = match &self.body {
            None => (Value::Null, false),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (json!(text), false),
                Err(_) => (json!(STANDARD.encode(bytes)), true),
            },
        };
        let mut event = json!({
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
            event["body"] = body;
        }
        if !self.authorizer.is_null() {
            event["requestContext"]["authorizer"] = self.authorizer.clone();
        }
        event
    }

    /// Sends it.
    ///
    /// # Panics
    /// Where the function does not answer as API Gateway wants it.
    pub async fn send(&self, function: &Function) -> Response {
        self.send_as(function, Invocation::from(self.event())).await
    }

    /// The same with an invocation of this event that is told more.
    ///
    /// # Panics
    /// Likewise.
    pub async fn send_as(&self, function: &Function, invocation: Invocation) -> Response {
        let answer = function.invoke(invocation).await;
        Response::of(&answer.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path)))
    }
}

impl Response {
    /// Reads an answer in the form of API Gateway.
    ///
    /// # Panics
    /// Where it has another.
    pub fn of(answer: &Value) -> Self {
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

    /// A header; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {self:?}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body, which has to be of this status.
    ///
    /// # Panics
    /// Where it is of another.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The problem, which has to be of this status and type.
    ///
    /// # Panics
    /// Where it is not, or is no problem as RFC 9457 wants it.
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
