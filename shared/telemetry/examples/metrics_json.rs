//! Prints the lists of metrics and thresholds as `shared/telemetry/metrics.json` has them.

fn main() {
    print!("{}", millrace_telemetry::catalog::json());
}
