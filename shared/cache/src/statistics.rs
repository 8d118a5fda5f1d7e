//! What the tiers have done since the start of the process.
//!
//! Figures of a shared tier are this process's own: what it asked and was answered. What its servers say of
//! themselves stands apart.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{kind::PerKind, remote::TierState};

/// What both tiers hold and have done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheStatistics {
    /// The tier inside the process.
    pub local: LocalStatistics,
    /// The tier that all processes share.
    pub redis: RemoteStatistics,
}

/// What the tier inside the process holds and has done.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalStatistics {
    /// Copies held.
    pub entries: u64,
    /// Bytes held, about.
    pub bytes: u64,
    /// By kind of data.
    pub kinds: PerKind<LocalFigures>,
    /// How long lookups took, one for each batch of players.
    pub lookups: Latency,
}

/// What the tier inside the process has done for one kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalFigures {
    /// Lookups answered.
    pub hits: u64,
    /// Lookups not answered: nothing held, or held for too long.
    pub misses: u64,
    /// Copies put.
    pub sets: u64,
    /// Copies dropped to stay within the bounds.
    pub evictions: u64,
    /// Bytes held, about.
    pub bytes: u64,
}

/// What a shared tier has done for this process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStatistics {
    /// Whether it takes part.
    pub state: TierState,
    /// By kind of data.
    pub kinds: PerKind<RemoteFigures>,
    /// Lookups.
    pub get: Operation,
    /// Copies put.
    pub put: Operation,
    /// Players forgotten.
    pub forget: Operation,
    /// Upkeep: looked through, filled, cleared.
    pub upkeep: Operation,
    /// Connections tried, whether they came about or not.
    pub connections: u64,
    /// How often it was found to fail and left alone.
    pub openings: u64,
    /// Players whose last copy it has not got, because it did not answer; they are told to it next.
    pub owed: u64,
    /// What its servers say of themselves; none while that is not known: they are asked with a put, once
    /// a minute, and may refuse.
    pub server: Option<ServerStatistics>,
}

impl Default for RemoteStatistics {
    fn default() -> Self {
        Self {
            state: TierState::Off,
            kinds: PerKind::default(),
            get: Operation::default(),
            put: Operation::default(),
            forget: Operation::default(),
            upkeep: Operation::default(),
            connections: 0,
            openings: 0,
            owed: 0,
            server: None,
        }
    }
}

/// What the servers of a shared tier say of themselves: the sum over its nodes, and over all who use them.
/// Each counts from its own start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatistics {
    /// Nodes that have said so; those that were not asked yet are left out of the sums.
    pub nodes: u64,
    /// Keys dropped to stay within the bounds of memory.
    pub evictions: u64,
    /// Keys dropped because their time was over.
    pub expirations: u64,
    /// Bytes of memory used; 0 where a node does not say.
    pub used_bytes: u64,
    /// Bytes of memory that may be used; 0 where a node has no bound.
    pub max_bytes: u64,
}

/// What a shared tier has done for one kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteFigures {
    /// Lookups answered.
    pub hits: u64,
    /// Lookups not answered, for whatever reason.
    pub misses: u64,
    /// Copies put.
    pub sets: u64,
    /// Copies not put because a newer one is held.
    pub outdated: u64,
    /// Copies that could not be read or put.
    pub errors: u64,
    /// Bytes of values read.
    pub bytes_read: u64,
    /// Bytes of values written.
    pub bytes_written: u64,
}

/// One kind of call to a shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Calls that asked the tier; while it is left alone none does.
    pub calls: u64,
    /// Round trips that they took. Pipelines to several nodes at the same time are one.
    pub round_trips: u64,
    /// Calls that were not answered in full.
    pub failures: u64,
    /// How long they took.
    pub latency: Latency,
}

/// How long something took, in microseconds; each percentile is exact to one part in a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The median.
    pub p50_us: u64,
    /// 95 of 100 took no longer.
    pub p95_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Keeps how long something took.
#[derive(Debug)]
pub(crate) struct LatencyRecorder(Mutex<Histogram<u32>>);

impl Default for LatencyRecorder {
    fn default() -> Self {
        // Up to a minute, exact to 1 %: about 10 KB.
        match Histogram::new_with_bounds(1, 60_000_000, 2) {
            Ok(histogram) => Self(Mutex::new(histogram)),
            Err(_) => unreachable!("these bounds are allowed"),
        }
    }
}

impl LatencyRecorder {
    /// Records one.
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros);
    }

    /// What was recorded.
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

/// Counts without waiting for anybody.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes `n` off.
    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The count.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
