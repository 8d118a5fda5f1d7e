//! The cache inside the process: bounded by entries and bytes, fresh for a short time.
//!
//! The caller passes the time of the wall clock, by which freshness is measured. The monotonic
//! clock of a frozen sandbox may stand still, and its copies must be stale after the thaw.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use foldhash::fast::RandomState;
use millrace_domain::{PlayerId, Queue, Task, Timestamp, codec::CachedQueue};
use moka::{notification::RemovalCause, ops::compute::Op, sync::Cache};

use crate::{
    kind::{DataKind, PerKind},
    stamp::Stamp,
    statistics::{LatencyRecorder, LocalFigures, LocalStatistics},
};

/// How long the last seen version of a queue is remembered, in milliseconds. Copies in the shared
/// cache lag behind for a shorter time. A version that is older than the one seen an hour ago comes
/// from a table that was restored, and then it is right.
const STAMP_MS: u64 = 3_600_000;

/// The bounds of a local cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSettings {
    /// The maximum number of queues, at least 1.
    pub max_entries: u64,
    /// The maximum number of bytes, approximately.
    pub max_bytes: u64,
    /// How long a copy is fresh, in milliseconds.
    pub freshness_ms: u64,
    /// How long a copy is fresh for reads in emergency mode, in milliseconds.
    pub emergency_freshness_ms: u64,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 32 << 20, freshness_ms: 1_000, emergency_freshness_ms: 60_000 }
    }
}

/// A copy of a queue.
#[derive(Debug, Clone)]
pub struct CachedCopy {
    /// The copy.
    pub cached: Arc<CachedQueue>,
    /// When it was known to be the newest version.
    pub since: Timestamp,
}

/// The cache inside the process. Clones share its contents.
#[derive(Debug, Clone)]
pub struct LocalCache {
    entries: Cache<PlayerId, Arc<Entry>, RandomState>,
    settings: LocalSettings,
    counters: Arc<Counters>,
}

/// The entry of one player. A lock protects the copy, so that a new version of about the same size
/// replaces it without changing the cache's structure.
#[derive(Debug)]
struct Entry {
    slot: Mutex<Slot>,
    /// The bytes that count for the entry: the footprint of the largest copy it has had, rounded
    /// up, and at most twice that of its last copy.
    bytes: u32,
}

#[derive(Debug)]
struct Slot {
    /// The stamp of the last copy.
    stamp: Stamp,
    kind: DataKind,
    since: Timestamp,
    /// None while a caller has taken the copy, and after it was found stale.
    cached: Option<Arc<CachedQueue>>,
}

impl Entry {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self) -> Timestamp {
        self.slot().since
    }
}

impl Slot {
    fn new(cached: Arc<CachedQueue>, since: Timestamp) -> Self {
        Self { stamp: Stamp::of(&cached), kind: DataKind::of(&cached), since, cached: Some(cached) }
    }

    /// Whether the stamp is still remembered. A clock that went back counts like one that went on.
    fn stamp_is_valid(&self, now: Timestamp) -> bool {
        now.as_millis().abs_diff(self.since.as_millis()) <= STAMP_MS
    }

    /// Whether the last copy was newer than this version.
    fn is_newer(&self, version: u64, now: Timestamp) -> bool {
        self.stamp.version() > version && self.stamp_is_valid(now)
    }
}

#[derive(Debug, Default)]
struct Counters {
    /// Locked after the slot of an entry where both locks are held.
    kinds: Mutex<PerKind<LocalFigures>>,
    lookups: LatencyRecorder,
}

impl Counters {
    fn kinds(&self) -> MutexGuard<'_, PerKind<LocalFigures>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalFigures {
    /// Saturates: an entry may be evicted at the moment in which its copy is replaced.
    fn remove_bytes(&mut self, bytes: u32) {
        self.bytes = self.bytes.saturating_sub(u64::from(bytes));
    }
}

impl LocalCache {
    /// An empty cache.
    pub fn new(settings: LocalSettings) -> Self {
        let counters = Arc::new(Counters::default());
        let removed = Arc::clone(&counters);
        // One capacity bounds both entries and bytes: an entry weighs its bytes, and at least the
        // bytes of an average entry of a full cache.
        let share = settings.max_bytes.div_ceil(settings.max_entries.max(1)).max(1);
        let entries = Cache::builder()
            .max_capacity(settings.max_bytes.max(1))
            .weigher(move |_: &PlayerId, entry: &Arc<Entry>| {
                u64::from(entry.bytes).max(share).try_into().unwrap_or(u32::MAX)
            })
            .eviction_listener(move |_, entry: Arc<Entry>, cause| {
                let kind = entry.slot().kind;
                let figures = &mut removed.kinds()[kind];
                figures.remove_bytes(entry.bytes);
                figures.evictions += u64::from(cause == RemovalCause::Size);
            })
            .build_with_hasher(RandomState::default());
        Self { entries, settings, counters }
    }

    /// The copy of a player's queue if there is a fresh one.
    pub fn get(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        self.look(player, now, self.settings.freshness_ms, |slot| slot.cached.clone())
    }

    /// The copy of a player's queue if there is one that is fresh enough for emergency mode.
    pub fn get_in_emergency(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        let freshness = self.settings.freshness_ms.max(self.settings.emergency_freshness_ms);
        self.look(player, now, freshness, |slot| slot.cached.clone())
    }

    /// Takes a fresh copy out of the cache, so that the caller can change it without cloning. The
    /// caller puts it back, changed or not; until then other lookups miss.
    pub fn take(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        self.look(player, now, self.settings.freshness_ms, |slot| slot.cached.take())
    }

    fn look(
        &self,
        player: &PlayerId,
        now: Timestamp,
        freshness_ms: u64,
        copy: impl Fn(&mut Slot) -> Option<Arc<CachedQueue>>,
    ) -> Option<CachedCopy> {
        let found = self.entries.get(player).and_then(|entry| {
            let mut slot = entry.slot();
            // The clock went back since a copy from the future was put: its age is unknown.
            let fresh = slot.since <= now && now.millis_since(slot.since) <= freshness_ms;
            if !fresh {
                // A newer copy is about to be read and may use this memory.
                slot.cached = None;
            }
            let cached = copy(&mut slot);
            cached.map(|cached| (CachedCopy { cached, since: slot.since }, slot.kind))
        });
        let mut kinds = self.counters.kinds();
        match found {
            Some((copy, kind)) => {
                kinds[kind].hits += 1;
                Some(copy)
            }
            None => {
                kinds[DataKind::Queue].misses += 1;
                None
            }
        }
    }

    /// Whether this cache has seen a newer copy than `found` in the last hour, even if that is
    /// stale.
    pub fn knows_newer(&self, found: &CachedQueue, now: Timestamp) -> bool {
        self.entries.get(&found.queue.player_id).is_some_and(|entry| {
            let slot = entry.slot();
            slot.stamp > Stamp::of(found) && slot.stamp_is_valid(now)
        })
    }

    /// Puts a copy unless a newer version was seen in the hour before. A copy of the same version
    /// replaces the old one: between milestones progress changes without a new version.
    pub fn put(&self, CachedCopy { cached, since }: CachedCopy) {
        let bytes = u32::try_from(footprint(&cached)).unwrap_or(u32::MAX);
        let version = cached.queue.version;
        // A queue that loses a task and gains one keeps its entry and its counted bytes.
        let fits = |entry: &Arc<Entry>| bytes <= entry.bytes && entry.bytes / 2 <= bytes;
        if let Some(entry) = self.entries.get(&cached.queue.player_id).filter(fits) {
            let mut slot = entry.slot();
            if !slot.is_newer(version, since) {
                let new = Slot::new(cached, since);
                let mut kinds = self.counters.kinds();
                if slot.kind != new.kind {
                    kinds[slot.kind].remove_bytes(entry.bytes);
                    kinds[new.kind].bytes += u64::from(entry.bytes);
                }
                kinds[new.kind].sets += 1;
                *slot = new;
            }
            return;
        }
        let player = cached.queue.player_id.clone();
        let new = Slot::new(cached, since);
        // The comparison and the put hold the lock of the key: of two that race, the newer one
        // stays.
        self.entries.entry(player).and_compute_with(|current| match current {
            Some(current) if current.value().slot().is_newer(version, since) => Op::Nop,
            _ => {
                let figures = &mut self.counters.kinds()[new.kind];
                figures.sets += 1;
                figures.bytes += u64::from(bytes);
                Op::Put(Arc::new(Entry { slot: Mutex::new(new), bytes }))
            }
        });
    }

    /// Removes the copy of a player's queue.
    pub fn forget(&self, player: &PlayerId) {
        self.entries.invalidate(player);
    }

    /// Removes all copies.
    pub fn clear(&self) {
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    /// Drops the older half of the copies and returns how many that were. For a process whose
    /// memory exceeds its threshold.
    pub fn shrink(&self) -> u64 {
        self.entries.run_pending_tasks();
        let mut entries: Vec<_> = self.entries.iter().map(|(player, entry)| (entry.since(), entry, player)).collect();
        entries.sort_by_key(|(since, ..)| *since);
        let mut excess = entries.iter().map(|(_, entry, _)| u64::from(entry.bytes)).sum::<u64>() / 2;
        let mut dropped = 0;
        for (_, entry, player) in entries {
            if excess == 0 {
                break;
            }
            self.entries.invalidate(&*player);
            excess = excess.saturating_sub(u64::from(entry.bytes));
            let kind = entry.slot().kind;
            self.counters.kinds()[kind].evictions += 1;
            dropped += 1;
        }
        self.entries.run_pending_tasks();
        dropped
    }

    /// The content of the cache, and its counters since the start of the process.
    pub fn statistics(&self) -> LocalStatistics {
        self.entries.run_pending_tasks();
        let kinds = *self.counters.kinds();
        LocalStatistics {
            entries: self.entries.entry_count(),
            bytes: DataKind::ALL.iter().map(|kind| kinds[*kind].bytes).sum(),
            kinds,
            lookups: self.counters.lookups.latency(),
        }
    }

    /// Records how long the lookups of one batch took.
    pub(crate) fn record_lookups(&self, since: Instant) {
        self.counters.lookups.record(since.elapsed());
    }
}

/// The approximate bytes of memory of a copy, with its key and the bookkeeping of the cache. A
/// task's ids and up to two costs and rewards are stored in the task itself.
fn footprint(cached: &CachedQueue) -> usize {
    const BOOKKEEPING: usize = 250;
    const ENTRY: usize = 32;
    const STEP: usize = 1024;
    let queue = &cached.queue;
    let lists: usize =
        queue.tasks.iter().map(|task| task.open_prerequisites.len() + task.costs.len() + task.rewards.len()).sum();
    let task_bytes: usize = queue.tasks.iter().map(Task::allocated_bytes).sum();
    let bytes = BOOKKEEPING
        + size_of::<Queue>()
        + queue.tasks.capacity() * size_of::<Task>()
        + task_bytes
        + (lists + queue.balances.len() + queue.totals.rewards.len()) * ENTRY
        + queue.finished_tasks.allocated_bytes()
        + queue.command_memory.allocated_bytes();
    bytes.next_multiple_of(STEP)
}

#[cfg(test)]
mod tests;
