//! The kinds of data that are cached: each has a time to live and figures of its own.

use std::{
    ops::{Index, IndexMut},
    time::Duration,
};

use millrace_domain::codec::CachedQueue;
use serde::Serialize;

/// A kind of cached data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// A queue as it was committed.
    Queue,
    /// A queue with progress between milestones, which besides only the progress table knows.
    Progress,
    /// A player's totals.
    Stats,
    /// Whatever else is read often.
    Frequent,
}

impl DataKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Progress, Self::Stats, Self::Frequent];

    /// The kind of this name, as it is serialized.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "queue" => Self::Queue,
            "progress" => Self::Progress,
            "stats" => Self::Stats,
            "frequent" => Self::Frequent,
            _ => return None,
        })
    }

    /// The kind of a copy of a queue. One that claims to know the progress of an active task counts as
    /// progress even at 0 units: a report may have passed it by.
    pub fn of(cached: &CachedQueue) -> Self {
        match cached.progress_known && cached.queue.has_partial_progress() {
            true => Self::Progress,
            false => Self::Queue,
        }
    }
}

/// One value for each kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PerKind<T> {
    /// For queues as they were committed. Lookups that find nothing count here: nobody knows what
    /// they would have found.
    pub queue: T,
    /// For queues with progress between milestones.
    pub progress: T,
    /// For totals.
    pub stats: T,
    /// For whatever else is read often.
    pub frequent: T,
}

impl<T> PerKind<T> {
    /// The same with each value changed.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> PerKind<U> {
        PerKind {
            queue: change(&self.queue),
            progress: change(&self.progress),
            stats: change(&self.stats),
            frequent: change(&self.frequent),
        }
    }
}

impl<T> Index<DataKind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: DataKind) -> &T {
        match kind {
            DataKind::Queue => &self.queue,
            DataKind::Progress => &self.progress,
            DataKind::Stats => &self.stats,
            DataKind::Frequent => &self.frequent,
        }
    }
}

impl<T> IndexMut<DataKind> for PerKind<T> {
    fn index_mut(&mut self, kind: DataKind) -> &mut T {
        match kind {
            DataKind::Queue => &mut self.queue,
            DataKind::Progress => &mut self.progress,
            DataKind::Stats => &mut self.stats,
            DataKind::Frequent => &mut self.frequent,
        }
    }
}

/// How long copies live in the shared tier.
pub type Ttls = PerKind<Duration>;

impl Ttls {
    /// Queues 300 s, progress 60 s, totals 600 s, other data 1800 s.
    pub const DEFAULT: Self = Self {
        queue: Duration::from_secs(300),
        progress: Duration::from_secs(60),
        stats: Duration::from_secs(600),
        frequent: Duration::from_secs(1_800),
    };
}
