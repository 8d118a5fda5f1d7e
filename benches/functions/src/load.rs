//! 1,000 players on eight processes: throughput, and the effect of caches and batches.

use millrace_domain::Timestamp;
use millrace_tests::{
    load::{COMMANDS, Load, assert_all_applied, percentiles, player},
    sqs::START_MS,
};

use crate::{
    subject::{Servers, Stage, started},
    table::{Table, Target},
};

const PLAYERS: usize = 1_000;
const PROCESSES: usize = 8;
/// The limit of the cached read of a batch at the 95th percentile, in milliseconds.
const READ_LIMIT_MS: f64 = 10.0;
/// The lowest allowed hit rate in percent.
const HITS_PERCENT: f64 = 90.0;

/// Sends 20 commands of every player, and checks that each was applied exactly once.
///
/// # Panics
/// If one was not.
pub async fn measure(stage: &Stage) -> String {
    let servers = Servers::start().await;
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(started(&stage.function(&servers)).await);
    }
    let load = Load { players: PLAYERS, batch: 25, seed: 7 };
    let figures = load.run(&functions, Timestamp::from_millis(START_MS)).await;

    assert_eq!(figures.applied, (PLAYERS * COMMANDS) as u64, "every command is applied once");
    let players: Vec<_> = (0..PLAYERS).map(player).collect();
    for (at, queue) in servers.backends.queues(&players).await.iter().enumerate() {
        assert_all_applied(at, queue);
    }
    for player in &players {
        let history = servers.backends.history(player.as_str()).await;
        assert_eq!(history.len(), 4, "{player} has a row for each finished task");
    }

    let [_, read_p95, _] = percentiles(&figures.cached_read_ms);
    let hits = 100.0 * figures.hit_rate();
    let heading = format!("{PLAYERS} concurrent players, {COMMANDS} commands each, {PROCESSES} processes");
    let mut table = Table::new(&heading, &["figure", "measured"]);
    let lost = "every command applied exactly once";
    table.row_with_target(lost, &[figures.applied.to_string()], Target { text: "all of 20,000", met: true });
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
    format!("{table}\n\n{}", figures.table())
}
