//! Calls to the server: limited in number and time, counted, and retried.
//!
//! The retries of the SDK are switched off. It does not count them as round trips, does not know
//! the deadline of the caller, and picks another connection of a pool in which all are broken.
//!
//! | failure | action |
//! |---|---|
//! | broken connection | one more attempt at once, on a new pool |
//! | throttled, server error | up to [`MAX_ATTEMPTS`] attempts with backoff, except for records |
//! | time-out, no connection, refused | none: the caller gets the error |
//!
//! The batch writer retries records, because it knows the deadline.
//!
//! Every call may be sent twice: commits are conditional, and records are plain puts. If the answer
//! to a successful commit is lost, the next attempt meets a version conflict. The caller then
//! reloads the queue and finds that it remembers the commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use fastrand::Rng;
use millrace_telemetry::trace::TARGET;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    error::{CallFailure, CallTarget, Retry},
    pool::ConnectionPool,
    settings::{DynamoDbSettings, MAX_CONNECTIONS},
};
use crate::{backoff::Backoff, error::StoreError, port::Connections};

/// The span of one attempt.
fn span_of(target: CallTarget<'_>) -> Span {
    tracing::info_span!(
        target: TARGET,
        "dynamodb",
        otel.kind = "client",
        rpc.system = "aws-api",
        rpc.service = "DynamoDB",
        rpc.method = target.operation,
        db.system.name = "aws.dynamodb",
        db.operation.name = target.operation,
        db.collection.name = target.table,
        "error.type" = Empty,
    )
}

/// The maximum number of attempts if the server refuses a call temporarily.
pub(super) const MAX_ATTEMPTS: u32 = 4;
/// The upper limit of the first retry delay. It doubles with each retry.
const BACKOFF_BASE: Duration = Duration::from_millis(25);
/// The upper limit of all retry delays.
const BACKOFF_CAP: Duration = Duration::from_millis(800);

/// Makes all calls of a store.
#[derive(Debug)]
pub(super) struct CallRunner {
    pool: Arc<ConnectionPool>,
    permits: Semaphore,
    max: usize,
    peak: AtomicUsize,
    connect_timeout: Duration,
    call_timeout: Duration,
    backoff: Backoff,
}

impl CallRunner {
    pub(super) fn new(settings: &DynamoDbSettings) -> Self {
        let max = settings.max_connections.clamp(1, MAX_CONNECTIONS);
        Self {
            pool: Arc::new(ConnectionPool::new(max, settings.idle_timeout)),
            permits: Semaphore::new(max),
            max,
            peak: AtomicUsize::new(0),
            connect_timeout: settings.connect_timeout,
            call_timeout: settings.call_timeout,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, Rng::new()),
        }
    }

    pub(super) fn pool(&self) -> &Arc<ConnectionPool> {
        &self.pool
    }

    /// Sends a request once, or twice if its connection was broken. Adds the number of attempts to
    /// `round_trips`.
    pub(super) async fn send<O, E, R, F>(
        &self,
        target: CallTarget<'_>,
        round_trips: &AtomicU64,
        request: R,
    ) -> Result<O, CallFailure>
    where
        R: Fn() -> F,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let closed = |_| CallFailure::permanent(StoreError::unavailable("the store is closed"));
        let _permit = self.permits.acquire().await.map_err(closed)?;
        self.peak.fetch_max(self.in_progress(), Ordering::Relaxed);

        let mut reconnected = false;
        loop {
            let generation = self.pool.prepare_call();
            round_trips.fetch_add(1, Ordering::Relaxed);
            let span = span_of(target);
            // Boxed, because the futures of the SDK have several kilobytes.
            let call = tokio::time::timeout(self.call_timeout, Box::pin(request()));
            let failure = match call.instrument(span.clone()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => CallFailure::from_sdk(&error, target, self.connect_timeout),
                Err(_) => CallFailure::permanent(StoreError::timed_out(self.call_timeout)),
            };
            span.record("error.type", failure.error.reason().code());
            if failure.retry != Retry::OnNewConnection || reconnected {
                return Err(failure);
            }
            tracing::debug!(table = target.table, error = %failure.error, "a connection was broken; sending again");
            self.pool.replace(generation);
            reconnected = true;
        }
    }

    /// As [`send`](Self::send), with retries if the server refuses the call temporarily.
    pub(super) async fn send_with_retries<O, E, R, F>(
        &self,
        target: CallTarget<'_>,
        round_trips: &AtomicU64,
        request: R,
    ) -> Result<O, CallFailure>
    where
        R: Fn() -> F,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let mut attempt = 1;
        loop {
            match self.send(target, round_trips, &request).await {
                Err(failure) if failure.retry == Retry::AfterDelay && attempt < MAX_ATTEMPTS => {
                    self.delay_after(attempt).await;
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    /// Waits after a failed attempt; the first attempt is 1.
    pub(super) async fn delay_after(&self, attempt: u32) {
        tokio::time::sleep(self.backoff.delay(attempt.saturating_sub(1))).await;
    }

    fn in_progress(&self) -> usize {
        self.max - self.permits.available_permits()
    }

    pub(super) fn connections(&self) -> Connections {
        Connections { max: self.max, current: self.in_progress(), peak: self.peak.load(Ordering::Relaxed) }
    }

    pub(super) fn close(&self) {
        self.permits.close();
        self.pool.close();
    }
}
