//! The bytes of an invocation as a request. HTTP APIs of API Gateway (payload format 2.0), function
//! URLs and `cargo lambda watch` all send the same format.
//!
//! Only the fields that are used are read, and each of them may have any JSON type. The types of
//! `lambda_http` are not used: they refuse a whole event for the type of one claim, and their
//! conversion to an `http::Request` panics if headers of the client do not make a valid URI.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method};
use millrace_lambda::FunctionError;
use millrace_telemetry::trace::TraceContext;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::problem::Problem;

/// The stage that is not part of the path.
const DEFAULT_STAGE: &str = "$default";

/// The header of W3C that names a trace.
const TRACEPARENT: &str = "traceparent";
/// The header of X-Ray that names a trace. API Gateway adds it.
const XRAY_TRACE: &str = "x-amzn-trace-id";

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The segments of the path below the base path, decoded. Empty if the path is outside of it.
    pub segments: Vec<String>,
    /// The parameters of the query in their order, decoded.
    pub query: Vec<(String, String)>,
    /// The headers; the client can send any.
    pub headers: HeaderMap,
    /// The body; none if it is not text, or is marked as base64 and is not.
    pub body: Option<Vec<u8>>,
    /// The authorizer context, which API Gateway sets. Clients cannot. Null if there is none.
    pub authorizer: Value,
}

/// Why an event cannot be read as a request.
#[derive(Debug)]
pub enum Unreadable {
    /// It is not an HTTP request: the invocation fails.
    NotHttp(FunctionError),
    /// It is an HTTP request that is not supported: its client gets this problem.
    Unsupported(Problem),
}

impl Request {
    /// Reads the bytes of an invocation. `base_path` has the segments that every path begins with.
    ///
    /// # Errors
    /// [`Unreadable`] if they are not an HTTP request in the payload format 2.0.
    pub fn read(payload: &[u8], base_path: &[String]) -> Result<Self, Unreadable> {
        let not_http =
            |error: &dyn ToString| Unreadable::NotHttp(FunctionError::new("NotAnHttpRequest", error.to_string()));
        let mut event: Value = serde_json::from_slice(payload).map_err(|error| not_http(&error))?;
        let context = &event["requestContext"];
        if !context["http"].is_object() {
            return Err(match &event["httpMethod"] {
                Value::String(_) => Unreadable::Unsupported(Problem::unsupported_format(&as_sent(&event["version"]))),
                _ => not_http(&"allowed: payload format 2.0 of API Gateway"),
            });
        }
        let method = &context["http"]["method"];
        let Some(method) = method.as_str().and_then(|method| Method::from_bytes(method.as_bytes()).ok()) else {
            return Err(Unreadable::Unsupported(Problem::invalid("method", &as_sent(method), "an HTTP method")));
        };
        let path = segments(text(&event["rawPath"]));
        let query = form_urlencoded::parse(text(&event["rawQueryString"]).as_bytes()).into_owned().collect();
        Ok(Self {
            method,
            segments: below(&path, base_path, text(&context["stage"])).unwrap_or_default().to_vec(),
            query,
            headers: headers(&event["headers"]),
            body: body(event["body"].take(), event["isBase64Encoded"] == true),
            authorizer: event["requestContext"]["authorizer"].take(),
        })
    }

    /// A header as text; none if it is missing or not ASCII.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The trace that the request is part of, by the header of W3C, or else by that of X-Ray.
    pub fn trace(&self) -> Option<TraceContext> {
        let context = |name| TraceContext::parse(self.header(&HeaderName::from_static(name))?);
        context(TRACEPARENT).or_else(|| context(XRAY_TRACE))
    }
}

/// Text of the event. A value of another type counts as missing.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A value as an error shows it.
fn as_sent(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn headers(values: &Value) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        let value = HeaderValue::from_bytes(as_sent(value).as_bytes()).ok()?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    let given = values.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    given.filter_map(header).collect()
}

fn body(value: Value, is_base64: bool) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(body) if is_base64 => STANDARD.decode(body).ok(),
        Value::String(body) => Some(body.into_bytes()),
        _ => None,
    }
}

/// The segments below the base path; none if the path is outside of it. A named stage is the first
/// segment of the path, unless the request came through a custom domain.
fn below<'a>(path: &'a [String], base_path: &[String], stage: &str) -> Option<&'a [String]> {
    let is_named = !["", DEFAULT_STAGE].contains(&stage);
    let in_stage = path.split_first().filter(|(first, _)| is_named && *first == stage);
    let below_stage = in_stage.map_or(path, |(_, rest)| rest);
    // The base path may be the stage itself.
    let whole = path.strip_prefix(base_path).filter(|_| !base_path.is_empty());
    whole.or_else(|| below_stage.strip_prefix(base_path))
}

/// Splits the path before it decodes the segments: an encoded slash is part of a segment. Slashes
/// at the end are ignored. HTTP APIs send decoded paths. Decoding an id twice is harmless, because
/// ids have no `%`. A segment that is not UTF-8 stays as sent, and a `+` is a plus.
fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8().map(String::from);
    path.split('/').map(|segment| decoded(segment).unwrap_or_else(|_| segment.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Request {
        below_base_path("", change)
    }

    fn below_base_path(base_path: &str, change: impl FnOnce(&mut Value)) -> Request {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/players/p-1/queue", "rawQueryString": "",
            "headers": {"host": "x"}, "isBase64Encoded": false,
            "requestContext": {"stage": "$default", "http": {"method": "GET", "path": "/players/p-1/queue"}},
        });
        change(&mut event);
        let base_path: Vec<String> = base_path.split('/').skip(1).map(str::to_owned).collect();
        Request::read(event.to_string().as_bytes(), &base_path).unwrap()
    }

    #[test]
    fn segments_are_decoded_after_the_path_is_split() {
        for (path, expected) in [
            ("/health", vec!["health"]),
            ("/players/a%3Ab/queue", vec!["players", "a:b", "queue"]),
            ("/players/a%2Fb/queue", vec!["players", "a/b", "queue"]),
            ("/players/auth0%7C64f0c0/queue", vec!["players", "auth0|64f0c0", "queue"]),
            ("/players/a+b%40example.com/queue", vec!["players", "a+b@example.com", "queue"]),
            ("/players/%2B%20/queue", vec!["players", "+ ", "queue"]),
            ("/players/%ff/queue", vec!["players", "%ff", "queue"]),
            ("/players/%/queue", vec!["players", "%", "queue"]),
            ("/health/", vec!["health"]),
            ("/players/p/queue///", vec!["players", "p", "queue"]),
            ("/players//queue", vec!["players", "", "queue"]),
            ("", vec![""]),
            ("//", vec![""]),
        ] {
            assert_eq!(read(|event| event["rawPath"] = json!(path)).segments, expected, "{path}");
        }
    }

    #[test]
    fn the_stage_and_the_base_path_are_removed_from_the_path() {
        for (base_path, stage, path, expected) in [
            ("", "dev", "/dev/health", vec!["health"]),
            ("", "dev", "/health", vec!["health"]),
            ("", "dev", "/devices", vec!["devices"]),
            ("", "$default", "/$default/health", vec!["$default", "health"]),
            ("/game", "$default", "/game/health/", vec!["health"]),
            ("/game/v1", "$default", "/game/v1/health", vec!["health"]),
            ("/game", "$default", "/game", vec![]),
            ("/prod", "prod", "/prod/health", vec!["health"]),
            ("/game", "prod", "/game/health", vec!["health"]),
            ("/game", "prod", "/prod/game/health", vec!["health"]),
            ("/game", "prod", "/prod/health", vec![]),
            ("/game", "$default", "/health", vec![]),
            ("/game", "$default", "/games/health", vec![]),
            ("/game/v1", "$default", "/game/health", vec![]),
        ] {
            let request = below_base_path(base_path, |event| {
                event["rawPath"] = json!(path);
                event["requestContext"]["stage"] = json!(stage);
            });
            assert_eq!(request.segments, expected, "{path} of {stage} below {base_path}");
        }
    }

    #[test]
    fn malformed_requests_do_not_panic() {
        for (name, value) in [("host", "a b:99999"), ("x-forwarded-proto", "no scheme"), ("x-y", "ü")] {
            let request = read(|event| {
                event["headers"][name] = json!(value);
                event["rawQueryString"] = json!("a=%zz&\u{0}=ü&&=&b");
                event["rawPath"] = json!("/pl ayers/\u{7}ü/{}\"");
            });
            assert_eq!(request.segments.len(), 3);
        }
        let request = read(|event| {
            event["body"] = json!("not base64!");
            event["isBase64Encoded"] = json!(true);
        });
        assert_eq!(request.body, None);
    }

    #[test]
    fn fields_of_other_types_do_not_fail_the_event() {
        for value in [json!(null), json!(1), json!(true), json!([1]), json!({"a": [null]})] {
            for field in ["rawQueryString", "headers", "cookies", "queryStringParameters", "isBase64Encoded", "version"]
            {
                let request = read(|event| event[field] = value.clone());
                assert_eq!((request.segments.len(), request.body), (3, Some(Vec::new())), "{field}: {value}");
            }
            for field in ["stage", "authorizer", "accountId", "time", "timeEpoch", "authentication"] {
                let request = read(|event| event["requestContext"][field] = value.clone());
                assert_eq!(request.segments.len(), 3, "{field}: {value}");
            }
            assert_eq!(read(|event| event["rawPath"] = value.clone()).segments, [""]);
            assert_eq!(read(|event| event["body"] = value.clone()).body.is_some(), value.is_null());
            let request = read(|event| event["headers"] = json!({"x-y": value, "x-z": "z"}));
            assert_eq!(
                (request.headers.contains_key("x-y"), request.headers.len()),
                (!value.is_null(), 1 + usize::from(!value.is_null()))
            );
        }
    }

    #[test]
    fn other_events_are_refused() {
        for payload in ["", "[]", "{}", r#"{"Records": []}"#, r#"{"requestContext": {"http": "GET"}}"#] {
            let Err(Unreadable::NotHttp(error)) = Request::read(payload.as_bytes(), &[]) else { panic!("{payload}") };
            assert_eq!(error.error_type, "NotAnHttpRequest");
        }
        for payload in [
            r#"{"version": "1.0", "httpMethod": "GET", "path": "/health", "requestContext": {"stage": "x"}}"#,
            r#"{"httpMethod": "GET", "path": "/health"}"#,
            r#"{"requestContext": {"http": {"method": "G E T"}}}"#,
            r#"{"requestContext": {"http": {"method": null}}}"#,
        ] {
            let read = Request::read(payload.as_bytes(), &[]);
            assert!(matches!(read, Err(Unreadable::Unsupported(_))), "{payload}");
        }
    }
}
