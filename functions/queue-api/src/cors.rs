//! Cross-origin requests: pages of which origins may use the API in a browser.

use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use millrace_lambda::settings::CorsOrigins;

use crate::{
    answer::{self, Answer},
    request::Request,
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
/// The request headers of the API, and those that a signature needs.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-none-match, x-min-queue-version, x-amz-date, \
     x-amz-security-token, x-amz-content-sha256",
);
const EXPOSED: HeaderValue =
    HeaderValue::from_static("etag, retry-after, server-timing, x-cache, x-queue-version, allow, www-authenticate");
/// Two hours; browsers do not keep the answer for longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The value of `Access-Control-Allow-Origin`, if the origin of the request is allowed.
fn allowed(request: &Request, origins: &CorsOrigins) -> Option<HeaderValue> {
    let origin = request.headers.get(header::ORIGIN)?;
    match origins {
        CorsOrigins::Any => Some(HeaderValue::from_static("*")),
        CorsOrigins::Listed(listed) => {
            listed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
        }
    }
}

/// The answer to a preflight request, which has no credentials. None if the request is not one, or
/// its origin is not allowed.
pub fn preflight(request: &Request, origins: &CorsOrigins) -> Option<Answer> {
    let asks = request.method == Method::OPTIONS && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let origin = allowed(request, origins).filter(|_| asks)?;
    let mut answer = Answer::empty(StatusCode::NO_CONTENT);
    answer.headers.extend([
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ]);
    vary_by_origin(&mut answer.headers, origins);
    Some(answer)
}

/// Lets the page read the response, if its origin is allowed.
pub fn mark(headers: &mut HeaderMap, request: &Request, origins: &CorsOrigins) {
    vary_by_origin(headers, origins);
    if let Some(origin) = allowed(request, origins) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// With a list of origins, the response depends on the origin.
fn vary_by_origin(headers: &mut HeaderMap, origins: &CorsOrigins) {
    if matches!(origins, CorsOrigins::Listed(listed) if !listed.is_empty()) {
        answer::vary(headers, "origin");
    }
}
