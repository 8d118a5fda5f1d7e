//! The platform: what all invocations of a process share.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_cache::Tiers;
use millrace_domain::Timestamp;
use millrace_store::{BatchWriter, Store, StoreUnits};

use crate::{
    applied::ApplyFn, event_destination::Publishing, performance::Performance, process_reports::ProcessReports,
    report::Report, settings::PipelineSettings,
};

/// Tells the time. Production uses the clock of the system; tests and simulations move their own.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

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
    /// What the invocations of this process took.
    pub performance: Performance,
    process_reports: ProcessReports,
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
            clock: parts.clock,
            resident_bytes: parts.resident_bytes,
            settings: parts.settings,
            performance: Performance::default(),
            process_reports: ProcessReports::default(),
            counted_units: Mutex::default(),
            apply: parts.apply,
        }
    }

    /// Adds a report to what the other processes learn of this one through the shared cache.
    pub fn share_report(&self, report: &Report) {
        self.process_reports.share(&self.cache, &self.settings, report, self.clock.now());
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
