//! Cache lookups, bounded by the deadline.

use millrace_cache::Lookup;
use tokio::time::{Instant, timeout_at};

/// A lookup of `players` players that ends at the deadline. Then it has found nothing.
pub async fn lookup_before(deadline: Instant, players: usize, lookup: impl Future<Output = Lookup>) -> Lookup {
    let nothing = |_| Lookup { hits: vec![None; players], shared_errors: 1 };
    timeout_at(deadline, lookup).await.unwrap_or_else(nothing)
}
