//! Values of metrics from the figures of a period.

use millrace_telemetry::{
    Metric,
    thresholds::{Measure, Threshold},
};

use crate::figures::{Counter, Figures, Kind, Measurement};

/// What a threshold compares with its limit, over a period; none where that means nothing.
pub fn measured(threshold: &Threshold, figures: &Figures) -> Option<f64> {
    match threshold.measure {
        Measure::Value { metric } => value(metric, figures),
        Measure::Percentage { part, whole, required, minimum } => {
            let required = value(required, figures)?;
            let (part, whole) = (value(part, figures)?, value(whole, figures)?);
            (whole > 0.0 && required >= f64::from(minimum)).then(|| 100.0 * part / whole)
        }
    }
}

/// The value of a metric over a period; none where nothing was measured, or where the history does
/// not keep the metric.
pub fn value(metric: Metric, figures: &Figures) -> Option<f64> {
    let sum = |counter| Some(figures.counter(counter) as f64);
    let largest = |measurement| figures.sketch(measurement).percentile(1.0);
    match metric {
        Metric::ColdStart => sum(Counter::ColdStarts),
        Metric::CommandsReceived => sum(Counter::Received),
        Metric::CommandsApplied => sum(Counter::Applied),
        Metric::CommandsDuplicate => sum(Counter::Duplicate),
        Metric::CommandsRejected => sum(Counter::Rejected),
        Metric::CommandsMalformed => sum(Counter::Malformed),
        Metric::CommandsFailed => sum(Counter::Failed),
        Metric::Requests => sum(Counter::Requests),
        Metric::RequestsRefused => sum(Counter::RequestsRefused),
        Metric::RequestsFailed => sum(Counter::RequestsFailed),
        Metric::CacheLookups => sum(Counter::Lookups),
        Metric::CacheHits => Some((figures.counter(Counter::LocalHits) + figures.counter(Counter::RedisHits)) as f64),
        Metric::LocalHits => sum(Counter::LocalHits),
        Metric::RedisHits => sum(Counter::RedisHits),
        Metric::RedisErrors => sum(Counter::RedisErrors),
        Metric::RedisUnavailable => {
            let invocations: u64 = [Kind::Commands, Kind::Runs].map(|kind| figures.invocations(kind)).iter().sum();
            let unavailable = figures.counter(Counter::RedisUnavailable) as f64;
            (invocations > 0).then(|| 100.0 * unavailable / invocations as f64)
        }
        Metric::Lateness => largest(Measurement::LatenessMs),
        Metric::Completions => Some(figures.sketch(Measurement::LatenessMs).count() as f64),
        Metric::AttemptsTimedOut => sum(Counter::AttemptsTimedOut),
        Metric::Commits => sum(Counter::Committed),
        Metric::Conflicts => sum(Counter::Conflicts),
        Metric::RoundTripsSaved => sum(Counter::RoundTripsSaved),
        Metric::RecordsWritten => sum(Counter::Records),
        Metric::RecordsRetried => sum(Counter::RecordsRetried),
        Metric::EventsPublished => sum(Counter::EventsPublished),
        Metric::EventsFailed => sum(Counter::EventsFailed),
        Metric::MemoryUsed => largest(Measurement::MemoryShare).map(|tenths| tenths / 10.0),
        Metric::ResidentMemory => largest(Measurement::MemoryKib).map(|kib| kib * 1024.0),
        Metric::EstimatedCost => sum(Counter::CostNanodollars).map(|cost| cost / 1000.0),
        _ => None,
    }
}
