//! How late timed completions were seen: from the moment at which work was due to the commit that says so.
//!
//! The effect of a completion does not depend on it: rewards, finish and the start of the next task are as of
//! the due moment. It tells how long others had to wait for it.

use millrace_domain::Timestamp;
use serde::Serialize;

/// So many buckets, of one millisecond each, hold the short ones; from there on each doubling of the
/// lateness has half as many, so that no bucket is wider than a 32nd of what it holds.
const FINE: u64 = 64;

/// Counts of lateness. It takes the same few kilobytes for any number of completions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lateness {
    buckets: Vec<u64>,
    count: u64,
    max_ms: u64,
}

/// The lateness of the timed completions of one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatenessReport {
    /// Timed completions committed.
    pub count: u64,
    /// Half of them were seen no later than this, rounded up by at most a 32nd; null without any.
    pub p50_ms: Option<u64>,
    /// 99 of 100 were, likewise.
    pub p99_ms: Option<u64>,
    /// The latest of all, exactly.
    pub max_ms: Option<u64>,
}

impl Lateness {
    /// Counts completions that were due at these moments and are seen at `seen`.
    pub fn see(&mut self, due: &[Timestamp], seen: Timestamp) {
        for due in due {
            self.add(seen.millis_since(*due));
        }
    }

    fn add(&mut self, millis: u64) {
        let bucket = bucket(millis);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max_ms = self.max_ms.max(millis);
    }

    /// The smallest lateness that at least `percent` of 100 do not exceed.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(highest(bucket).min(self.max_ms))
    }

    /// As it is reported.
    pub fn report(&self) -> LatenessReport {
        LatenessReport {
            count: self.count,
            p50_ms: self.percentile(50),
            p99_ms: self.percentile(99),
            max_ms: (self.count > 0).then_some(self.max_ms),
        }
    }
}

/// The bucket that counts `millis`.
fn bucket(millis: u64) -> usize {
    if millis < FINE {
        return millis as usize;
    }
    // How often it is halved until it is below FINE: then it has FINE / 2 values.
    let halvings = u64::from(millis.ilog2() - FINE.ilog2() + 1);
    (FINE + (halvings - 1) * (FINE / 2) + ((millis >> halvings) - FINE / 2)) as usize
}

/// The greatest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < FINE {
        return bucket;
    }
    let halvings = (bucket - FINE) / (FINE / 2) + 1;
    let first = (bucket - FINE) % (FINE / 2) + FINE / 2;
    (first << halvings) + ((1 << halvings) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> LatenessReport {
        let mut lateness = Lateness::default();
        values.iter().for_each(|millis| lateness.add(*millis));
        lateness.report()
    }

    #[test]
    fn without_completions_there_is_no_lateness() {
        assert_eq!(of(&[]), LatenessReport { count: 0, p50_ms: None, p99_ms: None, max_ms: None });
        let json = serde_json::to_string(&of(&[])).unwrap();
        assert_eq!(json, r#"{"count":0,"p50Ms":null,"p99Ms":null,"maxMs":null}"#);
    }

    #[test]
    fn a_single_one_is_exact() {
        for millis in [0, 1, 63, 64, 65, 12_345, 86_400_000, u64::MAX] {
            let exact = Some(millis);
            assert_eq!(of(&[millis]), LatenessReport { count: 1, p50_ms: exact, p99_ms: exact, max_ms: exact });
        }
    }

    #[test]
    fn one_late_of_a_hundred_is_not_in_the_99th_percentile_and_two_are() {
        let mut values = vec![5; 99];
        values.push(50_000);
        assert_eq!((of(&values).p99_ms, of(&values).max_ms), (Some(5), Some(50_000)));
        values[0] = 50_000;
        assert_eq!(of(&values).p99_ms, Some(50_000));
    }

    #[test]
    fn what_is_seen_before_it_is_due_is_not_late() {
        let mut lateness = Lateness::default();
        let at = Timestamp::from_millis;
        lateness.see(&[at(10), at(7)], at(8));
        assert_eq!(lateness.report(), LatenessReport { count: 2, p50_ms: Some(0), p99_ms: Some(1), max_ms: Some(1) });
    }

    proptest! {
        #[test]
        fn percentiles_are_never_low_and_high_by_a_32nd_at_most(
            mut values in proptest::collection::vec(prop_oneof![0..200_u64, 0..100_000_u64, any::<u64>()], 1..300),
        ) {
            let report = of(&values);
            values.sort_unstable();
            for (percent, found) in [(50, report.p50_ms), (99, report.p99_ms)] {
                let exact = values[(values.len() * percent).div_ceil(100) - 1];
                let found = found.unwrap();
                prop_assert!(found >= exact && found - exact <= exact / 32, "{found} instead of {exact}");
            }
            prop_assert_eq!((report.count, report.max_ms), (values.len() as u64, values.last().copied()));
        }

        #[test]
        fn a_bucket_holds_what_is_put_into_it(millis in any::<u64>()) {
            let at = bucket(millis);
            prop_assert!(millis <= highest(at));
            prop_assert!(at == 0 || millis > highest(at - 1));
        }
    }
}
