//! What was sent, answered and measured.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{fields::number, text::duration};

/// The longest time that is measured exactly.
const MAX_MICROS: u64 = 600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// The measurements of a load.
#[derive(Debug)]
pub struct Measurements {
    started: Instant,
    ended: Option<Duration>,
    latencies: Histogram<u64>,
    /// Commands that have an outcome.
    pub commands: u64,
    pub applied: u64,
    pub duplicate: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Taken by a queue.
    pub accepted: u64,
    /// Requests that were sent again.
    pub retries: u64,
    lookups: u64,
    hits: u64,
    conflicts: u64,
}

impl Measurements {
    pub fn start() -> Self {
        let latencies = Histogram::new_with_max(MAX_MICROS, SIGNIFICANT_DIGITS);
        Self {
            started: Instant::now(),
            ended: None,
            latencies: latencies
                .unwrap_or_else(|_| Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are allowed")),
            commands: 0,
            applied: 0,
            duplicate: 0,
            rejected: 0,
            failed: 0,
            accepted: 0,
            retries: 0,
            lookups: 0,
            hits: 0,
            conflicts: 0,
        }
    }

    /// The last command has its outcome.
    pub fn end(&mut self) {
        self.ended = Some(self.started.elapsed());
    }

    /// Adds the time that a request took.
    pub fn add_latency(&mut self, took: Duration) {
        self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(MAX_MICROS));
    }

    /// Adds the outcome of a command.
    pub fn add_status(&mut self, status: &str) {
        self.commands += 1;
        match status {
            "applied" => self.applied += 1,
            "duplicate" => self.duplicate += 1,
            "rejected" => self.rejected += 1,
            "accepted" => self.accepted += 1,
            _ => self.failed += 1,
        }
    }

    /// Adds the report of an answer.
    pub fn add_report(&mut self, report: &Value) {
        self.lookups += number(&report["cache"], "lookups");
        self.hits += number(&report["cache"], "hits");
        self.conflicts += number(&report["commits"], "conflicts");
    }

    /// Hits divided by lookups; none without lookups.
    fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then(|| self.hits as f64 / self.lookups as f64)
    }

    fn elapsed(&self) -> Duration {
        self.ended.unwrap_or_else(|| self.started.elapsed())
    }

    /// Commands a second so far.
    fn throughput(&self) -> f64 {
        self.commands as f64 / self.elapsed().as_secs_f64().max(1e-9)
    }

    fn percentile(&self, percent: f64) -> f64 {
        self.latencies.value_at_quantile(percent / 100.0) as f64 / 1e3
    }

    /// The measurements as rows of a table.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| self.percentile(percent));
        let max = self.latencies.max() as f64 / 1e3;
        let counts = [
            (self.applied, "applied"),
            (self.accepted, "accepted"),
            (self.duplicate, "duplicate"),
            (self.rejected, "rejected"),
            (self.failed, "failed"),
        ];
        let counts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        let hits = self
            .hit_rate()
            .map_or_else(|| "unknown".to_owned(), |rate| format!("{:.1} % of {} lookups", rate * 100.0, self.lookups));
        vec![
            row("time", duration(self.elapsed().as_millis() as u64)),
            row("commands", format!("{}: {}", self.commands, counts.join(", "))),
            row("throughput", format!("{:.1} commands a second", self.throughput())),
            row("request p50 / p95 / p99 / max", format!("{p50:.1} / {p95:.1} / {p99:.1} / {max:.1} ms")),
            row("cache hit rate", hits),
            row("version conflicts", self.conflicts.to_string()),
            row("requests sent again", self.retries.to_string()),
        ]
    }

    /// The measurements as JSON.
    pub fn json(&self) -> Value {
        json!({
            "seconds": self.elapsed().as_secs_f64(),
            "commands": {"sent": self.commands, "applied": self.applied, "accepted": self.accepted,
                "duplicate": self.duplicate, "rejected": self.rejected, "failed": self.failed},
            "commandsPerSecond": self.throughput(),
            "requestMs": {"p50": self.percentile(50.0), "p95": self.percentile(95.0), "p99": self.percentile(99.0),
                "max": self.latencies.max() as f64 / 1e3},
            "hitRate": self.hit_rate(),
            "conflicts": self.conflicts,
            "retries": self.retries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_counts_are_those_of_the_answers() {
        let mut measurements = Measurements::start();
        (1..=100).for_each(|millis| measurements.add_latency(Duration::from_millis(millis)));
        ["applied", "applied", "duplicate", "failed"].iter().for_each(|status| measurements.add_status(status));
        measurements.add_report(&json!({"cache": {"lookups": 4, "hits": 3}, "commits": {"conflicts": 1}}));
        measurements.end();
        let json = measurements.json();
        let p50 = json["requestMs"]["p50"].as_f64().unwrap();
        assert!((49.9..50.2).contains(&p50), "{p50}");
        assert_eq!(
            (&json["commands"]["sent"], &json["commands"]["applied"], &json["hitRate"]),
            (&json!(4), &json!(2), &json!(0.75))
        );
    }
}
