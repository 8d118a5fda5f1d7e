//! What all writes of a batch writer share.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::call::Call;
use crate::{backoff::Backoff, error::StoreError, port::RecordStore};

/// The store, the limits and the backoff.
pub(super) struct WriterContext {
    pub(super) store: Arc<dyn RecordStore>,
    /// Limits the number of concurrent calls.
    pub(super) permits: Semaphore,
    /// The maximum number of rows in one call.
    pub(super) max_items: usize,
    pub(super) backoff: Backoff,
}

/// The answer of the store: the positions of unprocessed rows.
pub(super) type Answer = Result<Vec<usize>, StoreError>;

impl WriterContext {
    /// Makes one call and returns it with its answer.
    pub(super) async fn send(&self, call: Call, permit: SemaphorePermit<'_>) -> (Call, Answer) {
        call.count_attempt();
        let answer = self.store.write(call.group.table(), &call.records()).await;
        drop(permit);
        (call, answer)
    }
}
