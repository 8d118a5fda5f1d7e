//! The tier inside the process: bounded by entries and bytes, fresh for a short time.
//!
//! Freshness is measured on the server's wall clock, which comes in as a value: a sandbox that was
//! frozen for an hour wakes up with a monotonic clock that may have stood still, and its copies must
//! count as old all the same.

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
    statistics::{Counter, LatencyRecorder, LocalFigures, LocalStatistics},
};

/// For how long it is known which version of a queue was seen last, in milliseconds. No copy in Redis lags behind for
/// so long unless it was set to live for longer; what is older than what was seen an hour ago comes from a table
/// that was restored, and then it is right.
const STAMP_MS: u64 = 3_600_000;

/// The bounds of a local tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSettings {
    /// Most queues, at least 1.
    pub max_entries: u64,
    /// Most bytes, about.
    pub max_bytes: u64,
    /// How long a copy is taken for good, in milliseconds. What decides is checked by the table anyway.
    pub freshness_ms: u64,
    /// The same for those who only read, in emergency mode.
    pub emergency_freshness_ms: u64,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 32 << 20, freshness_ms: 1_000, emergency_freshness_ms: 60_000 }
    }
}

/// What a local tier holds and has done since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Queues held.
    pub entries: u64,
    /// Bytes held, about.
    pub bytes: u64,
    /// Lookups answered.
    pub hits: u64,
    /// Lookups not answered: nothing held, or held for too long.
    pub misses: u64,
    /// Copies put.
    pub sets: u64,
    /// Copies dropped to stay within the bounds.
    pub evictions: u64,
}

/// A copy of a queue.
#[derive(Debug, Clone)]
pub struct CachedCopy {
    /// The copy.
    pub cached: Arc<CachedQueue>,
    /// When it was known to be the newest.
    pub since: Timestamp,
}

/// The tier inside the process. Clones share one content.
#[derive(Debug, Clone)]
pub struct LocalTier {
    entries: Cache<PlayerId, Arc<Entry>, RandomState>,
    settings: LocalSettings,
    counters: Arc<Counters>,
}

/// What is held for one player. The copy lies behind a lock of its own, so that a new version of about
/// the same size takes its place without touching the cache's structure.
#[derive(Debug)]
struct Entry {
    slot: Mutex<Slot>,
    /// What the entry is accounted with, in bytes: the footprint of the largest copy that it has held,
    /// rounded up; never more than twice that of the one that it held last.
    bytes: u32,
}

#[derive(Debug)]
struct Slot {
    /// How new the copy is that was held last.
    stamp: Stamp,
    kind: DataKind,
    since: Timestamp,
    /// None while somebody has taken the copy, or once it was found too old.
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
    /// Whether it is still known how new the last copy was. A clock that went back counts as one that went on.
    fn is_known(&self, now: Timestamp) -> bool {
        now.as_millis().abs_diff(self.since.as_millis()) <= STAMP_MS
    }

    /// Whether what was seen last is newer than what is now to be put.
    fn is_newer(&self, version: u64, now: Timestamp) -> bool {
        self.stamp.version() > version && self.is_known(now)
    }
}

#[derive(Debug, Default)]
struct Counters {
    kinds: PerKind<KindCounters>,
    lookups: LatencyRecorder,
}

#[derive(Debug, Default)]
struct KindCounters {
    hits: Counter,
    misses: Counter,
    sets: Counter,
    evictions: Counter,
    bytes: Counter,
}

impl LocalTier {
    /// An empty tier within `settings`.
    pub fn new(settings: LocalSettings) -> Self {
        let counters = Arc::new(Counters::default());
        let removed = Arc::clone(&counters);
        // One capacity bounds both: an entry weighs its bytes, and at least its share of all bytes
        // among the most entries allowed.
        let share = settings.max_bytes.div_ceil(settings.max_entries.max(1)).max(1);
        let entries = Cache::builder()
            .max_capacity(settings.max_bytes.max(1))
            .weigher(move |_: &PlayerId, entry: &Arc<Entry>| {
                u64::from(entry.bytes).max(share).try_into().unwrap_or(u32::MAX)
            })
            .eviction_listener(move |_, entry: Arc<Entry>, cause| {
                let counters = &removed.kinds[entry.slot().kind];
                counters.bytes.sub(u64::from(entry.bytes));
                if cause == RemovalCause::Size {
                    counters.evictions.add(1);
                }
            })
            .build_with_hasher(RandomState::default());
        Self { entries, settings, counters }
    }

    /// The copy of a player's queue, unless there is none or it is older than is fresh.
    pub fn get(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        self.look(player, now, self.settings.freshness_ms, |slot| slot.cached.clone())
    }

    /// The same in emergency mode, where older copies are taken for good.
    pub fn get_in_emergency(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        let freshness = self.settings.freshness_ms.max(self.settings.emergency_freshness_ms);
        self.look(player, now, freshness, |slot| slot.cached.clone())
    }

    /// The same, out of the cache: whoever changes the queue need not copy it, and puts it back, changed
    /// or not. Until then others miss it.
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
        let held = self.entries.get(player).and_then(|entry| {
            let mut slot = entry.slot();
            // A copy from the future is one whose clock went back since: as old as can be.
            let fresh = slot.since <= now && now.millis_since(slot.since) <= freshness_ms;
            if !fresh {
                // A newer one is about to be read: its memory can be that of the old one.
                slot.cached = None;
            }
            let cached = copy(&mut slot);
            cached.map(|cached| (CachedCopy { cached, since: slot.since }, slot.kind))
        });
        match held {
            Some((held, kind)) => {
                self.counters.kinds[kind].hits.add(1);
                Some(held)
            }
            None => {
                self.counters.kinds[DataKind::Queue].misses.add(1);
                None
            }
        }
    }

    /// Whether a newer copy than `found` has been seen here in the last hour, even if it is not fresh any more.
    pub fn knows_newer(&self, found: &CachedQueue, now: Timestamp) -> bool {
        self.entries.get(&found.queue.player_id).is_some_and(|entry| {
            let slot = entry.slot();
            slot.stamp > Stamp::of(found) && slot.is_known(now)
        })
    }

    /// Puts a copy, unless a newer version was seen in the hour before it. A copy of the same version replaces: between
    /// milestones progress changes without a new version.
    pub fn put(&self, held: CachedCopy) {
        let bytes = u32::try_from(footprint(&held.cached)).unwrap_or(u32::MAX);
        let queue = &held.cached.queue;
        let (player, version, since) = (queue.player_id.clone(), queue.version, held.since);
        let kind = DataKind::of(&held.cached);
        let new = Slot { stamp: Stamp::of(&held.cached), kind, since: held.since, cached: Some(held.cached) };
        let counters = &self.counters.kinds[kind];
        // A queue that loses a task and gains one keeps its place, and what it was accounted with.
        let fits = |entry: &Arc<Entry>| bytes <= entry.bytes && entry.bytes / 2 <= bytes;
        if let Some(entry) = self.entries.get(&player).filter(fits) {
            let mut slot = entry.slot();
            if !slot.is_newer(version, since) {
                if slot.kind != kind {
                    self.counters.kinds[slot.kind].bytes.sub(u64::from(entry.bytes));
                    counters.bytes.add(u64::from(entry.bytes));
                }
                *slot = new;
                counters.sets.add(1);
            }
            return;
        }
        // Compared and put under the key's lock: of two that race, the newer version stays.
        self.entries.entry(player).and_compute_with(|held| match held {
            Some(held) if held.value().slot().is_newer(version, since) => Op::Nop,
            _ => {
                counters.sets.add(1);
                counters.bytes.add(u64::from(bytes));
                Op::Put(Arc::new(Entry { slot: Mutex::new(new), bytes }))
            }
        });
    }

    /// Forgets a player's queue.
    pub fn forget(&self, player: &PlayerId) {
        self.entries.invalidate(player);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    /// Halves the content, oldest copies first; returns how many were dropped. For a process whose
    /// memory has passed its threshold.
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
            self.counters.kinds[entry.slot().kind].evictions.add(1);
            dropped += 1;
        }
        self.entries.run_pending_tasks();
        dropped
    }

    /// What is held and has been done.
    pub fn usage(&self) -> Usage {
        self.entries.run_pending_tasks();
        let sum = |counter: fn(&KindCounters) -> &Counter| {
            DataKind::ALL.iter().map(|kind| counter(&self.counters.kinds[*kind]).get()).sum()
        };
        Usage {
            entries: self.entries.entry_count(),
            bytes: sum(|counters| &counters.bytes),
            hits: sum(|counters| &counters.hits),
            misses: sum(|counters| &counters.misses),
            sets: sum(|counters| &counters.sets),
            evictions: sum(|counters| &counters.evictions),
        }
    }

    /// The same by kind of data, and how long lookups took.
    pub fn statistics(&self) -> LocalStatistics {
        let Usage { entries, bytes, .. } = self.usage();
        let kinds = self.counters.kinds.map(|counters| LocalFigures {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            sets: counters.sets.get(),
            evictions: counters.evictions.get(),
            bytes: counters.bytes.get(),
        });
        LocalStatistics { entries, bytes, kinds, lookups: self.counters.lookups.latency() }
    }

    /// Records how long the lookups of one batch have taken.
    pub(crate) fn record_lookups(&self, since: Instant) {
        self.counters.lookups.record(since.elapsed());
    }
}

/// About how many bytes of memory a copy takes, its key and the cache's own bookkeeping included. A
/// task's ids and up to two costs and rewards lie in the task itself.
fn footprint(cached: &CachedQueue) -> usize {
    const BOOKKEEPING: usize = 250;
    const ENTRY: usize = 32;
    const STEP: usize = 1024;
    let queue = &cached.queue;
    let lists: usize =
        queue.tasks.iter().map(|task| task.open_prerequisites.len() + task.costs.len() + task.rewards.len()).sum();
    let bytes = BOOKKEEPING
        + size_of::<Queue>()
        + queue.tasks.capacity() * size_of::<Task>()
        + (lists + queue.balances.len() + queue.totals.rewards.len()) * ENTRY
        + queue.finished_tasks.allocated_bytes()
        + queue.command_memory.allocated_bytes();
    bytes.next_multiple_of(STEP)
}

#[cfg(test)]
mod tests;
