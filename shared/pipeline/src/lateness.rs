//! Lateness: the time from the moment at which timed work was due to the commit that completes it.
//!
//! The effect of a completion does not depend on it: rewards, the finish and the start of the next
//! task are as of the due moment. Lateness tells how long others had to wait to see it.

use millrace_domain::Timestamp;
use millrace_performance::{Sketch, sketch::bucket_of};
use serde::Serialize;

/// The lateness of the timed completions of one invocation.
#[derive(Debug, Clone, Default)]
pub struct Lateness {
    values: Sketch,
    max_ms: u64,
}

/// The lateness of the timed completions of one invocation, as the report shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatenessReport {
    /// Timed completions that were committed.
    pub count: u64,
    /// Half of them were no later than this, within 2 %; null without any.
    pub p50_ms: Option<u64>,
    /// 99 of 100 were no later than this, within 2 %; null without any.
    pub p99_ms: Option<u64>,
    /// The latest of all, exactly; null without any.
    pub max_ms: Option<u64>,
}

impl Lateness {
    /// Adds completions that were due at these moments and are committed at `committed_at`.
    pub fn add(&mut self, due: &[Timestamp], committed_at: Timestamp) {
        for due in due {
            let millis = committed_at.millis_since(*due);
            self.max_ms = self.max_ms.max(millis);
            self.values.add(bucket_of(millis, u16::MAX), 1);
        }
    }

    /// The values, in milliseconds.
    pub fn values(&self) -> &Sketch {
        &self.values
    }

    /// The lateness as the report shows it.
    pub fn report(&self) -> LatenessReport {
        let count = self.values.count();
        let percentile = |part| Some((self.values.percentile(part)?.round() as u64).min(self.max_ms));
        LatenessReport {
            count,
            p50_ms: percentile(0.5),
            p99_ms: percentile(0.99),
            max_ms: (count > 0).then_some(self.max_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64]) -> LatenessReport {
        let mut lateness = Lateness::default();
        millis.iter().for_each(|millis| lateness.add(&[Timestamp::default()], Timestamp::from_millis(*millis)));
        lateness.report()
    }

    #[test]
    fn without_completions_there_is_no_lateness() {
        let json = serde_json::to_string(&of(&[])).unwrap();
        assert_eq!(json, r#"{"count":0,"p50Ms":null,"p99Ms":null,"maxMs":null}"#);
    }

    #[test]
    fn the_lateness_of_a_single_completion_is_within_2_percent() {
        for millis in [0, 1, 63, 64, 65, 12_345, 86_400_000, 7 * 86_400_000] {
            let LatenessReport { count, p50_ms, p99_ms, max_ms } = of(&[millis]);
            assert_eq!((count, p99_ms, max_ms), (1, p50_ms, Some(millis)));
            let p50 = p50_ms.unwrap();
            assert!(p50 <= millis && millis - p50 <= millis / 50 + 1, "{p50} for {millis}");
        }
    }

    #[test]
    fn one_late_completion_of_a_hundred_is_above_the_99th_percentile() {
        let mut values = vec![5; 99];
        values.push(50_000);
        assert_eq!((of(&values).p99_ms, of(&values).max_ms), (Some(5), Some(50_000)));
        values[0] = 50_000;
        assert!(of(&values).p99_ms.is_some_and(|p99| (49_000..=50_000).contains(&p99)));
    }

    #[test]
    fn a_completion_committed_before_it_is_due_is_not_late() {
        let mut lateness = Lateness::default();
        let at = Timestamp::from_millis;
        lateness.add(&[at(10), at(7)], at(8));
        assert_eq!(lateness.report(), LatenessReport { count: 2, p50_ms: Some(0), p99_ms: Some(1), max_ms: Some(1) });
    }
}
