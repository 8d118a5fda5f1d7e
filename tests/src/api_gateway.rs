//! An HTTP server that passes each request to a function, as API Gateway does. HTTP clients can use
//! it to test the function.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    function::{Function, Invocation},
    http::{self, Request},
};

/// The server. It stops when this value is dropped.
#[derive(Debug)]
pub struct ApiGateway {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl ApiGateway {
    /// Starts a server on a free port of 127.0.0.1. Requests with the bearer token `token` get the
    /// authorizer context `authorizer`. All other requests have none.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(function: Arc<Function>, token: &str, authorizer: Value) -> Self {
        let credentials: Arc<(String, Value)> = Arc::new((format!("Bearer {token}"), authorizer));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound socket has an address");
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (function, credentials) = (Arc::clone(&function), Arc::clone(&credentials));
                connections.spawn(async move {
                    let service = service_fn(|request| {
                        let (function, credentials) = (Arc::clone(&function), Arc::clone(&credentials));
                        async move { Ok::<_, Infallible>(answer(&function, &credentials, request).await) }
                    });
                    // The connection breaks when the client ends. That is no error.
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, server }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for ApiGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    function: &Function,
    (bearer, authorizer): &(String, Value),
    request: hyper::Request<Incoming>,
) -> Response<Full<Bytes>> {
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
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
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
    response.body(Full::new(Bytes::from(answer.body))).expect("the function answers with valid HTTP")
}
