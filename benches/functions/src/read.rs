//! The warm read of a batch: the queues of 10 players, all of them from Redis.

use millrace_tests::{Function, load, sqs};
use serde_json::Value;

use crate::{
    game::Game,
    memory::now,
    subject::{Binaries, FLOOR, FUNCTION, Servers, number, start},
    table::Table,
};

/// The number of players in a batch. Each of them sends one command.
const PLAYERS: usize = 10;
/// The number of batches before the measurement. After them, connections are open and queues
/// remember the greatest number of commands.
const WARM_UP: usize = 80;
/// The number of batches that are measured.
const BATCHES: usize = 1_000;
/// The target for the duration, as a multiple of the floor.
const LIMIT: f64 = 1.3;

/// The function processes a batch and the floor reads the same keys, in turns. The local cache is
/// off.
pub async fn measure(binaries: &Binaries) -> Table {
    let servers = Servers::start().await;
    let function = start(&binaries.function(&servers).env("MILLRACE_LOCAL_CACHE", "off")).await;
    let [floor, other] = [start(&binaries.floor(&servers)).await, start(&binaries.floor(&servers)).await];
    let mut game = Game::new("read", PLAYERS);
    let keys = servers.keys(game.players());
    let mut durations = [Vec::new(), Vec::new()];
    for batch in 0..WARM_UP + BATCHES {
        // Both get the same payload and read the same values from Redis.
        let messages = game.batch(now());
        let mut payload = sqs::standard(&messages);
        payload["keys"] = keys.clone().into();
        // What ran before affects how fast Redis and a process are. So both are measured after a
        // run of another process of the floor, and each of them runs once a round.
        let _ = invoke_floor(&other, &payload).await;
        let read = invoke_floor(&floor, &payload).await;
        let _ = invoke_floor(&other, &payload).await;
        let answers = load::send(&function, &messages).await;
        if batch < WARM_UP {
            continue;
        }
        assert_eq!(number(&read, "/found"), PLAYERS as f64, "the floor reads every queue");
        let [answer] = &answers[..] else { panic!("a batch was handed back: {:#}", answers[0]) };
        assert_eq!(number(answer, "/report/commands/applied"), PLAYERS as f64, "every command is applied once");
        assert_eq!(number(answer, "/report/cache/redis/hits"), PLAYERS as f64, "every queue comes from Redis");
        durations[0].push(number(&read, "/readMs") * 1_000.0);
        durations[1].push(number(answer, "/report/stepsMs/load") * 1_000.0);
    }
    let heading = format!("Warm read of {PLAYERS} queues from Redis, {BATCHES} of each");
    let mut table = Table::new(&heading, &["time", FLOOR, FUNCTION, "times"]);
    table.quartiles(durations, us, "at most 1.3 times the floor", LIMIT);
    table
}

async fn invoke_floor(floor: &Function, payload: &Value) -> Value {
    floor.answer(payload).await
}

fn us(value: f64) -> String {
    format!("{value:.0} µs")
}
