//! The generated file that the infrastructure reads.

use std::{fs, path::Path};

#[test]
fn the_file_has_the_lists_of_metrics_and_thresholds() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("metrics.json");
    let expected = millrace_telemetry::catalog::json();
    let command = "cargo run -p millrace-telemetry --example metrics_json > shared/telemetry/metrics.json";
    assert!(fs::read_to_string(file).unwrap() == expected, "metrics.json is out of date; run: {command}");
}
