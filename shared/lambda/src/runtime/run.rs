//! Answers invocations until the process ends.

use std::{
    cell::Cell,
    env,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::try_join_all};
use lambda_runtime::{LambdaEvent, LambdaInvocation, Runtime, service_fn};
use lambda_runtime_api_client::PooledClient;
use millrace_domain::Timestamp;
use millrace_pipeline::Invocation;
use millrace_telemetry::trace::{InvocationTrace, TraceContext, Tracer};
use serde::Serialize;
use tokio::time::Instant;
use tower::layer::layer_fn;
use tracing::{Instrument as _, Span};

use super::{
    function_error::FunctionError,
    layer::{WithPayload, take_payload, trace_id},
    poll::answer_invocations,
};
use crate::{
    clock,
    invocation_metrics::{EndedInvocation, InvocationMetrics},
};

/// The error type of an invocation whose handler panicked.
pub const HANDLER_PANICKED: &str = "HandlerPanicked";

/// What is left of the time of an invocation for its answer, once its spans are sent.
const ANSWERING_TIME: Duration = Duration::from_millis(100);

/// Why the function ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A variable that Lambda sets is missing or malformed.
    #[error(
        "{name} is not set as Lambda sets it; allowed: started by Lambda or by an emulator such as `cargo lambda watch`"
    )]
    NotInLambda {
        /// The variable.
        name: &'static str,
    },
    /// The Lambda Runtime API is unreachable, or broke its protocol.
    #[error("the Lambda Runtime API failed: {}", with_causes(.0.as_ref()))]
    RuntimeApi(lambda_runtime::Error),
}

/// Answers invocations with `handler`, one at a time, or as many concurrently as Lambda asks for in
/// `AWS_LAMBDA_MAX_CONCURRENCY`. The handler gets each payload as received.
///
/// A handler that panics fails only its invocation. The line of metrics of an invocation is
/// written, and with a tracer its spans are sent, before its answer. The call returns only with an
/// error.
///
/// # Errors
/// [`RunError`] if Lambda did not start the process, or the Lambda Runtime API failed.
pub async fn run<H, F, A>(handler: H, metrics: InvocationMetrics, tracer: Option<Tracer>) -> Result<(), RunError>
where
    H: Fn(Bytes, Invocation) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<A, FunctionError>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    check_environment()?;
    let cold = Arc::new(AtomicBool::new(true));
    let tracer = tracer.map(Arc::new);
    let service = service_fn(move |event: LambdaEvent<()>| {
        let (handler, cold) = (handler.clone(), Arc::clone(&cold));
        let (metrics, tracer) = (metrics.clone(), tracer.clone());
        async move {
            let (record, cold_start) = (metrics.begin(), cold.swap(false, Ordering::Relaxed));
            let invocation = Invocation {
                request_id: event.context.request_id.clone(),
                times_out_at: Instant::now() + time_left(event.context.deadline, clock::now()),
                cold_start,
                record: record.clone(),
            };
            let trace = tracer.as_deref().and_then(|tracer| begin_trace(tracer, &invocation));
            let times_out_at = invocation.times_out_at;
            // `lambda_runtime` catches panics too, but reports the name of a Rust type.
            let answer = AssertUnwindSafe(async move { handler(take_payload(), invocation).await }).catch_unwind();
            let span = trace.as_ref().map_or_else(Span::none, |trace| trace.span().clone());
            let answer = answer
                .instrument(span)
                .await
                .unwrap_or_else(|panic| Err(FunctionError::new(HANDLER_PANICKED, panic_message(panic.as_ref()))));
            // Before the answer: Lambda freezes the process after it.
            let ended = EndedInvocation {
                request_id: &event.context.request_id,
                trace_id: event.context.xray_trace_id.as_deref(),
                cold_start,
                error: answer.as_ref().err(),
            };
            metrics.write(&record, &ended);
            if let Some(trace) = trace {
                let until = times_out_at.checked_sub(ANSWERING_TIME).unwrap_or(times_out_at);
                trace.finish(answer.as_ref().err().map(|error| error.error_type), until).await;
            }
            answer
        }
    });
    let responder = Cell::new(None);
    // Only layers get the service that calls the handler and sends its answer.
    Runtime::new(service).layer(layer_fn(|service| {
        responder.set(Some(service));
        service_fn(async |_: LambdaInvocation| Ok::<(), lambda_runtime::Error>(()))
    }));
    let responder = WithPayload(responder.take().unwrap_or_else(|| unreachable!("a layer is called once")));
    let workers = max_concurrency();
    let client = PooledClient::builder().with_pool_size(workers).build();
    let workers = (0..workers).map(|_| answer_invocations(responder.clone(), &client));
    try_join_all(workers).await.map(drop).map_err(RunError::RuntimeApi)
}

fn begin_trace<'a>(tracer: &'a Tracer, invocation: &Invocation) -> Option<InvocationTrace<'a>> {
    let context = trace_id().as_deref().and_then(TraceContext::parse_xray);
    tracer.begin(context, &invocation.request_id, invocation.cold_start)
}

/// How many invocations Lambda sends at the same time.
fn max_concurrency() -> usize {
    env::var("AWS_LAMBDA_MAX_CONCURRENCY").ok().and_then(|value| value.parse().ok()).unwrap_or(1).max(1)
}

/// The time until the function times out. Lambda sends a moment. `cargo lambda watch` sends the
/// time until it, which as a moment would lie in 1970.
fn time_left(millis: u64, now: Timestamp) -> Duration {
    const DAY_MS: u64 = 24 * 3_600_000;
    Duration::from_millis(if millis < DAY_MS { millis } else { Timestamp::from_millis(millis).millis_since(now) })
}

/// `lambda_runtime` panics if one of these variables is missing. An error says more.
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

/// The error and its causes. HTTP clients display only the outermost one.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_moment_or_the_time_until_it() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(time_left(1_800_000_003_000, now), Duration::from_secs(3), "as Lambda sends it");
        assert_eq!(time_left(600_000, now), Duration::from_secs(600), "as `cargo lambda watch` sends it");
        assert_eq!(time_left(1_799_999_999_000, now), Duration::ZERO, "it has passed");
    }
}
