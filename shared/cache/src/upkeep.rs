//! What a tier shared by all processes can do beside serving them: be looked through, filled, cleared.
//!
//! Unlike the calls of [`RemoteTier`](crate::RemoteTier) these are asked for by an operator or a schedule, so
//! that they say what went wrong, and are made even while the tier is left alone by everybody else.

use std::{fmt, num::ParseIntError, str::FromStr, sync::Arc};

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    emergency::Emergency,
    kind::{DataKind, PerKind},
    stamp::Stamp,
    statistics::Latency,
};

/// The shared tier did not answer, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpkeepError(pub String);

/// Where a walk through all keys has stopped. As text it goes to a caller and comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor {
    /// The node of a cluster; none where there is but one.
    pub node: Option<String>,
    /// The place there, as the node has named it.
    pub position: u64,
}

/// What is held of a player, by its first bytes: enough to know it again, and whether it is a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedCopy(pub Vec<u8>);

/// Puts a copy anew, whatever is held, unless that has become newer since it was seen.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Whose copy.
    pub player_id: PlayerId,
    /// What was held before the table was read.
    pub seen: ObservedCopy,
    /// What the table has; none: there is no row, and nothing is to be held.
    pub copy: Option<Arc<CachedQueue>>,
}

/// What became of a copy that was to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Put,
    /// A newer one is held.
    Outdated,
    /// It was refused.
    Refused,
}

/// Players with copies, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlayersPage {
    /// The players; one may come twice in a walk.
    pub players: Vec<PlayerId>,
    /// None where nothing follows.
    pub next: Option<ScanCursor>,
}

/// What was taken away, and where the next keys begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClearedPage {
    /// Keys looked at.
    pub scanned: u64,
    /// Copies taken away.
    pub cleared: u64,
    /// Keys that could not be touched.
    pub failed: u64,
    /// None where nothing follows.
    pub next: Option<ScanCursor>,
}

/// What the servers of a shared tier say of themselves, and how fast they answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFigures {
    /// Each node.
    pub nodes: Vec<NodeFigures>,
    /// Keys on all nodes, others' keys in the same database included; null where a node does not say.
    pub keys: Option<u64>,
    /// What the keys are, by a sample.
    pub sample: KeySample,
}

/// What one node says of itself; null where it does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFigures {
    /// Where it listens.
    pub address: String,
    /// Its version.
    pub version: Option<String>,
    /// How long it runs.
    pub uptime_seconds: Option<u64>,
    /// Bytes of memory used.
    pub used_bytes: Option<u64>,
    /// Bytes of memory that may be used; 0: without a bound.
    pub max_bytes: Option<u64>,
    /// Reads that found their key since its start, of everybody.
    pub keyspace_hits: Option<u64>,
    /// Reads that did not.
    pub keyspace_misses: Option<u64>,
    /// Keys dropped to stay within the bounds of memory since its start.
    pub evictions: Option<u64>,
    /// Keys dropped because their time was over since its start.
    pub expirations: Option<u64>,
    /// Connections.
    pub clients: Option<u64>,
    /// Commands a second, as of now.
    pub operations_per_second: Option<u64>,
    /// How long it took to answer `PING`, one after the other.
    pub ping: Latency,
}

/// What some keys are, of which there may be millions: those that a walk comes to first, in no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySample {
    /// Keys looked at.
    pub keys: u64,
    /// Whether these are all.
    pub complete: bool,
    /// Copies among them.
    pub copies: PerKind<u64>,
    /// Players among them that were forgotten, so that no old copy comes back.
    pub forgotten: u64,
    /// Keys of this deployment's upkeep.
    pub upkeep: u64,
    /// Keys of others.
    pub foreign: u64,
}

/// A figure that is kept for some time, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub text: String,
}

/// What a shared tier can do beside serving. Each call makes a bounded number of round trips, in the time
/// until its deadline, and says why where it could not be done.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// What is held of each player: one round trip.
    async fn seen(&self, players: &[PlayerId], deadline: Instant) -> Result<Vec<ObservedCopy>, UpkeepError>;

    /// Puts each copy unless a newer one is held: one round trip. Their players do not count as active.
    async fn fill(
        &self,
        copies: &[Arc<CachedQueue>],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, UpkeepError>;

    /// Puts each copy in the place of what was seen: one round trip.
    async fn replace(
        &self,
        replacements: &[Replacement],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, UpkeepError>;

    /// Some players with copies: one round trip.
    async fn players(&self, cursor: Option<&ScanCursor>, deadline: Instant) -> Result<PlayersPage, UpkeepError>;

    /// Takes away some copies, of all kinds or one: two round trips. Where a copy of a queue lay, it is
    /// remembered which version that was, and nothing older comes back.
    async fn clear(
        &self,
        kind: Option<DataKind>,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError>;

    /// The same for players: one round trip.
    async fn clear_players(
        &self,
        players: &[PlayerId],
        kind: Option<DataKind>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError>;

    /// Has the copies of players live until `until` at least: one round trip. Returns how many live longer
    /// than before.
    async fn extend(
        &self,
        players: &[PlayerId],
        now: Timestamp,
        until: Timestamp,
        deadline: Instant,
    ) -> Result<u64, UpkeepError>;

    /// Players whose queues were put by those who changed them, the latest first, at most `limit`: one
    /// round trip. Nobody is remembered for longer than an hour.
    async fn active(&self, limit: usize, deadline: Instant) -> Result<Vec<PlayerId>, UpkeepError>;

    /// Says whether emergency mode is on, to all who share the tier: one round trip.
    async fn announce(&self, emergency: Emergency, deadline: Instant) -> Result<(), UpkeepError>;

    /// What was last said of emergency mode, and not long ago: one round trip.
    async fn heard(&self, deadline: Instant) -> Result<Option<Emergency>, UpkeepError>;

    /// Measures the servers.
    async fn measure(&self, deadline: Instant) -> Result<ServerFigures, UpkeepError>;

    /// Keeps a figure in the history: one round trip. What is older than 24 hours, or beyond the last
    /// 1,000, is dropped.
    async fn keep(&self, figure: &Kept, deadline: Instant) -> Result<(), UpkeepError>;

    /// Reports that processes have sent along in the last hour, the latest of each node first, at most `limit`
    /// of each: one round trip.
    async fn reports(&self, limit: usize, deadline: Instant) -> Result<Vec<String>, UpkeepError>;

    /// The history, the latest first, at most `limit`: one round trip.
    async fn kept(&self, since: Timestamp, limit: usize, deadline: Instant) -> Result<Vec<Kept>, UpkeepError>;
}

impl fmt::Display for ScanCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(formatter, "{node}/{}", self.position),
            None => write!(formatter, "{}", self.position),
        }
    }
}

impl FromStr for ScanCursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (node, position) = match text.rsplit_once('/') {
            Some((node, position)) => (Some(node.to_owned()), position),
            None => (None, text),
        };
        Ok(Self { node, position: position.parse()? })
    }
}

impl ObservedCopy {
    /// Whether that is a copy, and of which kind. By its first bytes: a copy whose tasks have no unit done
    /// yet counts as a queue, whatever it knows of them.
    pub fn kind(&self) -> Option<DataKind> {
        let stamp = self.0.get(..Stamp::LENGTH).filter(|stamp| stamp.iter().all(u8::is_ascii_digit))?;
        let layout = self.0.get(Stamp::LENGTH)?;
        let units = &stamp[Stamp::VERSION..Stamp::LENGTH - 1];
        match (layout, stamp[Stamp::LENGTH - 1]) {
            (b't', _) => None,
            (_, b'1') if units.iter().any(|digit| *digit != b'0') => Some(DataKind::Progress),
            _ => Some(DataKind::Queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_out_and_comes_back() {
        for (node, text) in [(None, "17"), (Some("10.0.0.1:7000"), "10.0.0.1:7000/17"), (Some("::1:7"), "::1:7/17")] {
            let cursor = ScanCursor { node: node.map(str::to_owned), position: 17 };
            assert_eq!(cursor.to_string(), text);
            assert_eq!(text.parse(), Ok(cursor));
        }
        assert!(["", "x", "a/", "a/-1", "99999999999999999999"].iter().all(|text| text.parse::<ScanCursor>().is_err()));
    }

    #[test]
    fn the_first_bytes_tell_the_kind() {
        let seen = |units: u64, known: u8, layout: &str| {
            ObservedCopy(format!("{:020}{units:012}{known}{layout}", 7).into_bytes()).kind()
        };
        assert_eq!(seen(0, 1, "p"), Some(DataKind::Queue));
        assert_eq!(seen(5, 0, "p"), Some(DataKind::Queue));
        assert_eq!(seen(5, 1, "z"), Some(DataKind::Progress));
        assert_eq!(seen(0, 0, "t"), None);
        assert_eq!(seen(5, 1, ""), None, "cut off");
        assert_eq!(ObservedCopy(b"x".repeat(34)).kind(), None, "not ours");
        assert_eq!(ObservedCopy::default().kind(), None);
    }
}
