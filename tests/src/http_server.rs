//! An HTTP server in the test process.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// The server. It stops when this value is dropped.
#[derive(Debug)]
pub struct HttpServer {
    /// Its address: a free port of 127.0.0.1.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server that answers each request with `answer`.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start<F>(answer: impl Fn(Request<Bytes>) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound socket has an address");
        let task = tokio::spawn(async move {
            // Dropping the set ends the connections together with the server.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let answer = answer.clone();
                        async move {
                            let (head, body) = request.into_parts();
                            let request = Request::from_parts(head, body.collect().await?.to_bytes());
                            Ok::<_, hyper::Error>(answer(request).await.map(Full::new))
                        }
                    });
                    // The connection breaks when the client ends. That is no error.
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, task }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
