//! The generated file that the infrastructure reads, and the tables of the documentation.

use std::{fs, path::Path};

#[test]
fn the_file_has_the_lists_of_metrics_and_thresholds() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("metrics.json");
    let expected = millrace_telemetry::catalog::json();
    let command = "cargo run -p millrace-telemetry --example metrics_json > shared/telemetry/metrics.json";
    assert!(fs::read_to_string(file).unwrap() == expected, "metrics.json is out of date; run: {command}");
}

#[test]
fn the_documentation_has_the_tables_of_metrics_and_thresholds() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = fs::read_to_string(file).unwrap();
    let tables = [millrace_telemetry::catalog::metrics_markdown(), millrace_telemetry::catalog::thresholds_markdown()];
    for table in tables {
        assert!(text.contains(&table), "docs/metrics.md does not have the tables of `--example metrics_markdown`");
    }
    for breakdown in millrace_telemetry::Breakdown::ALL {
        assert!(text.contains(&format!("`{}.", breakdown.name())), "docs/metrics.md lacks {}", breakdown.name());
    }
}
