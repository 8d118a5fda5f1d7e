//! What a tier shared by all processes has to do.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use serde::Serialize;

use crate::{emergency::Emergency, statistics::RemoteStatistics, upkeep::Upkeep};

/// Whether a remote tier takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TierState {
    /// It answers.
    Up,
    /// It is left alone for a while, after repeated failures.
    Down,
    /// None is configured.
    Off,
}

/// A tier shared by all processes: one round trip for any number of players.
#[async_trait]
pub trait RemoteTier: Send + Sync {
    /// Whether it takes part.
    fn state(&self) -> TierState;

    /// The copies of `players`, in their order, and how many errors there were: an error is a miss.
    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64);

    /// Puts each copy unless a newer one is held; returns how many errors there were. A tier that is
    /// left alone remembers whose copies it missed, and puts none.
    async fn put(&self, copies: &[Arc<CachedQueue>], now: Timestamp) -> u64;

    /// Forgets players, so that no older copy under way can come back; returns how many errors there were.
    async fn forget(&self, players: &[PlayerId]) -> u64;

    /// Whether it gives a sign of life.
    async fn ping(&self) -> bool;

    /// What was last heard of emergency mode; none where nothing was.
    fn emergency(&self) -> Option<Emergency> {
        None
    }

    /// Whether it takes a report of this process to the others with its next put. Every few seconds it does.
    fn wants_report(&self) -> bool {
        false
    }

    /// Gives it a report to take along. It may be lost.
    fn offer_report(&self, _report: String) {}

    /// What it can do beside serving; none where it can do no such thing.
    fn upkeep(&self) -> Option<&dyn Upkeep> {
        None
    }

    /// What it has done for this process.
    fn statistics(&self) -> RemoteStatistics {
        RemoteStatistics { state: self.state(), ..RemoteStatistics::default() }
    }
}
