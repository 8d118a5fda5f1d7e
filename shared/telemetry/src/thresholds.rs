//! The list of thresholds, and their limits in a deployment.
//!
//! Alarms, the performance history and `thresholdCrossed` events use this one list. A deployment
//! may set other limits: the infrastructure passes the same ones to alarms and functions.

use std::fmt::Write as _;

use serde::Serialize;

use crate::metrics::Metric;

/// A value that is compared with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Measure {
    /// The value of a metric, by its statistic.
    Value {
        /// The metric.
        metric: Metric,
    },
    /// The sum of a metric as a percentage of the sum of another one.
    Percentage {
        /// What is counted.
        part: Metric,
        /// Of what.
        whole: Metric,
        /// With fewer of this metric the percentage means nothing, and no limit is passed.
        required: Metric,
        /// The smallest sum of `required`.
        minimum: u32,
    },
}

/// On which side of the limit a value passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    /// A larger value.
    GreaterThan,
    /// A smaller value.
    LessThan,
}

/// Who is told that a threshold is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Audience {
    /// Operators.
    Operators,
    /// Operators, because players are affected.
    OperatorsForPlayers,
    /// Only the deployment of a new version of a function, which is rolled back.
    Deployment,
}

/// A threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// Names it, and its alarm.
    pub id: &'static str,
    /// What is compared with the limit.
    pub measure: Measure,
    /// On which side of the limit a value passes it.
    pub comparison: Comparison,
    /// The limit, unless the deployment sets another one.
    pub default: f64,
    /// The length of a period in seconds.
    pub period_seconds: u32,
    /// It is crossed if the limit is passed in this number of periods.
    pub datapoints: u32,
    /// Of this number of periods, the latest ones.
    pub periods: u32,
    /// Who is told.
    pub audience: Audience,
    /// What it means that it is crossed, as full sentences.
    pub meaning: &'static str,
    /// The section of `docs/operations.md` that says what to do.
    pub runbook: &'static str,
}

/// All thresholds.
pub const THRESHOLDS: [Threshold; 9] = [
    Threshold {
        id: "cache-hit-rate",
        measure: Measure::Percentage {
            part: Metric::CacheHits,
            whole: Metric::CacheLookups,
            required: Metric::CacheLookups,
            minimum: 100,
        },
        comparison: Comparison::LessThan,
        default: 80.0,
        period_seconds: 300,
        datapoints: 3,
        periods: 3,
        audience: Audience::Operators,
        meaning: "Too few queues are found in a cache. Each miss costs a read of DynamoDB and a few milliseconds.",
        runbook: "cache-hit-rate",
    },
    Threshold {
        id: "cache-unavailable",
        measure: Measure::Value { metric: Metric::RedisUnavailable },
        comparison: Comparison::GreaterThan,
        default: 50.0,
        period_seconds: 60,
        datapoints: 4,
        periods: 5,
        audience: Audience::Operators,
        meaning: "Most invocations run without Redis, because it does not answer. They read DynamoDB instead.",
        runbook: "losing-the-cache",
    },
    Threshold {
        id: "malformed",
        measure: Measure::Value { metric: Metric::CommandsMalformed },
        comparison: Comparison::GreaterThan,
        default: 10.0,
        period_seconds: 300,
        datapoints: 1,
        periods: 1,
        audience: Audience::Operators,
        meaning: "A sender sends malformed input. The rejections table contains it with the reason.",
        runbook: "malformed",
    },
    Threshold {
        id: "events-failed",
        measure: Measure::Value { metric: Metric::EventsFailed },
        comparison: Comparison::GreaterThan,
        default: 0.0,
        period_seconds: 60,
        // A throttled call is retried, and its events are published a moment later.
        datapoints: 3,
        periods: 5,
        audience: Audience::OperatorsForPlayers,
        meaning: "Events cannot be published. Workers do not learn of tasks, and messages are redelivered.",
        runbook: "events-failed",
    },
    Threshold {
        id: "lateness",
        measure: Measure::Value { metric: Metric::Lateness },
        comparison: Comparison::GreaterThan,
        default: 120_000.0,
        period_seconds: 60,
        datapoints: 3,
        periods: 3,
        audience: Audience::OperatorsForPlayers,
        meaning: "Queues are advanced long after their due moment. Recorded times are right, but effects show late.",
        runbook: "lateness",
    },
    Threshold {
        id: "memory",
        measure: Measure::Value { metric: Metric::MemoryUsed },
        comparison: Comparison::GreaterThan,
        default: 90.0,
        period_seconds: 300,
        datapoints: 3,
        periods: 3,
        audience: Audience::Operators,
        meaning: "A function uses more than 90 % of its memory, although its local cache shrinks before. It may be stopped.",
        runbook: "memory",
    },
    Threshold {
        id: "api-errors",
        measure: Measure::Value { metric: Metric::RequestsFailed },
        comparison: Comparison::GreaterThan,
        default: 5.0,
        period_seconds: 300,
        datapoints: 2,
        periods: 3,
        audience: Audience::OperatorsForPlayers,
        meaning: "HTTP requests end with a status of 500 or above.",
        runbook: "api-errors",
    },
    Threshold {
        id: "process-tasks-new-version-failures",
        measure: Measure::Percentage {
            part: Metric::CommandsFailed,
            whole: Metric::CommandsReceived,
            required: Metric::CommandsFailed,
            minimum: 5,
        },
        comparison: Comparison::GreaterThan,
        // Of both versions in a minute. If everything fails in the new version, that is 10 %.
        default: 2.0,
        period_seconds: 60,
        datapoints: 1,
        periods: 1,
        audience: Audience::Deployment,
        meaning: "More than 2 % of the commands fail and are redelivered. CodeDeploy rolls the new version back.",
        runbook: "new-version-taken-back",
    },
    Threshold {
        id: "queue-api-new-version-failures",
        measure: Measure::Percentage {
            part: Metric::RequestsFailed,
            whole: Metric::Requests,
            required: Metric::RequestsFailed,
            minimum: 5,
        },
        comparison: Comparison::GreaterThan,
        default: 2.0,
        period_seconds: 60,
        datapoints: 1,
        periods: 1,
        audience: Audience::Deployment,
        meaning: "More than 2 % of the requests end with 500 or above. CodeDeploy rolls the new version back.",
        runbook: "new-version-taken-back",
    },
];

impl Threshold {
    /// Whether a value passes a limit of this threshold.
    pub fn is_passed(&self, value: f64, limit: f64) -> bool {
        match self.comparison {
            Comparison::GreaterThan => value > limit,
            Comparison::LessThan => value < limit,
        }
    }
}

/// A text that names a limit wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a list of <threshold>=<number>; the thresholds are {}", ids())]
pub struct LimitsError;

/// The limits of a deployment: the defaults, and what it sets instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits([f64; THRESHOLDS.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(THRESHOLDS.map(|threshold| threshold.default))
    }
}

impl Limits {
    /// Reads limits such as `lateness=60000,cache-hit-rate=70`, each at most once. The others are
    /// the defaults.
    ///
    /// # Errors
    /// [`LimitsError`] if the text is not of this form, names an unknown threshold, or a limit is
    /// not a finite number of at least 0.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        let mut limits = Self::default();
        let mut is_set = [false; THRESHOLDS.len()];
        for part in text.split(',') {
            let (id, limit) = part.split_once('=').ok_or(LimitsError)?;
            let at = THRESHOLDS.iter().position(|threshold| threshold.id == id.trim()).ok_or(LimitsError)?;
            let limit: f64 = limit.trim().parse().map_err(|_| LimitsError)?;
            if !limit.is_finite() || limit < 0.0 || std::mem::replace(&mut is_set[at], true) {
                return Err(LimitsError);
            }
            limits.0[at] = limit;
        }
        Ok(limits)
    }

    /// All thresholds, each with its limit.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Threshold, f64)> {
        THRESHOLDS.iter().zip(self.0)
    }
}

fn ids() -> String {
    let mut ids = String::new();
    for (at, threshold) in THRESHOLDS.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(ids, "{separator}{}", threshold.id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(limits: &Limits, id: &str) -> f64 {
        limits.iter().find(|(threshold, _)| threshold.id == id).unwrap().1
    }

    #[test]
    fn limits_that_are_not_set_are_the_defaults() {
        let limits = Limits::parse("lateness=60000, cache-hit-rate=72.5").unwrap();
        assert_eq!((limit(&limits, "lateness"), limit(&limits, "cache-hit-rate")), (60_000.0, 72.5));
        assert_eq!(limit(&limits, "malformed"), 10.0);
        assert_eq!(limit(&Limits::default(), "lateness"), 120_000.0);
    }

    #[test]
    fn wrong_limits_are_refused_with_the_known_thresholds() {
        for text in ["", "lateness", "late=1", "lateness=soon", "lateness=NaN", "lateness=-1", "lateness=1,lateness=2"]
        {
            let error = Limits::parse(text).unwrap_err().to_string();
            assert!(error.contains("events-failed, lateness, memory"), "{text}: {error}");
        }
    }

    #[test]
    fn ids_are_unique_and_percentages_are_of_sums() {
        use crate::metrics::Statistic::Sum;
        for (at, threshold) in THRESHOLDS.iter().enumerate() {
            assert!(THRESHOLDS[..at].iter().all(|other| other.id != threshold.id), "{}", threshold.id);
            if let Measure::Percentage { part, whole, required, .. } = threshold.measure {
                assert!([part, whole, required].iter().all(|metric| metric.definition().statistic == Sum));
            }
            assert!(threshold.datapoints <= threshold.periods, "{}", threshold.id);
        }
    }

    #[test]
    fn a_value_passes_a_limit_on_one_side() {
        let [hit_rate, .., failures] = THRESHOLDS;
        assert!(hit_rate.is_passed(79.9, 80.0) && !hit_rate.is_passed(80.0, 80.0));
        assert!(failures.is_passed(2.1, 2.0) && !failures.is_passed(2.0, 2.0));
    }
}
