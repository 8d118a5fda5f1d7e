//! The trait of a cache that all processes share.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};

use crate::{emergency::Emergency, state::SharedCacheState, statistics::SharedStatistics};

/// A cache that all processes share: one round trip for any number of players.
///
/// No call fails. Each returns how many errors there were; the reasons are logged and counted.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// Whether it is in use.
    fn state(&self) -> SharedCacheState;

    /// The copies of `players`, in their order, and the number of errors. An error is a miss.
    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64);

    /// Puts each copy unless the cache has a newer one. Returns the number of errors. While the
    /// circuit breaker is open, nothing is put and the players become pending invalidations.
    async fn put(&self, copies: &[Arc<CachedQueue>], now: Timestamp) -> u64;

    /// Removes the copies of players, so that an older copy under way cannot come back. Returns the
    /// number of errors; these players become pending invalidations.
    async fn forget(&self, players: &[PlayerId]) -> u64;

    /// The page that was last put for a player if it was put for this version of the queue, and the
    /// number of errors. Ask with the version of a copy that was just read: then the page is as
    /// fresh as that copy.
    async fn get_page(&self, _player: &PlayerId, _version: u64) -> (Option<Vec<u8>>, u64) {
        (None, 0)
    }

    /// Puts a page of rows, such as the first page of the history, in place of the one of this
    /// player. Returns the number of errors.
    ///
    /// The page must have been read, strongly consistent, after the records of `version` were
    /// written: a copy from a cache proves that they are.
    async fn put_page(&self, _player: &PlayerId, _version: u64, _page: &[u8]) -> u64 {
        0
    }

    /// Whether it answers and takes writes: one round trip.
    async fn ping(&self) -> bool;

    /// The last known switch of emergency mode; none where none is known.
    fn emergency(&self) -> Option<Emergency> {
        None
    }

    /// The statistics of its calls by this process.
    fn statistics(&self) -> SharedStatistics {
        SharedStatistics { state: self.state(), ..SharedStatistics::default() }
    }
}
