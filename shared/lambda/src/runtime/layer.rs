//! The layer around the handler: hands it the payload as received, inside a log span.
//!
//! `lambda_runtime` parses the body as JSON before it calls the handler. The layer replaces the
//! body with `null` and keeps the bytes in a task-local value for the time of the call. Nothing is
//! copied.

use std::{
    cell::Cell,
    task::{Context, Poll},
};

use bytes::Bytes;
use lambda_runtime::LambdaInvocation;
use millrace_telemetry::log_settings::invocation_span;
use tokio::task::futures::TaskLocalFuture;
use tower::Service;
use tracing::{Instrument as _, instrument::Instrumented};

tokio::task_local! {
    static PAYLOAD: Cell<Bytes>;
    pub(crate) static TRACE_ID: Option<String>;
}

/// Takes the payload of the invocation that the current task handles. Empty outside a handler, and
/// after the first call.
pub(super) fn take_payload() -> Bytes {
    PAYLOAD.try_with(Cell::take).unwrap_or_default()
}

/// The X-Ray trace of the invocation that the current task handles.
pub(crate) fn trace_id() -> Option<String> {
    TRACE_ID.try_with(Clone::clone).ok().flatten()
}

/// The service of the layer.
#[derive(Debug, Clone)]
pub(super) struct WithPayload<S>(pub(super) S);

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for WithPayload<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<TaskLocalFuture<Option<String>, TaskLocalFuture<Cell<Bytes>, S::Future>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let trace_id = invocation.context.xray_trace_id.clone();
        let span = invocation_span(&invocation.context.request_id, trace_id.as_deref());
        let payload = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        let answer = span.in_scope(|| self.0.call(invocation));
        TRACE_ID.scope(trace_id, PAYLOAD.scope(Cell::new(payload), answer)).instrument(span)
    }
}
