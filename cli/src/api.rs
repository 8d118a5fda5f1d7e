//! Requests to the HTTP API, and errors that name the next step.

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{
    deployment::Deployment,
    failure::{Exit, Failure},
    http_client::HttpClient,
    signature::{Scope, scope_of, sign_request},
    text::clip,
};

/// What is encoded in a path and in a query: everything but unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The HTTP API of a deployment.
#[derive(Debug)]
pub struct Api<'a> {
    deployment: &'a Deployment,
    base: Url,
    client: HttpClient,
}

/// An error response, RFC 9457.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    pub error_type: String,
    pub detail: String,
    pub oldest: Option<u64>,
}

/// Why a request has no result.
#[derive(Debug)]
pub enum ApiError {
    /// There is no response of the API.
    Failed(Failure),
    /// The API refused the request.
    Problem { status: StatusCode, problem: Problem, failure: Failure },
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Failed(failure) | ApiError::Problem { failure, .. } => failure,
        }
    }
}

impl<'a> Api<'a> {
    /// The API that the flags name.
    ///
    /// # Errors
    /// [`Failure`] if they name none.
    pub async fn of(deployment: &'a Deployment) -> Result<Self, Failure> {
        Ok(Self { deployment, base: deployment.api_url().await?, client: HttpClient::new() })
    }

    /// The base URL, for messages.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads a resource. `query` has the parameters that are set.
    ///
    /// # Errors
    /// [`ApiError`] if there is no successful response.
    pub async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<T, ApiError> {
        let response = self.request(Method::GET, &self.target(segments, query), Bytes::new(), &[]).await?;
        self.read(response)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// [`ApiError`] if there is no successful response.
    pub async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, Option<String>)],
        body: String,
    ) -> Result<T, ApiError> {
        let response = self.request(Method::POST, &self.target(segments, query), body.into(), &[]).await?;
        self.read(response)
    }

    /// Posts JSON to a path of the Lambda API of `make dev`, or of another emulator.
    ///
    /// # Errors
    /// [`ApiError`] if there is no response of it.
    pub async fn invoke(&self, function: &str, body: String) -> Result<Response<Bytes>, ApiError> {
        let target = self.target(&["2015-03-31", "functions", function, "invocations"], &[]);
        self.request(Method::POST, &target, body.into(), &[]).await
    }

    /// Sends a request and returns the response, whatever its status.
    ///
    /// # Errors
    /// [`ApiError::Failed`] if there is none.
    pub async fn request(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Bytes>, ApiError> {
        let request = self.signed_request(method, target, body, headers).await.map_err(ApiError::Failed)?;
        self.client.send(request).await.map_err(|detail| {
            let message = format!("{} does not answer: {detail}", self.base());
            let next = match self.deployment.is_local() {
                true => "start the functions with `make dev`, or pass --endpoint or --stage",
                false => "check --endpoint or --stage, and the network",
            };
            ApiError::Failed(Failure::new(Exit::Unreachable, message).next(next))
        })
    }

    /// The URL of a resource.
    pub fn target(&self, segments: &[&str], query: &[(&str, Option<String>)]) -> String {
        let mut target = self.base().to_owned();
        for segment in segments {
            target.push('/');
            target.extend(utf8_percent_encode(segment, UNRESERVED));
        }
        // Not the encoding of forms, whose `+` for a space is read differently when signed.
        let encoded = |text| utf8_percent_encode(text, UNRESERVED);
        for (name, value) in query.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.extend(encoded(name));
            target.push('=');
            target.extend(encoded(value));
        }
        target
    }

    async fn signed_request(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
        headers: &[(HeaderName, String)],
    ) -> Result<Request<Bytes>, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::usage(format!("cannot request {target}: {error}"));
        let mut request = Request::builder().method(method).uri(target).body(body).map_err(|error| invalid(&error))?;
        let map: &mut HeaderMap = request.headers_mut();
        map.insert(ACCEPT, JSON);
        map.insert(CONTENT_TYPE, JSON);
        for (name, value) in headers {
            map.insert(name, HeaderValue::from_str(value).map_err(|error| invalid(&error))?);
        }
        if let Some(token) = self.deployment.token() {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                Failure::usage("--token: the token has characters that no header may have").next("check MILLRACE_TOKEN")
            })?;
            request.headers_mut().insert(AUTHORIZATION, value);
            return Ok(request);
        }
        let scope = self.base.host_str().and_then(scope_of);
        // The API of a stack may have a domain name of the operator.
        let of_stack = Scope { service: "execute-api", region: None };
        let scope = scope.or_else(|| self.deployment.is_api_of_stack().then_some(of_stack));
        if let Some(scope) = scope {
            sign_request(self.deployment.aws().await, scope, &mut request).await?;
        }
        Ok(request)
    }

    /// The JSON of a response.
    ///
    /// # Errors
    /// [`ApiError`] if the response is an error, or no JSON of this form.
    pub fn read<T: DeserializeOwned>(&self, response: Response<Bytes>) -> Result<T, ApiError> {
        let status = response.status();
        if !status.is_success() {
            return Err(self.problem(status, response.body()));
        }
        serde_json::from_slice(response.body()).map_err(|error| {
            let shown = clip(&String::from_utf8_lossy(response.body()), 200);
            let message = format!("{} answered something else than queue-api: {error}: `{shown}`", self.base());
            ApiError::Failed(Failure::internal(message).next("check --endpoint"))
        })
    }

    /// The error of a response.
    pub fn problem(&self, status: StatusCode, body: &[u8]) -> ApiError {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let detail = match problem.detail.as_str() {
            "" => clip(&String::from_utf8_lossy(body), 200),
            detail => detail.to_owned(),
        };
        let (exit, next) = next_step(status, &problem.error_type);
        let message = format!("{} answered {status}: {detail}", self.base());
        let failure = Failure::new(exit, message).next(next);
        ApiError::Problem { status, problem, failure }
    }
}

/// The exit code of an error response, and what to do about it.
fn next_step(status: StatusCode, error_type: &str) -> (Exit, &'static str) {
    match (status, error_type) {
        (StatusCode::UNAUTHORIZED, _) => {
            (Exit::NotAuthorized, "pass a token with --token, or use AWS credentials that may call the API")
        }
        (StatusCode::FORBIDDEN, _) => (
            Exit::NotAuthorized,
            "use a token with this scope, or AWS credentials that may call the API, see docs/http.md",
        ),
        (_, "invalid_parameter") => (Exit::Usage, "pass a value that is allowed, see --help"),
        (_, "unknown_player") => (Exit::NotFound, "check the id; `millrace players` lists the players"),
        (_, "events_not_kept") => (Exit::NotFound, "add `table` to MILLRACE_EVENTS, see docs/events.md"),
        (_, "events_gone") => (Exit::NotFound, "leave out --after to begin with the oldest event"),
        (_, "recent_players_not_kept") => (Exit::NotFound, "set MILLRACE_REDIS_URL, or leave out --recent"),
        (_, "cache_unavailable") => (Exit::Service, "try again; `millrace doctor` checks the cache"),
        (StatusCode::NOT_FOUND, _) => (Exit::NotFound, "check --endpoint and the version of the deployment"),
        (StatusCode::TOO_MANY_REQUESTS, _) => (Exit::Service, "send fewer requests a second"),
        (status, _) if status.is_server_error() => {
            (Exit::Service, "try again; if it stays, see docs/operations.md and `millrace doctor`")
        }
        _ => (Exit::Refused, "correct the request, see docs/http.md"),
    }
}
