//! An HTTP client with a time-out, for `http` and `https`.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::OnceCell;

/// How long a request may take. API Gateway ends each one after 30 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);

type TlsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The client. TLS is set up at the first request that needs it.
#[derive(Debug)]
pub struct HttpClient {
    plain: Client<HttpConnector, Full<Bytes>>,
    tls: OnceCell<TlsClient>,
}

impl HttpClient {
    pub fn new() -> Self {
        Self { plain: Client::builder(TokioExecutor::new()).build_http(), tls: OnceCell::new() }
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// What went wrong, for people, if there is no response.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let request = request.map(Full::new);
        let response = async {
            let response = if request.uri().scheme_str() == Some("https") {
                self.tls.get_or_try_init(tls_client).await?.request(request).await
            } else {
                self.plain.request(request).await
            };
            let (head, body) = response.map_err(|error| chain(&error))?.into_parts();
            let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, response).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())),
        }
    }
}

async fn tls_client() -> Result<TlsClient, String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let roots = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
    let roots = roots.map_err(|error| format!("no certificates of authorities on this machine: {error}"))?;
    let connector = roots.https_only().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// The error with its causes: the outermost one of hyper says little.
fn chain(error: &dyn Error) -> String {
    let (mut texts, mut cause) = (vec![error.to_string()], error.source());
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}
