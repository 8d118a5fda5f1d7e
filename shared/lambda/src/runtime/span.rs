//! The log span around an invocation, from its arrival until its answer is sent.

use std::task::{Context, Poll};

use lambda_runtime::LambdaInvocation;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, instrument::Instrumented};

use crate::settings::SPAN_TARGET;

/// The span of one invocation. It has the highest level, so that every level of logs includes it.
pub(crate) fn invocation_span(request_id: &str, trace_id: Option<&str>) -> Span {
    tracing::error_span!(target: SPAN_TARGET, "invocation", request_id, trace_id)
}

/// The layer that opens the span.
#[derive(Debug, Clone, Copy)]
pub(super) struct InvocationSpan;

impl<S> Layer<S> for InvocationSpan {
    type Service = InvocationSpanService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InvocationSpanService { inner }
    }
}

/// The service of [`InvocationSpan`].
#[derive(Debug, Clone)]
pub(super) struct InvocationSpanService<S> {
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
