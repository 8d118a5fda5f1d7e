//! Performance: what the last invocations of this process took.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use millrace_cache::Tier;
use serde::Serialize;

use crate::{
    counters::{millis, thousandths},
    report::{CommandCounts, Report},
    totals::Totals,
};

/// A window is full after so many invocations. The figures cover the window before and the present
/// one.
pub const WINDOW: u64 = 512;

/// Significant digits of a percentile: it is at most 1 % off.
const SIGNIFICANT_DIGITS: u8 = 2;
/// The longest processing time in microseconds: Lambda allows 15 minutes.
const HIGHEST_MICROS: u64 = 900_000_000;

/// What the last invocations of this process took.
#[derive(Debug, Default)]
pub struct Performance {
    commands: Mutex<Recorder>,
    reads: Mutex<Recorder>,
    last: Mutex<Option<Report>>,
}

/// What one read of a queue took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReadReport {
    /// From its beginning to its end.
    pub processing_time: std::time::Duration,
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

/// Some invocations that followed each other.
#[derive(Debug, Clone, Default)]
struct Window {
    invocations: u64,
    totals: Totals,
    /// Processing times in microseconds; made with the first invocation.
    times: Option<Histogram<u32>>,
}

/// The present window, the one before, and how many invocations there were before both.
#[derive(Debug, Default)]
struct Recorder {
    total: u64,
    present: Window,
    before: Window,
}

impl Window {
    fn add(&mut self, millis: f64, totals: Totals) {
        self.invocations += 1;
        self.totals += totals;
        if self.times.is_none() {
            self.times = Histogram::new_with_bounds(1, HIGHEST_MICROS, SIGNIFICANT_DIGITS).ok();
        }
        if let Some(times) = &mut self.times {
            times.saturating_record((millis * 1000.0).round() as u64);
        }
    }
}

impl Recorder {
    fn add(&mut self, millis: f64, totals: Totals) {
        if self.present.invocations == WINDOW {
            self.before = std::mem::take(&mut self.present);
        }
        self.total += 1;
        self.present.add(millis, totals);
    }

    /// Both windows together.
    fn recent(&self) -> Window {
        let mut recent = self.before.clone();
        recent.invocations += self.present.invocations;
        recent.totals += self.present.totals;
        recent.times = match (recent.times, &self.present.times) {
            (Some(mut times), Some(present)) => times.add(present).is_ok().then_some(times),
            (None, present) => present.clone(),
            (times, None) => times,
        };
        recent
    }

    fn summary(&self) -> Summary {
        let Window { invocations, totals, times } = self.recent();
        let hits = totals.local_hits + totals.redis_hits;
        Summary {
            ever: self.total,
            recent: invocations,
            processing_time_ms: times.as_ref().map(Times::of),
            cache: CacheSummary {
                lookups: totals.lookups,
                hits,
                hit_rate: (totals.lookups > 0).then(|| thousandths(hits as f64 / totals.lookups as f64)),
                local: totals.local_hits,
                redis: totals.redis_hits,
                errors: totals.redis_errors,
            },
            loads: totals.load_calls,
        }
    }
}

/// Invocations of one kind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many there were since the start of the process.
    pub ever: u64,
    /// How many of them, the last ones, the other figures cover.
    pub recent: u64,
    /// How long they took; null where there were none.
    pub processing_time_ms: Option<Times>,
    /// Their cache lookups.
    pub cache: CacheSummary,
    /// Their round trips to read rows.
    pub loads: u64,
}

/// Invocations with commands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandSummary {
    /// What all kinds of invocations have in common.
    #[serde(flatten)]
    pub summary: Summary,
    /// The commands by outcome.
    pub commands: CommandCounts,
    /// Queues committed.
    pub commits: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Rows written.
    pub writes: u64,
    /// Round trips to write them.
    pub write_calls: u64,
    /// How many more round trips one write for each row would have taken.
    pub round_trips_saved: u64,
}

/// Processing times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// The mean.
    pub mean: f64,
    /// Half of the invocations took no longer.
    pub p50: f64,
    /// 90 of 100 took no longer.
    pub p90: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    fn of(micros: &Histogram<u32>) -> Self {
        let millis = |micros: u64| thousandths(micros as f64 / 1000.0);
        let max = micros.max();
        let percentile = |quantile| millis(micros.value_at_quantile(quantile).min(max));
        Self {
            mean: thousandths(micros.mean() / 1000.0),
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            max: millis(max),
        }
    }
}

/// Cache lookups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheSummary {
    /// All lookups.
    pub lookups: u64,
    /// Queues found in a cache.
    pub hits: u64,
    /// Hits per lookup, 0 to 1; null where nothing was looked up.
    pub hit_rate: Option<f64>,
    /// Queues found in the local cache.
    pub local: u64,
    /// Queues found in the shared cache.
    pub redis: u64,
    /// Errors of the shared cache.
    pub errors: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Performance {
    /// Adds an invocation with commands.
    pub fn add_commands(&self, report: &Report) {
        lock(&self.commands).add(report.processing_time_ms, report.into());
        *lock(&self.last) = Some(report.clone());
    }

    /// Adds a read of a queue.
    pub fn add_read(&self, report: &ReadReport) {
        let totals = Totals {
            lookups: report.lookups,
            local_hits: u64::from(report.found == Some(Tier::Local)),
            redis_hits: u64::from(report.found == Some(Tier::Redis)),
            redis_errors: report.cache_errors,
            load_calls: report.calls,
            ..Totals::default()
        };
        lock(&self.reads).add(millis(report.processing_time), totals);
    }

    /// The invocations with commands.
    pub fn commands(&self) -> CommandSummary {
        let recorder = lock(&self.commands);
        let totals = recorder.recent().totals;
        CommandSummary {
            summary: recorder.summary(),
            commands: totals.commands,
            commits: totals.committed,
            conflicts: totals.conflicts,
            writes: totals.items,
            write_calls: totals.write_calls,
            round_trips_saved: totals.round_trips_saved,
        }
    }

    /// The reads of queues.
    pub fn reads(&self) -> Summary {
        lock(&self.reads).summary()
    }

    /// The report of the last invocation with commands.
    pub fn last(&self) -> Option<Report> {
        lock(&self.last).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(count: u64) -> Recorder {
        let mut recorder = Recorder::default();
        for at in 1..=count {
            let totals = Totals { lookups: 1, local_hits: u64::from(at % 4 == 0), ..Totals::default() };
            recorder.add(at as f64, totals);
        }
        recorder
    }

    #[test]
    fn percentiles_are_within_a_hundredth() {
        let times = recorder(100).summary().processing_time_ms.unwrap();
        for (found, exact) in [(times.p50, 50.0), (times.p90, 90.0), (times.p99, 99.0), (times.max, 100.0)] {
            assert!((found - exact).abs() <= exact / 100.0, "{found} instead of {exact}");
        }
        assert!((times.mean - 50.5).abs() < 0.5, "{}", times.mean);
        assert!(Recorder::default().summary().processing_time_ms.is_none());
    }

    #[test]
    fn only_the_last_two_windows_are_covered_and_all_invocations_are_counted() {
        let summary = recorder(3 * WINDOW + 100).summary();
        assert_eq!((summary.ever, summary.recent), (3 * WINDOW + 100, WINDOW + 100));
        assert_eq!((summary.cache.lookups, summary.cache.hits), (WINDOW + 100, (WINDOW + 100) / 4));
        assert_eq!(summary.cache.hit_rate, Some(0.25));
        assert!(summary.processing_time_ms.unwrap().p50 > 2.0 * WINDOW as f64);
        assert_eq!(Recorder::default().summary().cache.hit_rate, None);
    }
}
