//! What the upkeep of the shared cache takes and returns; its functions are those of
//! [`RedisCache`](crate::redis::RedisCache).

use std::{fmt, num::ParseIntError, str::FromStr, sync::Arc};

use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use serde::Serialize;

use crate::{
    kind::{DataKind, PerKind},
    statistics::Latency,
};

/// The shared cache did not answer, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpkeepError(pub String);

/// The position of a scan of all keys. As text it goes to a caller and comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor {
    /// The node of a cluster; none for a single server.
    pub node: Option<String>,
    /// The cursor of that node.
    pub position: u64,
}

/// An observation of a player's copy, by which a replacement recognizes the copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedCopy {
    /// The kind of the copy; none where there is no copy.
    pub kind: Option<DataKind>,
    /// The first bytes of the value.
    pub(crate) head: Vec<u8>,
}

/// Replaces a copy, unless the cache got a newer one since the observation.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The player.
    pub player_id: PlayerId,
    /// The copy in the cache before the table was read.
    pub observed: ObservedCopy,
    /// The queue of the table; none: there is no row, and the copy is removed.
    pub copy: Option<Arc<CachedQueue>>,
}

/// The result of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The copy was put.
    Put,
    /// The cache has a newer copy.
    Outdated,
    /// The server refused the copy.
    Refused,
}

/// Players with copies, and the position where the scan goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlayersPage {
    /// The players. A scan may return one twice.
    pub players: Vec<PlayerId>,
    /// None at the end.
    pub next: Option<ScanCursor>,
}

/// The result of a clear, and the position where the scan goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClearedPage {
    /// Keys examined.
    pub scanned: u64,
    /// Copies removed.
    pub cleared: u64,
    /// Keys that could not be cleared.
    pub failed: u64,
    /// None at the end.
    pub next: Option<ScanCursor>,
}

/// The reports of the servers of a shared cache, and how fast they answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFigures {
    /// Each node.
    pub nodes: Vec<NodeFigures>,
    /// Keys on all nodes, with those of other applications; null where a node does not tell.
    pub keys: Option<u64>,
    /// The kinds of a sample of the keys.
    pub sample: KeySample,
}

/// The report of one node; null where it does not tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFigures {
    /// `host:port`.
    pub address: String,
    /// The version of the server.
    pub version: Option<String>,
    /// Seconds since its start.
    pub uptime_seconds: Option<u64>,
    /// Bytes of memory in use.
    pub used_bytes: Option<u64>,
    /// The limit of memory in bytes; 0: none.
    pub max_bytes: Option<u64>,
    /// Reads of existing keys since its start, by all clients.
    pub keyspace_hits: Option<u64>,
    /// Reads of missing keys since its start, by all clients.
    pub keyspace_misses: Option<u64>,
    /// Keys dropped since its start to stay within the bounds of memory.
    pub evictions: Option<u64>,
    /// Keys dropped since its start at the end of their time to live.
    pub expirations: Option<u64>,
    /// Connections.
    pub clients: Option<u64>,
    /// Commands a second, at present.
    pub operations_per_second: Option<u64>,
    /// How long it took to answer `PING`, one after the other.
    pub ping: Latency,
}

/// The kinds of some keys: the first ones of a scan, in no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySample {
    /// Keys examined.
    pub keys: u64,
    /// Whether these are all keys.
    pub complete: bool,
    /// Copies and pages by kind.
    pub copies: PerKind<u64>,
    /// Tombstones: players whose copies were removed.
    pub forgotten: u64,
    /// Keys of this application's upkeep.
    pub upkeep: u64,
    /// Keys of other applications.
    pub foreign: u64,
}

/// A sample of statistics, stored for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatisticsSample {
    /// When it was measured.
    pub at: Timestamp,
    /// The figures, in the format of the caller.
    pub text: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_through_text() {
        for (node, text) in [(None, "17"), (Some("10.0.0.1:7000"), "10.0.0.1:7000/17"), (Some("::1:7"), "::1:7/17")] {
            let cursor = ScanCursor { node: node.map(str::to_owned), position: 17 };
            assert_eq!(cursor.to_string(), text);
            assert_eq!(text.parse(), Ok(cursor));
        }
        assert!(["", "x", "a/", "a/-1", "99999999999999999999"].iter().all(|text| text.parse::<ScanCursor>().is_err()));
    }
}
