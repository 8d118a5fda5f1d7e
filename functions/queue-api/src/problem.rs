//! Errors as RFC 9457 problem details.

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use millrace_domain::{FailureReason, ids::clip};
use millrace_pipeline::answer::CommandResult;
use serde::Serialize;

/// The prefix of the `type` of every problem; its `errorType` follows.
const TYPE_PREFIX: &str = "urn:millrace:problem:";
/// The most characters of a value that a problem quotes.
pub const MAX_SHOWN: usize = 200;
/// After how many seconds a client may retry after a passing failure.
const RETRY_AFTER_SECONDS: &str = "1";
/// The allowed values of an id.
pub const ID_ALLOWED: &str = "1 to 128 characters of A-Z a-z 0-9 . _ : - | @ + = ~";

/// An error response.
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
    /// The position of the command in its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The sequence of the oldest event that is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<u64>,
    /// The results of the commands.
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
            oldest: None,
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

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The explanation for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Headers that the response needs.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// With the position of the command in its list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    /// With the results of the commands.
    #[must_use]
    pub fn with_results(mut self, results: Vec<CommandResult>) -> Self {
        self.0.results = results;
        self
    }

    /// A parameter, header or path segment is not allowed.
    pub fn invalid(field: &'static str, value: &str, allowed: impl Into<String>) -> Self {
        let allowed = allowed.into();
        let detail = format!("{field}: `{}` is not allowed; allowed: {allowed}", clip(value, MAX_SHOWN));
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", "Invalid parameter", detail)
            .of_field(field, value, allowed)
    }

    /// No command of the body is well-formed, or the upkeep request is not.
    pub fn malformed(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "Malformed request body", clip(detail, 2_000))
    }

    /// The event has another payload format: an error of the deployment, not of the client.
    pub fn unsupported_format(version: &str) -> Self {
        let allowed = "2.0, the payload format version of the API's integration";
        let detail = format!("version: `{}` is not allowed; allowed: {allowed}", clip(version, MAX_SHOWN));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unsupported_format", "Unsupported payload format", detail)
            .of_field("version", version, allowed)
    }

    /// The authorizer context of the request names no caller.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Authentication required", detail)
            .header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// The caller lacks a scope.
    pub fn forbidden(scope: &'static str, what: &str) -> Self {
        let detail = format!("{what} needs the scope {scope}");
        let mut problem = Self::new(StatusCode::FORBIDDEN, "forbidden", "Missing scope", detail);
        problem.0.allowed = Some(format!("the scope {scope}"));
        problem
    }

    /// The path does not exist.
    pub fn unknown_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_route", "Path not found", "no route has this path")
    }

    /// The path exists, but not for this method.
    pub fn method_not_allowed(method: &str, allowed: &'static str) -> Self {
        let detail = format!("{} is not allowed here; allowed: {allowed}", clip(method, MAX_SHOWN));
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
            .header(header::ALLOW, allowed)
    }

    /// The player has no queue.
    pub fn unknown_player(player: &str) -> Self {
        let detail = format!("no queue of `{player}` exists");
        Self::new(StatusCode::NOT_FOUND, "unknown_player", "Player not found", detail)
    }

    /// The queue has no such task, and does not remember one.
    pub fn unknown_task(task: &str) -> Self {
        let detail = format!("`{task}` is neither an unfinished task of this queue nor one of its last finished tasks");
        Self::new(StatusCode::NOT_FOUND, "unknown_task", "Task not found", detail)
    }

    /// The version of the queue in the table is older than requested.
    pub fn version_not_reached(field: &'static str, requested: u64, newest: u64) -> Self {
        let detail = format!("version {requested} was requested, and the newest version is {newest}");
        Self::new(StatusCode::PRECONDITION_FAILED, "version_not_reached", "Requested version not reached", detail)
            .of_field(field, &requested.to_string(), format!("up to {newest}"))
    }

    /// The events table is off in this deployment.
    pub fn events_not_kept() -> Self {
        let detail = "this deployment keeps no events: MILLRACE_EVENTS does not contain `table`";
        Self::new(StatusCode::NOT_FOUND, "events_not_kept", "Events not kept", detail)
    }

    /// The next event is not kept any more.
    pub fn events_gone(oldest: u64) -> Self {
        let detail = format!("the next event is not kept any more; the oldest one has the sequence {oldest}");
        let mut problem = Self::new(StatusCode::GONE, "events_gone", "Events no longer kept", detail);
        problem.0.oldest = Some(oldest);
        problem
    }

    /// The deployment has neither a shared cache nor an embedded store.
    pub fn recent_players_not_kept() -> Self {
        let detail = "this deployment does not know which players changed recently: MILLRACE_REDIS_URL is not set";
        Self::new(StatusCode::NOT_FOUND, "recent_players_not_kept", "Recent players not kept", detail)
    }

    /// The body is too large.
    pub fn too_large(bytes: usize, max: usize) -> Self {
        let detail = format!("the body has {bytes} bytes; allowed: {max}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "Request body too large", detail)
    }

    /// The body has another type or coding.
    pub fn unsupported_media_type(field: &'static str, value: &str, allowed: &'static str) -> Self {
        let detail = format!("{field}: `{}` is not allowed; allowed: {allowed}", clip(value, MAX_SHOWN));
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type", detail)
            .of_field(field, value, allowed)
            .header(HeaderName::from_static("accept-post"), "application/json")
    }

    /// The upkeep request is not possible in emergency mode.
    pub fn emergency_mode(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "emergency_mode", "Emergency mode is on", detail)
    }

    /// The store, the cache or the pipeline failed. Details of the failure are only logged.
    pub fn of_failure(reason: FailureReason) -> Self {
        let (code, detail) = (reason.code(), failure_detail(reason));
        if reason.is_passing() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Self::new(status, code, "Service temporarily unavailable", detail)
                .header(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, "Internal error", detail)
    }
}

/// The failure for callers, without details of the deployment.
pub fn failure_detail(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::StoreThrottled => "the store throttles calls; try again",
        FailureReason::StoreTimedOut | FailureReason::StoreUnavailable => "the store does not answer; try again",
        FailureReason::CacheUnavailable => "the shared cache does not answer; try again",
        FailureReason::VersionConflict => "other requests changed the queue at each attempt; try again",
        FailureReason::Deadline => "no time was left; try again",
        FailureReason::TooManyCommands => "the request has too many commands for one player; send the rest again",
        FailureReason::RowUnreadable => "the row of the queue cannot be read; it was not changed",
        FailureReason::RowTooLarge => "the queue would no longer fit into its row",
        FailureReason::NoSuchTable
        | FailureReason::AccessDenied
        | FailureReason::InvalidBatch
        | FailureReason::InternalError => "the service has an internal error; its operator must act",
        FailureReason::EventsRefused
        | FailureReason::EventsUnavailable
        | FailureReason::NoSuchQueue
        | FailureReason::Unanswered => "events are not published yet, and commands took effect; try again",
        // These concern messages and ticks; no HTTP request leads to them.
        FailureReason::EarlierMessageFailed
        | FailureReason::TicksRefused
        | FailureReason::TicksThrottled
        | FailureReason::TicksUnavailable => "the message was not delivered; try again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_ids_are_those_of_the_domain() {
        let error = millrace_domain::PlayerId::new("").unwrap_err().to_string();
        assert_eq!(error, format!("`` is not allowed here; allowed: {ID_ALLOWED}"));
    }

    #[test]
    fn passing_failures_are_503_and_all_others_500() {
        for reason in FailureReason::ALL {
            let problem = Problem::of_failure(reason);
            let expected = if reason.is_passing() { 503 } else { 500 };
            assert_eq!((problem.status().as_u16(), problem.0.error_type), (expected, reason.code()));
            assert_eq!(problem.headers().contains_key(header::RETRY_AFTER), reason.is_passing());
        }
    }
}
