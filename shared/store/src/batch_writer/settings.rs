//! Settings of the batch writer.

use std::time::Duration;

use crate::port::MAX_BATCH_ITEMS;

/// Settings of a [`BatchWriter`](super::BatchWriter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWriterSettings {
    /// The maximum number of rows in one call, clamped to 1 to [`MAX_BATCH_ITEMS`].
    pub max_items: usize,
    /// How long a call that is not full waits for rows of other writes; zero disables waiting.
    pub linger: Duration,
    /// The maximum number of concurrent calls over all writes, at least 1.
    pub concurrency: usize,
    /// The seed of the jitter of retry delays. Processes that start together should have different
    /// seeds.
    pub seed: u64,
}

impl Default for BatchWriterSettings {
    fn default() -> Self {
        Self { max_items: MAX_BATCH_ITEMS, linger: Duration::ZERO, concurrency: 5, seed: 0 }
    }
}
