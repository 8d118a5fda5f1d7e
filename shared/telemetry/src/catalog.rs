//! The lists of metrics and thresholds as JSON: `shared/telemetry/metrics.json`.
//!
//! The infrastructure reads the file for its alarms and its dashboard. A test compares it with
//! these lists.

use serde::Serialize;

use crate::{
    metrics::{Definition, FUNCTION_DIMENSION, Metric, SERVICE_DIMENSION},
    thresholds::{THRESHOLDS, Threshold},
};

#[derive(Serialize)]
struct Catalog {
    service: &'static str,
    metrics: Vec<Entry>,
    thresholds: &'static [Threshold],
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    definition: Definition,
    /// The dimensions, where it is published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dimensions: Vec<&'static str>,
}

/// The content of `metrics.json`.
pub fn json() -> String {
    let metrics = Metric::ALL.into_iter().map(|metric| {
        let mut dimensions = Vec::new();
        if metric.is_published() {
            dimensions.push(SERVICE_DIMENSION.0);
        }
        if metric == Metric::ColdStart {
            dimensions.push(FUNCTION_DIMENSION);
        }
        Entry { definition: metric.definition(), dimensions }
    });
    let catalog = Catalog { service: SERVICE_DIMENSION.1, metrics: metrics.collect(), thresholds: &THRESHOLDS };
    // Names and numbers: serialization cannot fail.
    serde_json::to_string_pretty(&catalog).unwrap_or_default() + "\n"
}
