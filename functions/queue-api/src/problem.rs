//! Errors as RFC 9457 problem details.

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use millrace_domain::ids::clip;
use millrace_pipeline::answer::CommandResult;
use serde::Serialize;

/// What the `type` of every problem begins with; its `errorType` follows.
const TYPE_PREFIX: &str = "urn:millrace:problem:";
/// Most characters of a value that a problem quotes.
const MAX_SHOWN: usize = 200;
/// After how many seconds a passing failure is worth another try.
const RETRY_AFTER_SECONDS: &str = "1";
/// What an id may be.
pub const ID_ALLOWED: &str = "1 to 128 characters of A-Z a-z 0-9 . _ : -";

/// A problem.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Details>);

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    error_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    /// Which command of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// What became of the commands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<CommandResult>,
    #[serde(skip)]
    headers: HeaderMap,
}

impl Problem {
    fn new(status: StatusCode, error_type: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: format!("{TYPE_PREFIX}{error_type}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            error_type,
            field: None,
            value: None,
            allowed: None,
            index: None,
            results: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    fn of_field(mut self, field: &'static str, value: &str, allowed: impl Into<String>) -> Self {
        self.0.field = Some(field);
        self.0.value = Some(clip(value, MAX_SHOWN));
        self.0.allowed = Some(allowed.into());
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The headers that belong to it.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// It was in this command of a list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    /// With what became of the commands.
    #[must_use]
    pub fn with_results(mut self, results: Vec<CommandResult>) -> Self {
        self.0.results = results;
        self
    }

    /// A part of the request that is not allowed as it is.
    pub fn invalid(field: &'static str, value: &str, allowed: impl Into<String>) -> Self {
        let allowed = allowed.into();
        let detail = format!("{field}: `{}` is not allowed; allowed: {allowed}", clip(value, MAX_SHOWN));
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", "A parameter is not allowed", detail)
            .of_field(field, value, allowed)
    }

    /// Commands of which none could be understood, or a request for upkeep that could not.
    pub fn malformed(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The body cannot be understood", clip(detail, 2_000))
    }

    /// Nobody has vouched for the caller.
    pub fn unauthorized() -> Self {
        let detail =
            "the request has no authorizer context; allowed: a token or a signature that API Gateway has checked";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Nobody is known to ask", detail)
            .header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// The caller lacks a scope.
    pub fn forbidden(scope: &'static str, what: &str) -> Self {
        let detail = format!("{what} needs the scope {scope}");
        let mut problem = Self::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this", detail);
        problem.0.allowed = Some(format!("the scope {scope}"));
        problem
    }

    /// There is nothing under this path.
    pub fn unknown_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_route", "There is nothing here", "no route has this path")
    }

    /// There is, for other methods.
    pub fn method_not_allowed(method: &str, allowed: &'static str) -> Self {
        let detail = format!("{} is not allowed here; allowed: {allowed}", clip(method, MAX_SHOWN));
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The method is not allowed", detail)
            .header(header::ALLOW, allowed)
    }

    /// No queue of the player.
    pub fn unknown_player(player: &str) -> Self {
        let detail = format!("no queue of `{player}` exists");
        Self::new(StatusCode::NOT_FOUND, "unknown_player", "The player has no queue", detail)
    }

    /// No such task, as far as the queue remembers.
    pub fn unknown_task(task: &str) -> Self {
        let detail = format!("`{task}` is no unfinished task of this queue and none of the last ones that have ended");
        Self::new(StatusCode::NOT_FOUND, "unknown_task", "The queue does not know the task", detail)
    }

    /// Even the table has an older version.
    pub fn version_not_reached(field: &'static str, wanted: u64, newest: u64) -> Self {
        let detail = format!("version {wanted} was asked for, and the newest one is {newest}");
        Self::new(StatusCode::PRECONDITION_FAILED, "version_not_reached", "The queue is not so new", detail).of_field(
            field,
            &wanted.to_string(),
            format!("up to {newest}"),
        )
    }

    /// A body that is too large.
    pub fn too_large(bytes: usize, max: usize) -> Self {
        let detail = format!("the body has {bytes} bytes; allowed: {max}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large", detail)
    }

    /// A body of another type.
    pub fn unsupported_media_type(field: &'static str, value: &str, allowed: &'static str) -> Self {
        let detail = format!("{field}: `{}` is not allowed; allowed: {allowed}", clip(value, MAX_SHOWN));
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body is of another type", detail)
            .of_field(field, value, allowed)
            .header(HeaderName::from_static("accept-post"), "application/json")
    }

    /// What cannot be done in emergency mode.
    pub fn emergency_mode(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "emergency_mode", "Emergency mode is on", detail)
    }

    /// A failure of what the service stands on. What it says of itself stays in the log.
    pub fn of_failure(code: &'static str) -> Self {
        let detail = failure_detail(code);
        if is_passing(code) {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "It does not work at the moment", detail)
                .header(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, "Something is broken", detail)
    }
}

/// Whether the same request may succeed a little later.
pub fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "store_throttled" | "store_timed_out" | "store_unavailable" | "cache_unavailable" | "conflict" | "deadline"
    )
}

/// A failure, for people who do not run the service.
pub fn failure_detail(code: &str) -> &'static str {
    match code {
        "store_throttled" => "the store refuses work for the moment; try again",
        "store_timed_out" | "store_unavailable" => "the store does not answer; try again",
        "cache_unavailable" => "the shared cache does not answer; try again",
        "conflict" => "others changed the queue each time it was tried; try again",
        "deadline" => "no time was left; try again",
        "row_unreadable" => "the queue cannot be read; its row is left as it is",
        _ => "the service cannot do this until somebody mends it",
    }
}
