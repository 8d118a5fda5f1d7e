//! Performance: what the invocations of this process contribute to the history of all processes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use millrace_cache::{SharedCacheState, Tier};
use millrace_domain::Timestamp;
use millrace_performance::{Counter, Figures, HistoryStore, Kind, Measurement, Minute};
use millrace_telemetry::Usage;

use crate::{clock::Clock, report::Report};

/// What the invocations of this process contribute to the history of all processes, by the minute
/// in which each ends.
pub struct Performance {
    history: Arc<dyn HistoryStore>,
    clock: Arc<dyn Clock>,
    memory_mib: Option<u64>,
    last: Mutex<Option<Report>>,
}

/// What one read of a queue took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReadReport {
    /// From its beginning to its end.
    pub processing_time: Duration,
    /// The cache that had the queue; none: it came from the table.
    pub found: Option<Tier>,
    /// Cache lookups.
    pub lookups: u64,
    /// Errors of the shared cache.
    pub cache_errors: u64,
    /// Round trips to the store.
    pub calls: u64,
}

impl ReadReport {
    /// Hits per lookup, 0 to 1; none where nothing was looked up.
    pub fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then_some(if self.found.is_some() { 1.0 } else { 0.0 })
    }
}

impl Performance {
    /// Contributes to this history. `memory_mib` is the memory of the function; none outside of
    /// Lambda.
    pub fn new(history: Arc<dyn HistoryStore>, clock: Arc<dyn Clock>, memory_mib: Option<u64>) -> Self {
        Self { history, clock, memory_mib, last: Mutex::default() }
    }

    /// The history.
    pub fn history(&self) -> &Arc<dyn HistoryStore> {
        &self.history
    }

    /// Adds an invocation with a report.
    pub fn add_report(&self, kind: Kind, report: &Report) {
        let mut figures = Figures::default();
        figures.measure(kind.times(), micros(Duration::from_secs_f64(report.processing_time_ms / 1000.0)));
        figures.measure_all(Measurement::LatenessMs, &report.lateness_values);
        if let Some(bytes) = report.memory.resident_bytes {
            figures.measure(Measurement::MemoryKib, bytes / 1024);
            if let Some(mib) = self.memory_mib.filter(|mib| *mib > 0) {
                figures.measure(Measurement::MemoryShare, bytes * 1000 / (mib << 20));
            }
        }
        let is_unavailable = report.cache.redis.state == SharedCacheState::Down;
        for (counter, amount) in [
            (Counter::ColdStarts, u64::from(report.cold_start)),
            (Counter::Received, report.commands.received),
            (Counter::Applied, report.commands.applied),
            (Counter::Duplicate, report.commands.duplicate),
            (Counter::Rejected, report.commands.rejected),
            (Counter::Failed, report.commands.failed),
            (Counter::Malformed, report.commands.malformed),
            (Counter::Lookups, report.cache.lookups),
            (Counter::LocalHits, report.cache.local.hits),
            (Counter::RedisHits, report.cache.redis.hits),
            (Counter::RedisErrors, report.cache.redis.errors),
            (Counter::RedisUnavailable, u64::from(is_unavailable)),
            (Counter::LoadCalls, report.loads.calls),
            (Counter::Committed, report.commits.committed),
            (Counter::Conflicts, report.commits.conflicts),
            (Counter::CommitCalls, report.commits.calls),
            (Counter::Records, report.writes.items),
            (Counter::WriteCalls, report.writes.calls),
            (Counter::RecordsRetried, report.writes.retried_items),
            (Counter::RoundTripsSaved, report.writes.round_trips_saved),
            (Counter::EventsPublished, report.events.published),
            (Counter::EventsFailed, report.events.failed),
            (Counter::EventCalls, report.events.calls),
            (Counter::AttemptsTimedOut, report.attempts_timed_out),
            (Counter::CostNanodollars, report.cost.usage.nanodollars()),
        ] {
            figures.add(counter, amount);
        }
        self.add(&figures);
    }

    /// Adds a read of a queue.
    pub fn add_read(&self, report: &ReadReport) {
        let mut figures = Figures::default();
        figures.measure(Measurement::ReadTimes, micros(report.processing_time));
        for (counter, amount) in [
            (Counter::Reads, 1),
            (Counter::Lookups, report.lookups),
            (Counter::LocalHits, u64::from(report.found == Some(Tier::Local))),
            (Counter::RedisHits, u64::from(report.found == Some(Tier::Redis))),
            (Counter::RedisErrors, report.cache_errors),
            (Counter::LoadCalls, report.calls),
        ] {
            figures.add(counter, amount);
        }
        self.add(&figures);
    }

    /// Adds the cost of an invocation without a report.
    pub fn add_cost(&self, usage: &Usage) {
        let mut figures = Figures::default();
        figures.add(Counter::CostNanodollars, usage.nanodollars());
        self.add(&figures);
    }

    /// Adds an HTTP request that is answered with this status.
    pub fn add_request(&self, status: u16) {
        let mut figures = Figures::default();
        figures.add(Counter::Requests, 1);
        match status {
            400..500 => figures.add(Counter::RequestsRefused, 1),
            500.. => figures.add(Counter::RequestsFailed, 1),
            _ => {}
        }
        self.add(&figures);
    }

    fn add(&self, figures: &Figures) {
        self.history.add(self.present(), figures);
    }

    fn present(&self) -> Minute {
        Minute::of(self.now())
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Remembers the report of the last invocation with commands.
    pub fn remember(&self, report: &Report) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
    }

    /// The report of the last invocation with commands that was remembered.
    pub fn last(&self) -> Option<Report> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
