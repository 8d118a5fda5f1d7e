//! The batch writer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use fastrand::Rng;
use futures::{FutureExt, future::BoxFuture};
use millrace_domain::record::RecordKey;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};

use super::{
    context::WriterContext,
    pending_write::{PendingWrite, Waiter},
    record_write::{FailedWrite, RecordWrite, WriteResponse},
    rows::PendingRow,
    scheduler,
    settings::BatchWriterSettings,
    statistics::WriteStatistics,
    window::{CurrentWindow, LingerWindow, NewWrite, WindowRun},
};
use crate::{
    backoff::Backoff,
    error::StoreError,
    port::{MAX_BATCH_ITEMS, RecordStore},
};

/// The upper limit of the first retry delay. It doubles with each retry.
const BACKOFF_BASE: Duration = Duration::from_millis(25);
/// The upper limit of all retry delays.
const BACKOFF_CAP: Duration = Duration::from_secs(1);

/// Groups records into few calls. A process needs only one.
pub struct BatchWriter {
    context: Arc<WriterContext>,
    linger: Duration,
    current_window: CurrentWindow,
}

impl BatchWriter {
    /// Creates a batch writer over a store.
    pub fn new(store: Arc<dyn RecordStore>, settings: BatchWriterSettings) -> Self {
        let context = WriterContext {
            store,
            permits: Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            max_items: settings.max_items.clamp(1, MAX_BATCH_ITEMS),
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, Rng::with_seed(settings.seed)),
        };
        Self { context: Arc::new(context), linger: settings.linger, current_window: CurrentWindow::default() }
    }

    /// Writes records and returns at the deadline at the latest. Each record is either written or
    /// reported as failed. Dropping the future cancels its records only.
    ///
    /// If writes share calls ([`BatchWriterSettings::linger`]), a shared call or row counts in the
    /// statistics of one of them. The sum over all writes is exact.
    pub async fn write<O: Send>(&self, records: Vec<RecordWrite<O>>, deadline: Instant) -> WriteResponse<O> {
        if records.is_empty() {
            return WriteResponse { failed: Vec::new(), statistics: WriteStatistics::default() };
        }
        let started = Instant::now();
        let pending = Arc::new(PendingWrite::new(records.len()));
        let mut origins = Vec::with_capacity(records.len());
        let mut rows = Vec::with_capacity(records.len());
        for (position, RecordWrite { record, origin, grouping }) in records.into_iter().enumerate() {
            origins.push(origin);
            rows.push((record.key(), PendingRow::new(record, grouping, Waiter::new(&pending, position))));
        }
        let run = self.join_window(rows, deadline);
        tokio::select! {
            biased;
            () = pending.finished() => {}
            () = run => {}
            () = sleep_until(deadline) => {}
        }
        let unanswered = if Instant::now() < deadline {
            StoreError::unavailable("the write was interrupted")
        } else {
            StoreError::timed_out(deadline.saturating_duration_since(started))
        };
        let (errors, statistics) = pending.end(&unanswered);
        let failed = |(origin, error): (O, Option<StoreError>)| Some(FailedWrite { origin, error: error? });
        WriteResponse { failed: origins.into_iter().zip(errors).filter_map(failed).collect(), statistics }
    }

    fn join_window(&self, rows: Vec<(RecordKey, PendingRow)>, deadline: Instant) -> WindowRun {
        let now = Instant::now();
        // A write with little time left spends at most half of it on lingering.
        let linger = self.linger.min(deadline.saturating_duration_since(now) / 2);
        let write = NewWrite { rows, closes_at: now + linger, deadline };
        let open = |write| {
            let window = Arc::new(LingerWindow::new(self.context.max_items, write));
            let run = run_window(Arc::clone(&self.context), Arc::clone(&window));
            (window, run)
        };
        if linger.is_zero() {
            return open(write).1.shared();
        }
        self.current_window.join_or_open(write, open)
    }
}

fn run_window(context: Arc<WriterContext>, window: Arc<LingerWindow>) -> BoxFuture<'static, ()> {
    let run = async move {
        // A panic of the store would otherwise reach all writes of the window.
        let outcome = AssertUnwindSafe(scheduler::run(&context, &window)).catch_unwind().await;
        if outcome.is_err() {
            tracing::error!("a call to the store panicked; its records are reported as failed");
        }
        window.close();
    };
    run.boxed()
}
