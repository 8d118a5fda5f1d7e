//! Distributions of values in buckets whose width grows with the value.
//!
//! Bucket 0 holds 0, and bucket `n` the values above `BASE^(n-2)` up to `BASE^(n-1)`. Its middle
//! differs from each of them by at most 2 %. The buckets are the same everywhere, so distributions
//! of processes and of minutes are merged by adding their counts.

use std::collections::BTreeMap;

use serde::Serialize;

/// The quotient of the limits of a bucket.
const BASE: f64 = 1.04;

/// The bucket of a value, at most `last`.
pub fn bucket_of(value: u64, last: u16) -> u16 {
    let bucket = match value {
        0 => 0,
        value => 1 + ((value as f64).ln() / BASE.ln()).ceil() as u64,
    };
    bucket.min(u64::from(last)) as u16
}

/// The middle of a bucket: at most 2 % from each of its values.
pub fn value_of(bucket: u16) -> f64 {
    match bucket {
        0 => 0.0,
        1 => 1.0,
        bucket => 2.0 * BASE.powi(i32::from(bucket) - 1) / (1.0 + BASE),
    }
}

/// Values by bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(BTreeMap<u16, u64>);

impl Sketch {
    /// Adds values of a bucket.
    pub fn add(&mut self, bucket: u16, count: u64) {
        if count > 0 {
            *self.0.entry(bucket).or_default() += count;
        }
    }

    /// The buckets with values, each with the number of its values.
    pub fn buckets(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The value that this part (0 to 1) of all values do not exceed; none without values.
    pub fn percentile(&self, part: f64) -> Option<f64> {
        let rank = ((self.count() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| value_of(*bucket))
        })
    }

    /// What readers see of the values, each times `scale` and with three decimals; none without
    /// values.
    pub fn distribution(&self, scale: f64) -> Option<Distribution> {
        let count = self.count();
        let sum: f64 = self.0.iter().map(|(bucket, count)| value_of(*bucket) * *count as f64).sum();
        let rounded = |value: f64| (value * scale * 1000.0).round() / 1000.0;
        let percentile = |part| self.percentile(part).map(rounded);
        Some(Distribution {
            count,
            mean: rounded(sum / count.max(1) as f64),
            p50: percentile(0.5)?,
            p90: percentile(0.9)?,
            p95: percentile(0.95)?,
            p99: percentile(0.99)?,
            max: percentile(1.0)?,
        })
    }
}

/// A distribution of values. All but the count are within 2 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// How many values there are, exactly.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half of them are not above this.
    pub p50: f64,
    /// 90 of 100 are not above this.
    pub p90: f64,
    /// 95 of 100 are not above this.
    pub p95: f64,
    /// 99 of 100 are not above this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_within_2_percent_of_its_values(value in 1_u64..1 << 40) {
            let middle = value_of(bucket_of(value, u16::MAX));
            let value = value as f64;
            prop_assert!((middle - value).abs() <= value * 0.02, "{} for {}", middle, value);
        }
    }

    #[test]
    fn values_beyond_the_last_bucket_are_in_it() {
        assert_eq!((bucket_of(0, 9), bucket_of(1, 9), bucket_of(u64::MAX, 9)), (0, 1, 9));
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut sketch = Sketch::default();
        assert_eq!((sketch.percentile(0.5), sketch.distribution(1.0)), (None, None));
        sketch.add(10, 99);
        sketch.add(20, 1);
        let at = |part| sketch.percentile(part);
        assert_eq!((at(0.0), at(0.99), at(1.0)), (Some(value_of(10)), Some(value_of(10)), Some(value_of(20))));
        assert_eq!(sketch.distribution(1.0).map(|all| all.count), Some(100));
    }
}
