//! Performance: what the last invocations of this process took, summed up.
//!
//! A bounded ring of small samples, and the last report whole. What happened in other processes is in
//! their answers and logs.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use millrace_cache::{CacheStatistics, SharedCacheState, Tier};
use millrace_domain::Timestamp;
use serde::Serialize;

use crate::{
    read::ReadReport,
    report::{CommandCounts, ConnectionReport, MemoryReport, Report, thousandths},
    service::Service,
};

/// How many invocations of a kind are kept.
pub const KEPT: usize = 512;

/// The last invocations.
#[derive(Debug, Default)]
pub struct Performance {
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    commands: Ring,
    reads: Ring,
    last: Option<Report>,
}

#[derive(Debug, Default)]
struct Ring {
    samples: VecDeque<Sample>,
    ever: u64,
}

/// What one invocation took.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    millis: f64,
    lookups: u64,
    local: u64,
    redis: u64,
    cache_errors: u64,
    loads: u64,
    commands: CommandCounts,
    commits: u64,
    conflicts: u64,
    rows: u64,
    write_calls: u64,
    saved: u64,
}

impl Ring {
    fn push(&mut self, sample: Sample) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.ever += 1;
    }

    fn sum(&self) -> Sample {
        self.samples.iter().fold(Sample::default(), |sum, one| Sample {
            millis: sum.millis + one.millis,
            lookups: sum.lookups + one.lookups,
            local: sum.local + one.local,
            redis: sum.redis + one.redis,
            cache_errors: sum.cache_errors + one.cache_errors,
            loads: sum.loads + one.loads,
            commands: CommandCounts {
                received: sum.commands.received + one.commands.received,
                applied: sum.commands.applied + one.commands.applied,
                duplicate: sum.commands.duplicate + one.commands.duplicate,
                rejected: sum.commands.rejected + one.commands.rejected,
                failed: sum.commands.failed + one.commands.failed,
                malformed: sum.commands.malformed + one.commands.malformed,
            },
            commits: sum.commits + one.commits,
            conflicts: sum.conflicts + one.conflicts,
            rows: sum.rows + one.rows,
            write_calls: sum.write_calls + one.write_calls,
            saved: sum.saved + one.saved,
        })
    }

    fn times(&self) -> Option<Times> {
        let mut millis: Vec<f64> = self.samples.iter().map(|sample| sample.millis).collect();
        millis.sort_by(f64::total_cmp);
        // The smallest value that so many of a thousand are not above.
        let at = |permille: usize| millis.get((millis.len() * permille).div_ceil(1000).max(1) - 1).copied();
        Some(Times {
            mean: thousandths(self.sum().millis / millis.len() as f64),
            p50: at(500)?,
            p90: at(900)?,
            p99: at(990)?,
            max: *millis.last()?,
        })
    }

    fn summary(&self) -> Summary {
        let sum = self.sum();
        let hits = sum.local + sum.redis;
        Summary {
            ever: self.ever,
            recent: self.samples.len() as u64,
            processing_time_ms: self.times(),
            cache: CacheSummary {
                lookups: sum.lookups,
                hits,
                hit_rate: (sum.lookups > 0).then(|| thousandths(hits as f64 / sum.lookups as f64)),
                local: sum.local,
                redis: sum.redis,
                errors: sum.cache_errors,
            },
            loads: sum.loads,
        }
    }
}

/// What a process has done lately.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceReport {
    /// Now.
    pub as_of: Timestamp,
    /// Invocations with commands.
    pub commands: CommandSummary,
    /// Reads of queues.
    pub reads: Summary,
    /// Memory now.
    pub memory: MemoryReport,
    /// Calls of the store on their way now; null where the store has no connections to count.
    pub connections: Option<ConnectionReport>,
    /// Whether the shared cache tier takes part.
    pub redis: SharedCacheState,
    /// What the cache tiers have done since the start of the process.
    pub statistics: CacheStatistics,
    /// The report of the last invocation with commands.
    pub last: Option<Report>,
}

/// Invocations of a kind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many there were since the start of the process.
    pub ever: u64,
    /// How many of them, the last ones, are summed up here.
    pub recent: u64,
    /// How long they took; null where there were none.
    pub processing_time_ms: Option<Times>,
    /// Their cache lookups.
    pub cache: CacheSummary,
    /// Their round trips to load queues.
    pub loads: u64,
}

/// Invocations with commands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandSummary {
    /// What all kinds have in common.
    #[serde(flatten)]
    pub summary: Summary,
    /// The commands by what became of them.
    pub commands: CommandCounts,
    /// Queues committed.
    pub commits: u64,
    /// Conditional writes that were refused.
    pub conflicts: u64,
    /// Rows written.
    pub writes: u64,
    /// Round trips for them.
    pub write_calls: u64,
    /// Round trips that one write a row would have taken more.
    pub round_trips_saved: u64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// On average.
    pub mean: f64,
    /// Half took no longer.
    pub p50: f64,
    /// Nine of ten took no longer.
    pub p90: f64,
    /// 99 of a hundred took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Cache lookups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheSummary {
    /// All of them.
    pub lookups: u64,
    /// Found in some tier.
    pub hits: u64,
    /// Hits of lookups, 0 to 1; null where nothing was looked up.
    pub hit_rate: Option<f64>,
    /// Found inside the process.
    pub local: u64,
    /// Found in the shared tier.
    pub redis: u64,
    /// Errors of the shared tier.
    pub errors: u64,
}

impl Performance {
    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an invocation with commands.
    pub(crate) fn commands(&self, report: &Report) {
        let sample = Sample {
            millis: report.processing_time_ms,
            lookups: report.cache.lookups,
            local: report.cache.local.hits,
            redis: report.cache.redis.hits,
            cache_errors: report.cache.redis.errors,
            loads: report.loads.calls,
            commands: report.commands,
            commits: report.commits.committed,
            conflicts: report.commits.conflicts,
            rows: report.writes.items,
            write_calls: report.writes.calls,
            saved: report.writes.round_trips_saved,
        };
        let mut rings = self.rings();
        rings.commands.push(sample);
        rings.last = Some(report.clone());
    }

    /// Remembers a read of a queue.
    pub(crate) fn read(&self, report: &ReadReport) {
        let sample = Sample {
            millis: thousandths(report.processing_time.as_secs_f64() * 1000.0),
            lookups: report.lookups,
            local: u64::from(report.found == Some(Tier::Local)),
            redis: u64::from(report.found == Some(Tier::Redis)),
            cache_errors: report.cache_errors,
            loads: report.calls,
            ..Sample::default()
        };
        self.rings().reads.push(sample);
    }
}

impl Service {
    /// What this process has done lately.
    pub fn performance(&self) -> PerformanceReport {
        let rings = self.performance.rings();
        let sum = rings.commands.sum();
        let usage = self.cache.usage();
        PerformanceReport {
            as_of: self.now(),
            commands: CommandSummary {
                summary: rings.commands.summary(),
                commands: sum.commands,
                commits: sum.commits,
                conflicts: sum.conflicts,
                writes: sum.rows,
                write_calls: sum.write_calls,
                round_trips_saved: sum.saved,
            },
            reads: rings.reads.summary(),
            memory: MemoryReport {
                resident_bytes: (self.resident_bytes)(),
                local_cache_entries: usage.entries,
                local_cache_bytes: usage.bytes,
            },
            connections: self.store.connections().map(Into::into),
            redis: self.cache.shared_state(),
            statistics: self.cache.statistics(),
            last: rings.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(count: usize) -> Ring {
        let mut ring = Ring::default();
        for at in 1..=count {
            ring.push(Sample { millis: at as f64, lookups: 1, local: u64::from(at % 4 == 0), ..Sample::default() });
        }
        ring
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times = ring(100).times().unwrap();
        assert_eq!([times.p50, times.p90, times.p99, times.max], [50.0, 90.0, 99.0, 100.0]);
        assert_eq!(times.mean, 50.5);
        let times = ring(1).times().unwrap();
        assert_eq!([times.p50, times.p90, times.p99, times.max, times.mean], [1.0; 5]);
        assert_eq!(Ring::default().times(), None);
    }

    #[test]
    fn only_the_last_ones_are_kept_and_all_are_counted() {
        let summary = ring(KEPT + 100).summary();
        assert_eq!((summary.ever, summary.recent), (KEPT as u64 + 100, KEPT as u64));
        assert_eq!((summary.cache.lookups, summary.cache.hits), (KEPT as u64, KEPT as u64 / 4));
        assert_eq!(summary.cache.hit_rate, Some(0.25));
        assert_eq!(summary.processing_time_ms.unwrap().p50, 100.0 + KEPT as f64 / 2.0);
        assert_eq!(Ring::default().summary().cache.hit_rate, None);
    }
}
