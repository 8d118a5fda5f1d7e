//! What the start-up has opened.

use std::sync::Arc;

use millrace_cache::Tiers;
use millrace_performance::HistoryStore;
use millrace_pipeline::{Clock, Publishing};
use millrace_store::Store;

/// What the pipeline works on, open.
pub struct BackEnds {
    /// Queues and records.
    pub store: Arc<dyn Store>,
    /// The local and the shared cache.
    pub cache: Tiers,
    /// Where events are published; none: there are no events.
    pub publishing: Option<Publishing>,
    /// Keeps what the functions did in each minute of the last day.
    pub history: Arc<dyn HistoryStore>,
    /// The clock that decides what is due.
    pub clock: Arc<dyn Clock>,
}

/// A store, and the performance history if the store keeps it.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) history: Option<Arc<dyn HistoryStore>>,
}
