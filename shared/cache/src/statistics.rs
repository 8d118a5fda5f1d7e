//! Statistics of both caches since the start of the process.
//!
//! The figures of the shared cache count the calls of this process. The reports of the servers are
//! kept apart ([`ServerStatistics`]).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{kind::PerKind, state::SharedCacheState};

/// The statistics of both caches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheStatistics {
    /// The local cache.
    pub local: LocalStatistics,
    /// The shared cache.
    pub redis: SharedStatistics,
}

/// The statistics of the local cache.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalStatistics {
    /// Number of copies.
    pub entries: u64,
    /// Bytes held, approximately.
    pub bytes: u64,
    /// By kind of data.
    pub kinds: PerKind<LocalFigures>,
    /// How long lookups took, one for each batch of players.
    pub lookups: Latency,
}

/// The statistics of the local cache for one kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalFigures {
    /// Lookups that found a fresh copy.
    pub hits: u64,
    /// Lookups that found no copy or a stale one.
    pub misses: u64,
    /// Copies put.
    pub sets: u64,
    /// Copies dropped to stay within the bounds.
    pub evictions: u64,
    /// Bytes held, approximately.
    pub bytes: u64,
}

/// The statistics of the shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedStatistics {
    /// Whether it is in use.
    pub state: SharedCacheState,
    /// By kind of data.
    pub kinds: PerKind<SharedFigures>,
    /// Lookups.
    pub get: Operation,
    /// Puts.
    pub put: Operation,
    /// Removals of players, and the pending invalidations that are sent after an outage.
    pub forget: Operation,
    /// Calls of the upkeep.
    pub upkeep: Operation,
    /// Attempts to connect. To a cluster, one attempt connects to all nodes; the reconnects that
    /// the client library makes by itself are not counted.
    pub connections: u64,
    /// How often the circuit breaker opened.
    pub openings: u64,
    /// Players whose shared copy may be stale because Redis could not be told. It is told with the
    /// next call that succeeds, and before the circuit breaker closes.
    pub pending_invalidations: u64,
    /// The reports of the servers; none while unknown. They are asked with a put, once a minute,
    /// and may refuse.
    pub server: Option<ServerStatistics>,
}

/// The sum of the reports of all nodes, for all clients. Each node counts from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatistics {
    /// Nodes that answered.
    pub nodes: u64,
    /// Keys dropped to stay within the bounds of memory.
    pub evictions: u64,
    /// Keys dropped at the end of their time to live.
    pub expirations: u64,
    /// Bytes of memory in use; 0 where a node does not tell.
    pub used_bytes: u64,
    /// The limit of memory in bytes; 0 where a node has none.
    pub max_bytes: u64,
}

/// The statistics of the shared cache for one kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedFigures {
    /// Lookups that found a value.
    pub hits: u64,
    /// Lookups that did not, for whatever reason.
    pub misses: u64,
    /// Values put.
    pub sets: u64,
    /// Copies not put because the cache has a newer one.
    pub outdated: u64,
    /// Values that could not be read or put.
    pub errors: u64,
    /// Bytes of values read.
    pub bytes_read: u64,
    /// Bytes of values written.
    pub bytes_written: u64,
}

/// One kind of call to the shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Calls made. While the circuit breaker is open none is.
    pub calls: u64,
    /// Round trips of these calls. Commands that are sent at the same time count as one, also to
    /// several nodes. Redirects that the cluster client follows by itself are not counted.
    pub round_trips: u64,
    /// Calls that were not answered completely.
    pub failures: u64,
    /// How long the calls took.
    pub latency: Latency,
}

/// Percentiles of durations in microseconds, with a precision of one percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The median.
    pub p50_us: u64,
    /// The 95th percentile.
    pub p95_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The maximum.
    pub max_us: u64,
}

/// Records durations.
#[derive(Debug)]
pub(crate) struct LatencyRecorder(Mutex<Histogram<u32>>);

impl Default for LatencyRecorder {
    fn default() -> Self {
        // Up to a minute with a precision of 1 %: about 10 KB.
        match Histogram::new_with_bounds(1, 60_000_000, 2) {
            Ok(histogram) => Self(Mutex::new(histogram)),
            Err(_) => unreachable!("these bounds are valid"),
        }
    }
}

impl LatencyRecorder {
    /// Records one duration.
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros);
    }

    /// The percentiles of what was recorded.
    pub(crate) fn latency(&self) -> Latency {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Latency {
            p50_us: histogram.value_at_quantile(0.50),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}
