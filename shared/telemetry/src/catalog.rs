//! The lists of metrics and thresholds as JSON, `shared/telemetry/metrics.json`, and as tables for
//! `docs/metrics.md`.
//!
//! The infrastructure reads the JSON for its alarms and its dashboard. A test compares both files
//! with these lists.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    metrics::{Definition, FUNCTION_DIMENSION, Metric, SERVICE_DIMENSION},
    thresholds::{Audience, Comparison, Measure, THRESHOLDS, Threshold},
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

/// The list of metrics as a Markdown table.
pub fn metrics_markdown() -> String {
    let mut text = String::from("| metric | unit | statistic | in CloudWatch | meaning |\n|---|---|---|---|---|\n");
    for Definition { name, unit, statistic, published, meaning } in Metric::ALL.map(Metric::definition) {
        let published = if published { "yes" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {unit:?} | {statistic:?} | {published} | {meaning} |");
    }
    text
}

/// The list of thresholds as a Markdown table.
pub fn thresholds_markdown() -> String {
    let mut text = String::from("| threshold | crossed if | in | told to | runbook |\n|---|---|---|---|---|\n");
    for threshold in &THRESHOLDS {
        let Threshold { id, default, period_seconds, datapoints, periods, runbook, .. } = threshold;
        let side = match threshold.comparison {
            Comparison::GreaterThan => "above",
            Comparison::LessThan => "below",
        };
        let measure = match threshold.measure {
            Measure::Value { metric } => format!("`{}` is {side} {default}", metric.name()),
            Measure::Percentage { part, whole, required, minimum } => format!(
                "`{}` is {side} {default} % of `{}`, with at least {minimum} `{}`",
                part.name(),
                whole.name(),
                required.name()
            ),
        };
        let audience = match threshold.audience {
            Audience::Operators => "operators",
            Audience::OperatorsForPlayers => "operators; players are affected",
            Audience::Deployment => "the deployment",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{id}` | {measure} | {datapoints} of {periods} periods of {period_seconds} s | {audience} | \
             [{runbook}](operations.md#{runbook}) |"
        );
    }
    text
}
