//! 1,000 concurrent players on eight processes: throughput, cache hits and round trips.

use millrace_domain::Timestamp;
use millrace_tests::{
    load::{COMMANDS, Load, assert_all_applied, percentiles, player},
    sqs::START_MS,
};

use crate::{
    subject::{Binaries, Servers, start},
    table::{Table, Target},
};

const PLAYERS: usize = 1_000;
const PROCESSES: usize = 8;
/// The target for the 95th percentile of the cached read of a batch, in milliseconds.
const READ_LIMIT_MS: f64 = 10.0;
/// The target for the cache hit rate, in percent.
const HITS_PERCENT: f64 = 90.0;

/// Sends 20 commands for every player and asserts that each is applied once.
///
/// # Panics
/// If the assertion fails.
pub async fn measure(binaries: &Binaries) -> String {
    let servers = Servers::start().await;
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(start(&binaries.function(&servers)).await);
    }
    let load = Load { players: PLAYERS, batch: 25, seed: 7 };
    let report = load.run(&functions, Timestamp::from_millis(START_MS)).await;

    assert_eq!(report.applied, (PLAYERS * COMMANDS) as u64, "every command is applied once");
    let players: Vec<_> = (0..PLAYERS).map(player).collect();
    for (at, queue) in servers.backends.queues(&players).await.iter().enumerate() {
        assert_all_applied(at, queue);
    }
    for player in &players {
        let history = servers.backends.history(player.as_str()).await;
        assert_eq!(history.len(), 4, "{player} has a row for each finished task");
    }

    let [_, read_p95, _] = percentiles(&report.cached_read_ms);
    let hits = 100.0 * report.hit_rate();
    let heading = format!("{PLAYERS} players at once, {COMMANDS} commands each, {PROCESSES} processes");
    let mut table = Table::new(&heading, &["measurement", "value"]);
    let lost = "every command applied exactly once";
    table.row_with_target(lost, &[report.applied.to_string()], Target { text: "all of 20,000", met: true });
    table.row_with_target(
        "cached read of a batch, 95th percentile",
        &[format!("{read_p95:.2} ms")],
        Target { text: "below 10 ms", met: read_p95 < READ_LIMIT_MS },
    );
    table.row_with_target(
        "cache hit rate",
        &[format!("{hits:.1} %")],
        Target { text: "above 90 %", met: hits > HITS_PERCENT },
    );
    format!("{table}\n\n{}", report.table())
}
