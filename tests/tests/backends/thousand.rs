//! A thousand players at once, on eight processes.

use millrace_domain::Timestamp;
use millrace_tests::{
    backends::BackEnds,
    load::{self, COMMANDS, Load},
};

use crate::started;

const PLAYERS: usize = 1_000;
const PROCESSES: usize = 8;

#[tokio::test]
async fn everything_of_a_thousand_players_is_applied_once() {
    let back_ends = BackEnds::start().await;
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(started(back_ends.process_tasks()).await);
    }
    let load = Load { players: PLAYERS, batch: 25, seed: 7 };
    let figures = load.run(&functions, Timestamp::from_millis(millrace_tests::sqs::START_MS)).await;
    println!("{}", figures.table());
    assert_eq!(figures.applied, (PLAYERS * COMMANDS) as u64);
    let players: Vec<_> = (0..PLAYERS).map(load::player).collect();
    for (at, queue) in back_ends.queues(&players).await.iter().enumerate() {
        load::check(at, queue);
    }
    for player in players.iter().step_by(50) {
        let history = back_ends.history(player.as_str()).await;
        assert_eq!(history.len(), 4, "{player} has a row for each finished task");
    }
    assert!(figures.hit_rate() > 0.9, "{}", figures.hit_rate());
    // Times are no matter for a test: `make bench` runs the same load and holds its targets against it.
}
