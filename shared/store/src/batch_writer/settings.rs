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
    /// The upper limit of the first retry delay, at least 1 ms. It doubles with each retry.
    pub backoff_base: Duration,
    /// The upper limit of all retry delays, at least 1 ms.
    pub backoff_cap: Duration,
    /// The seed of the jitter. Processes that start together should have different seeds.
    pub seed: u64,
}

impl Default for BatchWriterSettings {
    fn default() -> Self {
        Self {
            max_items: MAX_BATCH_ITEMS,
            linger: Duration::ZERO,
            concurrency: 5,
            backoff_base: Duration::from_millis(25),
            backoff_cap: Duration::from_secs(1),
            seed: 0,
        }
    }
}
