//! Prints the lists of metrics and thresholds as `docs/metrics.md` has them.

use millrace_telemetry::catalog;

fn main() {
    println!("{}\n{}", catalog::metrics_markdown(), catalog::thresholds_markdown());
}
