//! An HTTP server in front of a function, for programs that speak HTTP: every request becomes an
//! invocation, as API Gateway makes it.

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

/// A server. It ends with this value.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Front {
    /// Starts one on a free port of 127.0.0.1. A request with this bearer token has this authorizer context,
    /// any other has none.
    ///
    /// # Panics
    /// Where no port is free.
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
                    // A connection that breaks is a client that has ended.
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

impl Drop for Front {
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
    let known = head.headers.get("authorization").is_some_and(|value| value.as_bytes() == bearer.as_bytes());
    let authorizer = if known { authorizer.clone() } else { Value::Null };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut event = Request::new(head.method.as_str(), target).authorizer(authorizer);
    for name in head.headers.keys() {
        // API Gateway joins what is given several times, and drops what is no text.
        let values: Vec<&str> = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        event = event.header(name.as_str(), &values.join(","));
    }
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if !body.is_empty() {
        event = event.body(body);
    }
    let answer = match function.invoke(Invocation::from(event.event())).await {
        Ok(answer) => http::Response::of(&answer),
        Err(error) => http::Response { status: 502, headers: [].into(), body: error.to_string().into_bytes() },
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body))).expect("what the function answers is HTTP")
}
