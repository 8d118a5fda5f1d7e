//! The time to read the queues of 10 players from Redis.

use millrace_tests::{Function, load, sqs};
use serde_json::Value;

use crate::{
    game::Game,
    memory::now,
    subject::{FLOOR, FUNCTION, Servers, Stage, number, started},
    table::{Quartiles, Table, Target},
};

/// The players of a batch, with one command each.
const PLAYERS: usize = 10;
/// The batches before the measurement. After them connections are warm, and queues remember the
/// most commands.
const WARM_UP: usize = 80;
/// The measured batches.
const BATCHES: usize = 1_000;
/// The allowed multiple of the time of the floor.
const LIMIT: f64 = 1.3;

/// The function processes a batch, and the floor reads the same keys, in turns. The local cache is
/// off.
pub async fn measure(stage: &Stage) -> Table {
    let servers = Servers::start().await;
    let function = started(&stage.function(&servers).env("MILLRACE_LOCAL_CACHE", "off")).await;
    let floor = started(&stage.floor(&servers)).await;
    let mut game = Game::new("read", PLAYERS);
    let keys = servers.keys(game.players());
    let mut taken = [Vec::new(), Vec::new()];
    for batch in 0..WARM_UP + BATCHES {
        // Both get the same bytes and read the same values from Redis.
        let messages = game.batch(now());
        let mut event = sqs::standard(&messages);
        event["keys"] = keys.clone().into();
        // The preceding process affects how fast Redis answers: right after the function, the floor
        // needs only two thirds of the time that it needs after itself. Therefore both run after
        // the floor.
        let _ = of_floor(&floor, &event).await;
        let read = of_floor(&floor, &event).await;
        let _ = of_floor(&floor, &event).await;
        let answers = load::send(&function, &messages).await;
        if batch < WARM_UP {
            continue;
        }
        assert_eq!(number(&read, "/found"), PLAYERS as f64, "the floor reads every queue");
        let [answer] = &answers[..] else { panic!("a batch was handed back: {:#}", answers[0]) };
        assert_eq!(number(answer, "/report/commands/applied"), PLAYERS as f64, "every command is applied once");
        assert_eq!(number(answer, "/report/cache/redis/hits"), PLAYERS as f64, "every queue comes from Redis");
        taken[0].push(number(&read, "/readMs") * 1_000.0);
        taken[1].push(number(answer, "/report/stepsMs/load") * 1_000.0);
    }
    let [floor, function] = taken.map(|taken| Quartiles::of(&taken));
    let times = function.median / floor.median;
    let heading = format!("Warm read of {PLAYERS} queues from Redis, {BATCHES} of each");
    let mut table = Table::new(&heading, &["time", FLOOR, FUNCTION, "times"]);
    table.row_with_target(
        "median",
        &[us(floor.median), us(function.median), format!("{times:.2}")],
        Target::at_most("at most 1.3 times the floor", times, LIMIT),
    );
    table.row("lower quartile", &[us(floor.lower), us(function.lower), String::new()]);
    table.row("upper quartile", &[us(floor.upper), us(function.upper), String::new()]);
    table
}

async fn of_floor(floor: &Function, event: &Value) -> Value {
    floor.invoke(event).await.unwrap_or_else(|error| panic!("{error}"))
}

fn us(value: f64) -> String {
    format!("{value:.0} µs")
}
