//! An HTTP server that passes each request to a function, as API Gateway does. HTTP clients can use
//! it to test the function.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;

use crate::{
    function::Function,
    http::{self, Request},
    http_server::HttpServer,
    invocation::Invocation,
};

/// The server. It stops when this value is dropped.
#[derive(Debug)]
pub struct ApiGateway(HttpServer);

impl ApiGateway {
    /// Starts a server on a free port of 127.0.0.1. Requests with the bearer token `token` get the
    /// authorizer context `authorizer`. All other requests have none.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(function: Arc<Function>, token: &str, authorizer: Value) -> Self {
        let credentials: Arc<(String, Value)> = Arc::new((format!("Bearer {token}"), authorizer));
        let answer = move |request| {
            let (function, credentials) = (Arc::clone(&function), Arc::clone(&credentials));
            async move { answer(&function, &credentials, request).await }
        };
        Self(HttpServer::start(answer).await)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }
}

async fn answer(
    function: &Function,
    (bearer, authorizer): &(String, Value),
    request: hyper::Request<Bytes>,
) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let is_authenticated = head.headers.get("authorization").is_some_and(|value| value.as_bytes() == bearer.as_bytes());
    let authorizer = if is_authenticated { authorizer.clone() } else { Value::Null };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut forwarded = Request::new(head.method.as_str(), target).authorizer(authorizer);
    for name in head.headers.keys() {
        // API Gateway joins repeated headers and drops values that are not text.
        let values: Vec<&str> = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        forwarded = forwarded.header(name.as_str(), &values.join(","));
    }
    if !body.is_empty() {
        forwarded = forwarded.body(body);
    }
    let answer = match function.invoke(Invocation::from(forwarded.payload())).await {
        Ok(answer) => http::Response::from_answer(&answer),
        Err(error) => http::Response { status: 502, headers: [].into(), body: error.to_string().into_bytes() },
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Bytes::from(answer.body)).expect("the function answers with valid HTTP")
}
