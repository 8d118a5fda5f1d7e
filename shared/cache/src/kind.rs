//! The kinds of cached data. Each has a time to live and statistics.

use std::{
    ops::{Index, IndexMut},
    time::Duration,
};

use millrace_domain::codec::CachedQueue;
use serde::{Deserialize, Serialize};

/// A kind of cached data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// A queue as it was committed, with unfinished tasks.
    Queue,
    /// A queue with progress between milestones, which only the progress table has besides.
    Progress,
    /// A queue without unfinished tasks: what is left are the player's totals.
    Stats,
    /// Other data that is read often, such as the first page of a history.
    Frequent,
}

impl DataKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Progress, Self::Stats, Self::Frequent];

    /// The kind of a copy of a queue. A copy that knows the progress of an active task is of the
    /// kind progress even at 0 units, because a report may have been missed.
    pub fn of(cached: &CachedQueue) -> Self {
        if cached.queue.tasks.is_empty() {
            Self::Stats
        } else if cached.progress_known && cached.queue.has_partial_progress() {
            Self::Progress
        } else {
            Self::Queue
        }
    }
}

/// One value for each kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PerKind<T> {
    /// For [`DataKind::Queue`]. Lookups of queues that find nothing count here, because the kind of
    /// what is missing is unknown.
    pub queue: T,
    /// For [`DataKind::Progress`].
    pub progress: T,
    /// For [`DataKind::Stats`].
    pub stats: T,
    /// For [`DataKind::Frequent`].
    pub frequent: T,
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

/// How long copies live in the shared cache.
pub type Ttls = PerKind<Duration>;

impl Ttls {
    /// Queues 300 s, progress 60 s, queues without unfinished tasks 600 s, other data 1800 s.
    pub const DEFAULT: Self = Self {
        queue: Duration::from_secs(300),
        progress: Duration::from_secs(60),
        stats: Duration::from_secs(600),
        frequent: Duration::from_secs(1_800),
    };
}
