//! Copies of queues that are read often, so that not every read goes to the table.
//!
//! | module | contents |
//! |---|---|
//! | [`tiers`] | both caches in their order: local, then shared |
//! | [`local`] | the cache inside the process (moka): bounded, fresh for a short time |
//! | [`shared_cache`] | the trait of a cache that all processes share |
//! | [`redis`] | the shared cache in Redis or Valkey |
//! | [`upkeep`] | what the upkeep of the shared cache takes and returns |
//! | [`emergency`] | the flag that switches emergency mode on in all processes |
//! | [`stamp`] | decides which of two copies is newer |
//! | [`breaker`] | the circuit breaker in front of a shared cache |
//! | [`kind`] | the kinds of cached data and their times to live |
//! | [`state`] | whether the shared cache is in use |
//! | [`statistics`] | counters and latencies of both caches by kind of data |
//!
//! # Consistency
//! A cached queue may be older than its row. A decision made on an old copy is harmless: it becomes
//! a conditional write on the version, which the table refuses, and the decision is made again.
//!
//! - A cached version never moves backwards.
//! - Only copies whose records are written are cached. So a command that a cached queue remembers
//!   may be acknowledged.
//! - The local cache is consistent within the process: a read returns what was put last. Its number
//!   of entries and bytes is counted with a short delay ([`LocalCache::statistics`] waits for it).
#![deny(missing_docs)]

pub mod breaker;
pub mod emergency;
pub mod kind;
pub mod local;
pub mod redis;
pub mod shared_cache;
pub mod stamp;
pub mod state;
pub mod statistics;
pub mod tiers;
pub mod upkeep;

pub use breaker::BreakerSettings;
pub use emergency::Emergency;
pub use kind::{DataKind, PerKind, Ttls};
pub use local::{CachedCopy, LocalCache, LocalSettings};
pub use shared_cache::SharedCache;
pub use stamp::Stamp;
pub use state::SharedCacheState;
pub use statistics::{CacheStatistics, LocalStatistics, ServerStatistics, SharedStatistics};
pub use tiers::{Hit, Lookup, Tier, Tiers};
pub use upkeep::{ScanCursor, UpkeepError};
