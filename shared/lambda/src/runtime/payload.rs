//! Hands the body of an invocation to the handler as it came.
//!
//! `lambda_runtime` deserializes the body as JSON before it calls the handler. The layer gives it
//! `null` instead and keeps the body in a task-local value around the call. Nothing is copied: the
//! handler gets the buffer that was received.

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

/// The body of the invocation that the current task handles: the first time it is asked for, within
/// the future of the handler. Empty otherwise.
pub fn take() -> Bytes {
    PAYLOAD.try_with(Cell::take).unwrap_or_default()
}
