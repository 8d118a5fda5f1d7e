//! A response: status, headers, a JSON body, compressed if the client accepts it.

use std::time::Duration;

use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use millrace_cache::Tier;
use serde::Serialize;

use crate::{encoding, problem::Problem, request::Request};

/// The cache tier that a read came from.
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// The version of the queue in the response.
pub const X_QUEUE_VERSION: HeaderName = HeaderName::from_static("x-queue-version");
/// How long the request took.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Clients and proxies must not keep the response.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Clients may keep the response, and must revalidate it before each use.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Whether a report of the pipeline has what the request has used.
    pub is_reported: bool,
    body: Vec<u8>,
}

impl Answer {
    /// A response without a body.
    pub fn empty(status: StatusCode) -> Self {
        let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, NO_STORE)]);
        Self { status, headers, is_reported: false, body: Vec::new() }
    }

    /// A value as JSON that clients must not keep.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_else(|error| {
            // The values of this crate can always be serialized.
            tracing::error!(%error, "cannot serialize a response");
            Vec::new()
        });
        let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, NO_STORE), (header::CONTENT_TYPE, JSON)]);
        Self { status, headers, is_reported: false, body }
    }

    /// What the request has used is in a report of the pipeline.
    #[must_use]
    pub fn reported(self) -> Self {
        Self { is_reported: true, ..self }
    }

    /// With an entity tag; clients may keep the response and revalidate it by the tag.
    #[must_use]
    pub fn tagged(mut self, etag: HeaderValue) -> Self {
        self.headers.insert(header::CACHE_CONTROL, REVALIDATE);
        self.headers.insert(header::ETAG, etag);
        self
    }

    /// Only the headers, because the client has the body.
    #[must_use]
    pub fn not_modified(mut self) -> Self {
        self.status = StatusCode::NOT_MODIFIED;
        self.headers.remove(header::CONTENT_TYPE);
        self.body = Vec::new();
        self
    }

    /// With a header. Its value must be ASCII.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => drop(self.headers.insert(name, value)),
            Err(_) => tracing::error!(%name, value, "not a valid header value"),
        }
        self
    }

    /// With the tier that the data came from.
    #[must_use]
    pub fn found_in(self, found: Option<Tier>) -> Self {
        self.with(X_CACHE, cache_name(found))
    }

    /// With `Server-Timing`: the total, the tier, and the hit rate if something was looked up.
    #[must_use]
    pub fn timed(self, total: Duration, cache: Option<&str>, hit_rate: Option<f64>) -> Self {
        let mut timing = format!("total;dur={:.3}", total.as_secs_f64() * 1000.0);
        if let Some(cache) = cache {
            timing.push_str(&format!(", cache;desc=\"{cache}\""));
        }
        if let Some(rate) = hit_rate {
            timing.push_str(&format!(", cache-hit-rate;desc=\"{rate}\""));
        }
        self.with(SERVER_TIMING, &timing)
    }

    /// The response to `request` in the format of API Gateway.
    pub fn finish(mut self, request: &Request) -> ApiGatewayV2httpResponse {
        let mut body = self.body;
        let mut compressed = false;
        if body.len() >= encoding::MIN_BYTES {
            vary(&mut self.headers, "accept-encoding");
            if encoding::accepts_gzip(&request.headers)
                && let Some(smaller) = encoding::gzip(&body)
            {
                self.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                (body, compressed) = (smaller, true);
            }
        }
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(self.status.as_u16());
        response.headers = self.headers;
        if request.method == Method::HEAD || body.is_empty() {
            return response;
        }
        response.is_base64_encoded = compressed;
        response.body = Some(match compressed {
            true => Body::Binary(body),
            // JSON is text.
            false => Body::Text(String::from_utf8(body).unwrap_or_default()),
        });
        response
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let mut answer = Self::json(problem.status(), &problem);
        answer.headers.extend(problem.headers().clone());
        answer.headers.insert(header::CONTENT_TYPE, PROBLEM);
        answer
    }
}

/// Adds a header of the request to `Vary`. All names are in one value, because the format of API
/// Gateway allows only one.
pub fn vary(headers: &mut HeaderMap, name: &'static str) {
    let known = headers.get(header::VARY).and_then(|value| value.to_str().ok()).map(|value| format!("{value}, {name}"));
    let value = known.and_then(|value| HeaderValue::from_str(&value).ok());
    headers.insert(header::VARY, value.unwrap_or(HeaderValue::from_static(name)));
}

/// `local`, `redis` or `miss`.
pub fn cache_name(found: Option<Tier>) -> &'static str {
    match found {
        Some(Tier::Local) => "local",
        Some(Tier::Redis) => "redis",
        None => "miss",
    }
}
