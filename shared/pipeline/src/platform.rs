//! The platform: what all invocations of a process share.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_cache::Tiers;
use millrace_performance::{HistoryStore, Kind};
use millrace_store::{BatchWriter, Store, StoreUnits};

use crate::{
    applied::ApplyFn, clock::Clock, event_destination::Publishing, performance::Performance, report::Report,
    settings::PipelineSettings,
};

/// What a platform is made of.
pub struct PlatformParts {
    /// Queues and records.
    pub store: Arc<dyn Store>,
    /// Writes records in batches.
    pub batch_writer: BatchWriter,
    /// The local and the shared cache.
    pub cache: Tiers,
    /// Where events are published; none: there are no events.
    pub publishing: Option<Publishing>,
    /// Keeps what the functions did in each minute of the last day.
    pub history: Arc<dyn HistoryStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Reads the resident memory of the process, in bytes; none where the system does not tell.
    pub resident_bytes: fn() -> Option<u64>,
    /// How items are applied: [`apply_items`](crate::steps::apply::apply_items), unless a test
    /// injects faults.
    pub apply: ApplyFn,
    /// The settings.
    pub settings: PipelineSettings,
}

/// What all invocations of a process share: the store, the caches, the clock and the settings.
pub struct Platform {
    /// Queues and records.
    pub store: Arc<dyn Store>,
    /// Writes records in batches.
    pub batch_writer: BatchWriter,
    /// The local and the shared cache.
    pub cache: Tiers,
    /// Where events are published; none: there are no events.
    pub publishing: Option<Publishing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Reads the resident memory of the process, in bytes; none where the system does not tell.
    pub resident_bytes: fn() -> Option<u64>,
    /// The settings.
    pub settings: PipelineSettings,
    /// What the functions did, and what this process contributes to it.
    pub performance: Performance,
    /// What the store had counted when the last invocation ended.
    counted_units: Mutex<StoreUnits>,
    pub(crate) apply: ApplyFn,
    random: Mutex<fastrand::Rng>,
}

impl Platform {
    /// A platform of these parts.
    pub fn new(parts: PlatformParts) -> Self {
        Self {
            random: Mutex::new(fastrand::Rng::with_seed(parts.settings.seed)),
            store: parts.store,
            batch_writer: parts.batch_writer,
            cache: parts.cache,
            publishing: parts.publishing,
            performance: Performance::new(parts.history, Arc::clone(&parts.clock), parts.settings.memory_mib),
            clock: parts.clock,
            resident_bytes: parts.resident_bytes,
            settings: parts.settings,
            counted_units: Mutex::default(),
            apply: parts.apply,
        }
    }

    /// Adds a report to the performance history.
    pub fn share_report(&self, kind: Kind, report: &Report) {
        self.performance.add_report(kind, report);
    }

    /// What the store has counted since the last call of this function.
    ///
    /// Concurrent invocations share the count: each unit is in the record of one of them.
    pub fn take_units(&self) -> StoreUnits {
        let mut counted = self.counted_units.lock().unwrap_or_else(PoisonError::into_inner);
        let units = self.store.units();
        let before = std::mem::replace(&mut *counted, units);
        StoreUnits {
            calls: units.calls.saturating_sub(before.calls),
            half_reads: units.half_reads.saturating_sub(before.half_reads),
            writes: units.writes.saturating_sub(before.writes),
        }
    }

    /// Whether the events table gets the events of commits.
    pub fn keeps_events(&self) -> bool {
        self.publishing.as_ref().is_some_and(|publishing| publishing.table)
    }

    /// A random number from 0 to 1.
    pub fn random(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}
