//! Asks the Lambda Runtime API for invocations.
//!
//! `lambda_runtime` has a loop that does this, and it is not used: it parses the client context and
//! the Cognito identity of an invocation before any layer is called, and a value in another form
//! than its own ends the process. Callers may send any JSON in them. Here both are removed first,
//! because no function uses them.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::BodyExt as _;
use lambda_runtime::{Config, Context, Error, LambdaInvocation};
use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use tower::{Service, ServiceExt as _};

const NEXT_INVOCATION: &str = "/2018-06-01/runtime/invocation/next";
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
/// The headers whose values come from the caller of the function.
const FROM_CALLER: [&str; 2] = ["lambda-runtime-client-context", "lambda-runtime-cognito-identity"];

/// Has `service` answer one invocation after another. Returns only with an error.
///
/// # Errors
/// The Runtime API is unreachable, or breaks its protocol.
pub(super) async fn answer_invocations<S>(mut service: S, client: &PooledClient) -> Result<(), Error>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
{
    let config = Arc::new(Config::from_env());
    loop {
        let next = client.call(build_request().uri(NEXT_INVOCATION).body(Body::empty())?).await?;
        let (mut parts, body) = next.into_parts();
        // Emulators answer so if no invocation has come for a while.
        if parts.status == StatusCode::NO_CONTENT {
            continue;
        }
        if !parts.status.is_success() {
            return Err(format!("{NEXT_INVOCATION} is answered with the status {}", parts.status).into());
        }
        for name in FROM_CALLER {
            parts.headers.remove(name);
        }
        let body = body.collect().await?.to_bytes();
        let request_id = parts.headers.get(REQUEST_ID).ok_or("an invocation has no request id")?.to_str()?;
        let context = Context::new(request_id, Arc::clone(&config), &parts.headers)?;
        service.ready().await?.call(LambdaInvocation { parts, body, context }).await?;
    }
}
