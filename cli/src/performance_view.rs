//! The performance history as text: totals, sparklines, queues and thresholds.

use serde_json::Value;

use crate::{
    fields::text,
    tables::{render as render_table, sparkline, table},
};

/// A row of the table: a name, the path of the figure, and its unit.
const FIGURES: [(&str, &str, Unit); 14] = [
    ("commands a second", "/commandsPerSecond/received", Unit::Number),
    ("commands applied", "/commands/applied", Unit::Count),
    ("commands rejected", "/commands/rejected", Unit::Count),
    ("commands failed", "/commands/failed", Unit::Count),
    ("HTTP requests", "/requests/received", Unit::Count),
    ("processing time p50", "/processingTimeMs/commands/p50", Unit::Millis),
    ("processing time p99", "/processingTimeMs/commands/p99", Unit::Millis),
    ("read p99", "/processingTimeMs/reads/p99", Unit::Millis),
    ("cache hit rate", "/cache/hitRate", Unit::Percent),
    ("version conflicts", "/commits/conflicts", Unit::Count),
    ("lateness p99", "/latenessMs/p99", Unit::Millis),
    ("events published", "/events/published", Unit::Count),
    ("memory max", "/residentBytes/max", Unit::Megabytes),
    ("estimated cost", "/estimatedCost", Unit::Cost),
];

#[derive(Debug, Clone, Copy)]
enum Unit {
    Number,
    Count,
    Millis,
    Percent,
    Megabytes,
    Cost,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Number => format!("{value:.2}"),
            Self::Count => format!("{value:.0}"),
            Self::Millis => format!("{value:.1} ms"),
            Self::Percent => format!("{:.1} %", value * 100.0),
            Self::Megabytes => format!("{:.1} MB", value / 1e6),
            Self::Cost => format!("{:.6} $", value / 1e6),
        }
    }
}

/// The answer of `/admin/performance` as text of several lines.
pub fn render(performance: &Value) -> String {
    let mut parts = vec![history(&performance["history"])];
    let queues = performance["queues"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !queues.is_empty() {
        parts.push(depths(queues));
    }
    parts.push(thresholds(&performance["thresholds"]));
    parts.join("\n\n")
}

fn history(history: &Value) -> String {
    if history.is_null() {
        return "the history cannot be read at the moment".to_owned();
    }
    let series = history["series"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = table(&["figure", "total", "last", "in steps"]);
    for (name, path, unit) in FIGURES {
        let values: Vec<Option<f64>> = series.iter().map(|point| point.pointer(path).and_then(Value::as_f64)).collect();
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| unit.text(value));
        let total = history["totals"].pointer(path).and_then(Value::as_f64);
        rows.add_row([name.to_owned(), shown(total), shown(values.last().copied().flatten()), sparkline(&values)]);
    }
    let heading = format!(
        "{} to {}, {} minutes a step, kept in: {}",
        text(history, "from"),
        text(history, "to"),
        text(history, "stepMinutes"),
        text(history, "source")
    );
    format!("{heading}\n\n{}", render_table(&rows))
}

fn depths(queues: &[Value]) -> String {
    let mut rows = table(&["queue", "waiting", "in flight", "delayed", "problem"]);
    for queue in queues {
        let depth = &queue["depth"];
        rows.add_row([
            text(queue, "name"),
            text(depth, "waiting"),
            text(depth, "inFlight"),
            text(depth, "delayed"),
            text(queue, "reason"),
        ]);
    }
    render_table(&rows)
}

fn thresholds(thresholds: &Value) -> String {
    let Some(all) = thresholds.as_array() else { return "the thresholds cannot be checked at the moment".to_owned() };
    let passed: Vec<&Value> = all.iter().filter(|threshold| threshold["state"] == "passed").collect();
    if passed.is_empty() {
        return format!("none of {} thresholds is passed", all.len());
    }
    let mut rows = table(&["threshold", "since", "value", "limit", "meaning", "what to do"]);
    for threshold in passed {
        let runbook = format!("docs/operations.md, {}", text(threshold, "runbook"));
        rows.add_row([
            text(threshold, "id"),
            text(threshold, "since"),
            text(threshold, "value"),
            text(threshold, "limit"),
            text(threshold, "meaning"),
            runbook,
        ]);
    }
    render_table(&rows)
}
