//! The glue to AWS Lambda: invocations as raw bytes, answers, graceful shutdown.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`payload`] | hands the body of an invocation to the handler as it came |
//! | [`shutdown`] | closes what is open when the process is told to end |
//!
//! `lambda_runtime` reads a payload before the handler sees it, and fails the invocation where it is
//! no JSON. Here the handler gets the bytes: what is malformed is for the service to reject.

pub mod payload;
pub mod shutdown;

use std::{
    env,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use millrace_domain::Timestamp;
use serde::Serialize;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, instrument::Instrumented};

pub use payload::RawPayload;
pub use shutdown::close_on_signal;

use crate::settings::SPAN_TARGET;

/// The error type of a handler that panicked.
pub const HANDLER_PANICKED: &str = "HandlerPanicked";

/// One invocation of the function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The body as it came.
    pub payload: Bytes,
    /// The invocation's name, in logs and answers.
    pub request_id: String,
    /// When the function's time runs out.
    pub deadline: Timestamp,
    /// Whether it is the first invocation of this process.
    pub cold_start: bool,
}

/// An invocation that failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// What went wrong, as a stable code for programs.
    pub error_type: &'static str,
    /// What went wrong, for people.
    pub message: String,
}

impl FunctionError {
    /// An error of a stable type.
    pub fn new(error_type: &'static str, message: impl ToString) -> Self {
        Self { error_type, message: message.to_string() }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.to_owned(), error_message: error.message }
    }
}

/// Why the function ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A variable that Lambda sets is missing or has another form.
    #[error(
        "{name} is not set as Lambda sets it; allowed: started by Lambda or by an emulator such as `cargo lambda watch`"
    )]
    NotInLambda {
        /// The variable.
        name: &'static str,
    },
    /// The Lambda Runtime API cannot be reached, or broke its protocol.
    #[error("the Lambda Runtime API failed: {}", with_causes(.0.as_ref()))]
    RuntimeApi(lambda_runtime::Error),
}

/// Has the handler answer invocations, one at a time, or as many at once as Lambda asks for in
/// `AWS_LAMBDA_MAX_CONCURRENCY`. A handler that panics fails its invocation and no other. Only ends
/// with an error, or when the process does.
///
/// # Errors
/// [`RunError`] where the process was not started by Lambda, or the Lambda Runtime API failed.
pub async fn run<H, F, A>(handler: H) -> Result<(), RunError>
where
    H: Fn(Invocation) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<A, FunctionError>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    check_environment()?;
    let cold = Arc::new(AtomicBool::new(true));
    let service = service_fn(move |event: LambdaEvent<()>| {
        let (handler, cold) = (handler.clone(), Arc::clone(&cold));
        async move {
            let invocation = Invocation {
                payload: payload::take(),
                request_id: event.context.request_id,
                deadline: deadline(event.context.deadline, crate::clock::now()),
                cold_start: cold.swap(false, Ordering::Relaxed),
            };
            // `lambda_runtime` catches panics too, but names them after a Rust type.
            let answer = AssertUnwindSafe(async move { handler(invocation).await }).catch_unwind().await;
            answer.unwrap_or_else(|panic| Err(FunctionError::new(HANDLER_PANICKED, panic_message(panic.as_ref()))))
        }
    });
    Runtime::new(service).layer(RawPayload).layer(InvocationSpan).run_concurrent().await.map_err(RunError::RuntimeApi)
}

/// When the function's time runs out. Lambda sends an instant; `cargo lambda watch` sends how long it
/// is until then, which as an instant would lie in 1970.
fn deadline(millis: u64, now: Timestamp) -> Timestamp {
    const DAY_MS: u64 = 24 * 3_600_000;
    if millis < DAY_MS { now + millis } else { Timestamp::from_millis(millis) }
}

/// `lambda_runtime` panics where one of these is missing; a line says more.
fn check_environment() -> Result<(), RunError> {
    let valid = |name: &str| match env::var(name) {
        Ok(value) if name == "AWS_LAMBDA_RUNTIME_API" => {
            value.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some())
        }
        Ok(value) if name == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => value.parse::<i32>().is_ok(),
        Ok(_) => true,
        Err(_) => false,
    };
    let names = [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
    ];
    names.into_iter().find(|name| !valid(name)).map_or(Ok(()), |name| Err(RunError::NotInLambda { name }))
}

/// An error with what caused it, which HTTP clients keep apart.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a message"))
}

/// The span around an invocation. Its level is the highest, so that it is on whatever is logged.
pub(crate) fn invocation_span(request_id: &str, trace_id: Option<&str>) -> Span {
    tracing::error_span!(target: SPAN_TARGET, "invocation", request_id, trace_id)
}

/// A layer that puts the span around every invocation, the sending of its answer included.
#[derive(Debug, Clone, Copy)]
struct InvocationSpan;

impl<S> Layer<S> for InvocationSpan {
    type Service = InvocationSpanService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InvocationSpanService { inner }
    }
}

#[derive(Debug, Clone)]
struct InvocationSpanService<S> {
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for InvocationSpanService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let span = invocation_span(&invocation.context.request_id, invocation.context.xray_trace_id.as_deref());
        let future = span.in_scope(|| self.inner.call(invocation));
        future.instrument(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_an_instant_or_the_time_until_it() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(deadline(1_800_000_003_000, now).as_millis(), 1_800_000_003_000, "as Lambda sends it");
        assert_eq!(deadline(600_000, now).as_millis(), 1_800_000_600_000, "as `cargo lambda watch` does");
        assert_eq!(deadline(1_799_999_999_000, now).as_millis(), 1_799_999_999_000, "passed already");
    }
}
