//! The HTTP client for an OTLP collector: that of the AWS SDK, which is there anyway.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector as _, orchestrator::HttpRequest};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use millrace_telemetry::trace::OtlpTransport;

use crate::runtime::run::with_causes;

/// The connections are replaced after this time without use, as those to AWS.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Posts requests to one URL.
#[derive(Debug)]
pub(crate) struct OtlpClient {
    url: String,
    /// The connections, and the wall-clock time of their last use.
    last: Mutex<(SystemTime, Arc<Connector>)>,
}

impl OtlpClient {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), last: Mutex::new((SystemTime::now(), connector())) }
    }

    fn connector(&self) -> Arc<Connector> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // If the clock was set back, the idle time is unknown.
        if now.duration_since(last.0).is_ok_and(|idle| idle < IDLE_TIMEOUT) {
            last.0 = now;
        } else {
            *last = (now, connector());
        }
        Arc::clone(&last.1)
    }

    fn request(&self, body: Vec<u8>) -> Result<HttpRequest, String> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(self.url.as_str()).map_err(|error| error.to_string())?;
        request.headers_mut().insert("content-type", "application/x-protobuf");
        Ok(request)
    }
}

fn connector() -> Arc<Connector> {
    Arc::new(Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build())
}

#[async_trait]
impl OtlpTransport for OtlpClient {
    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let answer = self.connector().call(self.request(body)?).await;
        let answer = answer.map_err(|error| with_causes(&error))?;
        let status = answer.status();
        // The connection is used again only once the answer is read.
        let read = answer.into_body().collect().await;
        match status.is_success() {
            true => read.map(drop).map_err(|error| error.to_string()),
            false => Err(format!("the status {}", status.as_u16())),
        }
    }
}
