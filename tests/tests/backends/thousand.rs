//! A thousand players on eight processes.

use millrace_domain::Timestamp;
use millrace_tests::{
    backends::Backends,
    load::{self, COMMANDS, Load},
};

const PLAYERS: usize = 1_000;
const PROCESSES: usize = 8;

#[tokio::test]
async fn commands_of_a_thousand_players_are_each_applied_once() {
    let backends = Backends::start().await;
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(backends.process_tasks().started().await);
    }
    let load = Load { players: PLAYERS, batch: 25, seed: 7 };
    let report = load.run(&functions, Timestamp::from_millis(millrace_tests::sqs::START_MS)).await;
    println!("{}", report.table());
    assert_eq!(report.applied, (PLAYERS * COMMANDS) as u64);
    let players: Vec<_> = (0..PLAYERS).map(load::player).collect();
    for (at, queue) in backends.queues(&players).await.iter().enumerate() {
        load::assert_all_applied(at, queue);
    }
    for player in players.iter().step_by(50) {
        let history = backends.history(player.as_str()).await;
        assert_eq!(history.len(), 4, "{player} has a row for each finished task");
    }
    assert!(report.hit_rate() > 0.9, "{}", report.hit_rate());
    // Durations are not asserted here. `make bench` runs the same load and compares them with
    // targets.
}
