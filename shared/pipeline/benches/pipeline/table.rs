//! The results as one table.

use std::{fs, path::Path};

use serde_json::Value;

/// The median of a benchmark in nanoseconds, from the output files of criterion.
fn median(folder: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(folder.join(name).join("new/estimates.json")).ok()?;
    let estimates: Value = serde_json::from_str(&text).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

/// Prints the medians, and the sizes of queues of ten tasks with 12 and 64 remembered commands, as
/// a table.
pub fn print_table(folder: &Path, sizes: [usize; 2]) {
    let median_per_item = |name: &str, count: f64| match median(folder, name) {
        Some(nanos) => format!("{:.2} µs", nanos / count / 1_000.0),
        None => "not run".to_owned(),
    };
    let [small, large] = sizes.map(|bytes| format!("{bytes} bytes"));
    let rows = [
        ("command in a batch of 1,000, queues cached", median_per_item("batch-1000/cached", 1e3), "10 µs"),
        ("  with the events table", median_per_item("batch-1000/cached-events", 1e3), "1.5 times"),
        ("command in a batch of 1,000, queues from the store", median_per_item("batch-1000/loaded", 1e3), ""),
        ("  baseline: cache and batching off", median_per_item("batch-1000/off", 1e3), ""),
        ("  reference: parsing the payload into a JSON tree", median_per_item("batch-1000/json-tree", 1e3), ""),
        ("command in a batch of 10, queues cached", median_per_item("batch-10/cached", 10.0), ""),
        ("  with metrics", median_per_item("batch-10/cached-metrics", 10.0), "1.05 times, with traces"),
        ("  with the events table", median_per_item("batch-10/cached-events", 10.0), ""),
        ("command in a batch of 10, queues from the store", median_per_item("batch-10/loaded", 10.0), ""),
        ("  baseline: cache and batching off", median_per_item("batch-10/off", 10.0), ""),
        ("  reference: parsing the payload into a JSON tree", median_per_item("batch-10/json-tree", 10.0), ""),
        ("advancing a queue of 10 tasks, nothing due", median_per_item("domain/advance-idle", 1.0), "1 µs"),
        ("advancing 30 days with 200 tasks due", median_per_item("domain/catch-up-200", 1.0), ""),
        ("encoding a queue of 10 tasks", median_per_item("domain/encode", 1.0), ""),
        ("decoding it", median_per_item("domain/decode", 1.0), ""),
        ("size of a queue of 10 tasks, 12 commands remembered", small, ""),
        ("size of a queue of 10 tasks, 64 commands remembered", large, ""),
    ];
    println!("\n| CPU time (median) or size | measured | at most |");
    println!("|---|---:|---:|");
    for (subject, measured, target) in rows {
        println!("| {subject} | {measured} | {target} |");
    }
}
