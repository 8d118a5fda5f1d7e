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
    signature::{service_of, sign_request},
    text::clip,
};

/// What is encoded in a segment of a path: everything but unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
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
            target.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let set = query.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let pairs = pairs.extend_pairs(set).finish();
        if pairs.is_empty() { target } else { format!("{target}?{pairs}") }
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
        let service = self.base.host_str().and_then(service_of);
        // A stack may have an emulated API. It takes any signature.
        let service = service.or_else(|| self.deployment.is_api_of_stack().then_some("execute-api"));
        if let Some(service) = service {
            sign_request(self.deployment.aws().await, service, &mut request).await?;
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
        let failure = |exit, next: &str| {
            let message = format!("{} answered {status}: {detail}", self.base());
            Failure::new(exit, message).next(next)
        };
        let failure = match (status, problem.error_type.as_str()) {
            (StatusCode::UNAUTHORIZED, _) => {
                failure(Exit::NotAuthorized, "pass a token with --token, or use AWS credentials that may call the API")
            }
            (StatusCode::FORBIDDEN, _) => failure(
                Exit::NotAuthorized,
                "use a token with this scope, or AWS credentials that may call the API, see docs/http.md",
            ),
            (_, "unknown_player") => failure(Exit::NotFound, "check the id; `millrace players` lists the players"),
            (_, "events_not_kept") => failure(Exit::NotFound, "add `table` to MILLRACE_EVENTS, see docs/events.md"),
            (_, "events_gone") => failure(Exit::NotFound, "leave out --after to begin with the oldest event"),
            (StatusCode::NOT_FOUND, _) => failure(Exit::NotFound, "check --endpoint and the version of the deployment"),
            (StatusCode::TOO_MANY_REQUESTS, _) => failure(Exit::Service, "send fewer requests a second"),
            (status, _) if status.is_server_error() => {
                failure(Exit::Service, "try again; if it stays, see docs/operations.md and `millrace doctor`")
            }
            _ => failure(Exit::Refused, "correct the request, see docs/http.md"),
        };
        ApiError::Problem { status, problem, failure }
    }
}
