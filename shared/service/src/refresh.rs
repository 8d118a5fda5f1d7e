//! Refresh: the caches learn of every changed queue, once its records are written. Its failure fails nothing.

use millrace_cache::Held;
use millrace_domain::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::{report::Figures, service::Service};

impl Service {
    /// Puts all copies in one round trip.
    pub(crate) async fn refresh(&self, copies: &[Held], now: Timestamp, deadline: Instant, figures: &mut Figures) {
        if copies.is_empty() {
            return;
        }
        match timeout_at(deadline, self.cache.put(copies, now)).await {
            Ok(errors) => figures.cache.remote_errors += errors,
            Err(_) => figures.cache.remote_errors += 1,
        }
    }
}
