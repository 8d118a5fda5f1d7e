//! Hands the payload of an invocation to the handler as received.
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
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};

tokio::task_local! {
    static PAYLOAD: Cell<Bytes>;
}

/// The layer; see the [module](self).
#[derive(Debug, Clone, Copy, Default)]
pub struct RawPayload;

impl<S> Layer<S> for RawPayload {
    type Service = RawPayloadService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RawPayloadService { inner }
    }
}

/// The service of [`RawPayload`].
#[derive(Debug, Clone)]
pub struct RawPayloadService<S> {
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for RawPayloadService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Cell<Bytes>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let payload = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        PAYLOAD.scope(Cell::new(payload), self.inner.call(invocation))
    }
}

/// Takes the payload of the invocation that the current task handles. Empty outside a handler, and
/// after the first call.
pub fn take() -> Bytes {
    PAYLOAD.try_with(Cell::take).unwrap_or_default()
}
