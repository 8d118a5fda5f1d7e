//! A queue that commands are applied to, with what is known about it.

use std::sync::Arc;

use millrace_cache::CachedCopy;
use millrace_domain::{Timestamp, codec::CachedQueue, record::ProgressRecord};

/// A queue that commands are applied to.
#[derive(Debug, Clone)]
pub struct LoadedQueue {
    /// The queue; none where the player has none yet. Usually held by nothing else, so that it is
    /// changed in place.
    pub queue: Option<Arc<CachedQueue>>,
    /// When it was known to be the newest version.
    pub fresh_at: Timestamp,
    /// Where it came from.
    pub provenance: Provenance,
    /// Whether the due index says the right thing about it.
    pub due_entry: DueEntry,
}

/// Where a queue came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// A cached copy. It may be stale.
    Cache,
    /// A cached copy that this invocation added progress to. It may be stale.
    CacheWithProgress,
    /// The table: this invocation has read or committed it. The caches do not have it yet.
    Table,
}

/// What the due index says about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueEntry {
    /// When the queue is due next, or nothing.
    Accurate,
    /// That something is due by now, although nothing is: the records of the last commit were not
    /// written when it was committed.
    Stale,
}

impl LoadedQueue {
    /// A copy from a cache.
    pub fn from_cache(copy: CachedCopy) -> Self {
        Self {
            queue: Some(copy.cached),
            fresh_at: copy.since,
            provenance: Provenance::Cache,
            due_entry: DueEntry::Accurate,
        }
    }

    /// What the table had at `now`.
    pub fn from_table(queue: Option<CachedQueue>, now: Timestamp, due_entry: DueEntry) -> Self {
        Self { queue: queue.map(Arc::new), fresh_at: now, provenance: Provenance::Table, due_entry }
    }

    /// The version; 0 where there is no queue.
    pub fn version(&self) -> u64 {
        self.queue.as_ref().map_or(0, |cached| cached.queue.version)
    }

    /// Whether the queue has progress between milestones that is not known.
    pub fn lacks_progress(&self) -> bool {
        self.queue.as_ref().is_some_and(|cached| !cached.progress_known && cached.queue.has_partial_progress())
    }

    /// Whether an attempt would fail by `now` for a lost heartbeat, unless the progress row has a
    /// later report. The progress that a cached copy knows may be older than that row.
    pub fn needs_last_reports(&self, now: Timestamp) -> bool {
        self.queue.as_ref().is_some_and(|cached| cached.queue.needs_progress_to_advance(now))
    }

    /// The queue as the caches keep it; none where there is no queue.
    pub fn copy(&self) -> Option<CachedCopy> {
        let cached = Arc::clone(self.queue.as_ref()?);
        Some(CachedCopy { cached, since: self.fresh_at })
    }

    /// The same with the progress of a progress row; none where there is no such row.
    #[must_use]
    pub fn with_progress(self, progress: Option<&ProgressRecord>) -> Self {
        let queue = self.queue.map(|cached| {
            let mut cached = Arc::unwrap_or_clone(cached);
            if let Some(progress) = progress {
                cached.queue.merge_progress(progress);
            }
            cached.progress_known = true;
            Arc::new(cached)
        });
        Self { queue, ..self }
    }
}
