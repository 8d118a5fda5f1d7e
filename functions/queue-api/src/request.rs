//! The bytes of an invocation as a request. HTTP APIs of API Gateway (payload format 2.0), function
//! URLs and `cargo lambda watch` all send the same format.
//!
//! The conversion of `lambda_http` to an `http::Request` is not used: it builds a URI from headers
//! of the client, and panics if they make no valid one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayRequestAuthorizer,
    http::{HeaderMap, HeaderName, Method},
    request::LambdaRequest,
};
use millrace_lambda::FunctionError;
use percent_encoding::percent_decode_str;

/// The stage that is not part of the path.
const DEFAULT_STAGE: &str = "$default";

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The segments of the path, decoded.
    pub segments: Vec<String>,
    /// The parameters of the query in their order, decoded.
    pub query: Vec<(String, String)>,
    /// The headers; the client can send any.
    pub headers: HeaderMap,
    /// The body; none if it is marked as base64 and is not.
    pub body: Option<Vec<u8>>,
    /// The authorizer context, which API Gateway sets. Clients cannot.
    pub authorizer: Option<ApiGatewayRequestAuthorizer>,
}

impl Request {
    /// Reads the bytes of an invocation.
    ///
    /// # Errors
    /// `NotAnHttpRequest` if the function was invoked with something else.
    pub fn read(payload: &[u8]) -> Result<Self, FunctionError> {
        let event = match serde_json::from_slice(payload) {
            Ok(LambdaRequest::ApiGatewayV2(event)) => event,
            Ok(_) => {
                return Err(FunctionError::new("NotAnHttpRequest", "allowed: payload format 2.0 of API Gateway"));
            }
            Err(error) => return Err(FunctionError::new("NotAnHttpRequest", error)),
        };
        let context = event.request_context;
        let path = event.raw_path.unwrap_or_default();
        let query = event.raw_query_string.unwrap_or_default();
        let body = match event.body {
            None => Some(Vec::new()),
            Some(body) if event.is_base64_encoded => STANDARD.decode(body).ok(),
            Some(body) => Some(body.into_bytes()),
        };
        Ok(Self {
            method: context.http.method,
            segments: segments(without_stage(&path, context.stage.as_deref())),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: event.headers,
            body,
            authorizer: context.authorizer,
        })
    }

    /// A header as text; none if it is missing or not ASCII.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Removes the stage, which is the first part of the path if it is a named one.
fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let Some(stage) = stage.filter(|stage| *stage != DEFAULT_STAGE && !stage.is_empty()) else { return path };
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// Splits the path before it decodes the segments: an encoded slash is part of a segment. HTTP APIs
/// send decoded paths. Decoding an id twice is harmless, because ids have no `%`.
fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/players/p-1/queue", "rawQueryString": "",
            "headers": {"host": "x"}, "isBase64Encoded": false,
            "requestContext": {"stage": "$default", "http": {"method": "GET", "path": "/players/p-1/queue"}},
        });
        change(&mut event);
        event.to_string().into_bytes()
    }

    #[test]
    fn segments_are_decoded_after_the_path_is_split() {
        for (path, expected) in [
            ("/health", vec!["health"]),
            ("/players/a%3Ab/queue", vec!["players", "a:b", "queue"]),
            ("/players/a%2Fb/queue", vec!["players", "a/b", "queue"]),
            ("/players/%ff/queue", vec!["players", "\u{fffd}", "queue"]),
            ("/players/%/queue", vec!["players", "%", "queue"]),
            ("", vec![""]),
            ("//", vec!["", ""]),
        ] {
            assert_eq!(Request::read(&event(|event| event["rawPath"] = json!(path))).unwrap().segments, expected);
        }
    }

    #[test]
    fn a_named_stage_is_removed_from_the_path() {
        for (stage, path, expected) in [
            ("dev", "/dev/health", vec!["health"]),
            ("dev", "/health", vec!["health"]),
            ("dev", "/devices", vec!["devices"]),
            ("$default", "/$default/health", vec!["$default", "health"]),
        ] {
            let request = Request::read(&event(|event| {
                event["rawPath"] = json!(path);
                event["requestContext"]["stage"] = json!(stage);
            }));
            assert_eq!(request.unwrap().segments, expected, "{path} of {stage}");
        }
    }

    #[test]
    fn malformed_requests_do_not_panic() {
        for (name, value) in [("host", "a b:99999"), ("x-forwarded-proto", "no scheme"), ("x-y", "ü")] {
            let read = Request::read(&event(|event| {
                event["headers"][name] = json!(value);
                event["rawQueryString"] = json!("a=%zz&\u{0}=ü&&=&b");
                event["rawPath"] = json!("/pl ayers/\u{7}ü/{}\"");
            }));
            assert_eq!(read.unwrap().segments.len(), 3);
        }
        let read = Request::read(&event(|event| {
            event["body"] = json!("not base64!");
            event["isBase64Encoded"] = json!(true);
        }));
        assert_eq!(read.unwrap().body, None);
    }

    #[test]
    fn other_events_are_refused() {
        for payload in ["", "[]", "{}", r#"{"Records": []}"#] {
            assert_eq!(Request::read(payload.as_bytes()).unwrap_err().error_type, "NotAnHttpRequest");
        }
    }
}
