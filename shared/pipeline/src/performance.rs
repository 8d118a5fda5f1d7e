//! Performance: what the last invocations of this process took.

use std::{
    ops::AddAssign,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hdrhistogram::Histogram;
use millrace_cache::Tier;
use serde::Serialize;

use crate::report::{CommandCounts, Report, millis, thousandths};

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
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// Sums over invocations.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    lookups: u64,
    local: u64,
    redis: u64,
    cache_errors: u64,
    loads: u64,
    commands: CommandCounts,
    commits: u64,
    conflicts: u64,
    writes: u64,
    write_calls: u64,
    round_trips_saved: u64,
}

/// Some invocations that followed each other.
#[derive(Debug, Clone, Default)]
struct Window {
    invocations: u64,
    sums: Sums,
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

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.lookups += other.lookups;
        self.local += other.local;
        self.redis += other.redis;
        self.cache_errors += other.cache_errors;
        self.loads += other.loads;
        self.commands += other.commands;
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.writes += other.writes;
        self.write_calls += other.write_calls;
        self.round_trips_saved += other.round_trips_saved;
    }
}

impl Window {
    fn add(&mut self, millis: f64, sums: Sums) {
        self.invocations += 1;
        self.sums += sums;
        if self.times.is_none() {
            self.times = Histogram::new_with_bounds(1, HIGHEST_MICROS, SIGNIFICANT_DIGITS).ok();
        }
        if let Some(times) = &mut self.times {
            times.saturating_record((millis * 1000.0).round() as u64);
        }
    }
}

impl Recorder {
    fn add(&mut self, millis: f64, sums: Sums) {
        if self.present.invocations == WINDOW {
            self.before = std::mem::take(&mut self.present);
        }
        self.total += 1;
        self.present.add(millis, sums);
    }

    /// Both windows together.
    fn recent(&self) -> Window {
        let mut recent = self.before.clone();
        recent.invocations += self.present.invocations;
        recent.sums += self.present.sums;
        recent.times = match (recent.times, &self.present.times) {
            (Some(mut times), Some(present)) => times.add(present).is_ok().then_some(times),
            (None, present) => present.clone(),
            (times, None) => times,
        };
        recent
    }

    fn summary(&self) -> Summary {
        let Window { invocations, sums, times } = self.recent();
        let hits = sums.local + sums.redis;
        Summary {
            ever: self.total,
            recent: invocations,
            processing_time_ms: times.as_ref().map(Times::of),
            cache: CacheSummary {
                lookups: sums.lookups,
                hits,
                hit_rate: (sums.lookups > 0).then(|| thousandths(hits as f64 / sums.lookups as f64)),
                local: sums.local,
                redis: sums.redis,
                errors: sums.cache_errors,
            },
            loads: sums.loads,
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
        let sums = Sums {
            lookups: report.cache.lookups,
            local: report.cache.local.hits,
            redis: report.cache.redis.hits,
            cache_errors: report.cache.redis.errors,
            loads: report.loads.calls,
            commands: report.commands,
            commits: report.commits.committed,
            conflicts: report.commits.conflicts,
            writes: report.writes.items,
            write_calls: report.writes.calls,
            round_trips_saved: report.writes.round_trips_saved,
        };
        lock(&self.commands).add(report.processing_time_ms, sums);
        *lock(&self.last) = Some(report.clone());
    }

    /// Adds a read of a queue.
    pub fn add_read(&self, report: &ReadReport) {
        let sums = Sums {
            lookups: report.lookups,
            local: u64::from(report.found == Some(Tier::Local)),
            redis: u64::from(report.found == Some(Tier::Redis)),
            cache_errors: report.cache_errors,
            loads: report.calls,
            ..Sums::default()
        };
        lock(&self.reads).add(millis(report.processing_time), sums);
    }

    /// The invocations with commands.
    pub fn commands(&self) -> CommandSummary {
        let recorder = lock(&self.commands);
        let sums = recorder.recent().sums;
        CommandSummary {
            summary: recorder.summary(),
            commands: sums.commands,
            commits: sums.commits,
            conflicts: sums.conflicts,
            writes: sums.writes,
            write_calls: sums.write_calls,
            round_trips_saved: sums.round_trips_saved,
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
            let sums = Sums { lookups: 1, local: u64::from(at % 4 == 0), ..Sums::default() };
            recorder.add(at as f64, sums);
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
