//! Queues kept near: what is read often is not read from the table each time.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`local`] | the tier inside the process (moka): bounded, fresh for a short time |
//! | [`flights`] | single-flight loading: of several who miss the same queue, one loads it |
//! | [`remote`] | what a shared tier (Redis) has to do |
//! | `redis` | that tier in Redis or Valkey; behind the feature `redis` |
//! | [`upkeep`] | what that tier can do beside serving: be looked through, filled, cleared |
//! | [`emergency`] | what all processes are told to do while the table is in trouble |
//! | [`tiers`] | the tiers in their order: local, then remote |
//! | [`stamp`] | which of two copies is the newer one |
//! | [`breaker`] | leaves alone for a while what fails repeatedly |
//! | [`kind`] | the kinds of data, their times to live |
//! | [`statistics`] | what the tiers have done, by kind of data |
//!
//! # What may be wrong, and why that is harmless
//! A cached queue may be older than the table's. Whatever decides is a conditional write on the
//! version, so a decision made on an old copy is refused by the table and made again. A cached version
//! never moves backwards, and only copies whose records are written are cached: whoever finds a
//! command remembered in a cached queue may acknowledge it.
//!
//! The local tier is consistent within the process: what was put is what is read next. How many
//! entries and bytes it holds is counted with a short delay ([`LocalTier::usage`] brings it up to date).
#![deny(missing_docs)]

pub mod breaker;
pub mod emergency;
pub mod flights;
pub mod kind;
pub mod local;
#[cfg(feature = "redis")]
pub mod redis;
pub mod remote;
pub mod stamp;
pub mod statistics;
pub mod tiers;
pub mod upkeep;

pub use breaker::BreakerSettings;
pub use emergency::Emergency;
pub use flights::{Claim, Flights};
pub use kind::{DataKind, PerKind, Ttls};
pub use local::{CachedCopy, LocalSettings, LocalTier, Usage};
pub use remote::{RemoteTier, TierState};
pub use stamp::Stamp;
pub use statistics::{CacheStatistics, LocalStatistics, RemoteStatistics, ServerStatistics};
pub use tiers::{Hit, Lookup, Tier, Tiers};
pub use upkeep::{ScanCursor, Upkeep, UpkeepError};
