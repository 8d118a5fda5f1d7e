//! The time from spawn to the first request for an invocation, with Redis and DynamoDB connected.

use crate::{
    subject::{FLOOR, FUNCTION, Servers, Stage, started},
    table::{Quartiles, Table, Target},
};

/// The starts of each function.
const STARTS: usize = 41;
/// The allowed multiple of the time of the floor.
const LIMIT: f64 = 1.5;

/// Starts both in turns, and ends each one before the next start.
pub async fn measure(stage: &Stage) -> Table {
    let servers = Servers::start().await;
    let setups = [stage.floor(&servers), stage.function(&servers)];
    let mut taken = [Vec::new(), Vec::new()];
    for turn in 0..=STARTS {
        for (setup, taken) in setups.iter().zip(&mut taken) {
            let function = started(setup).await;
            // The first start reads the binary from the disk.
            if turn > 0 {
                taken.push(function.started_in().as_secs_f64() * 1_000.0);
            }
            function.kill().await;
        }
    }
    let [floor, function] = taken.map(|taken| Quartiles::of(&taken));
    let times = function.median / floor.median;
    let mut table = Table::new(
        &format!("Start, {STARTS} of each"),
        &["until the first request for an invocation", FLOOR, FUNCTION, "times"],
    );
    table.row_with_target(
        "median",
        &[ms(floor.median), ms(function.median), format!("{times:.2}")],
        Target::at_most("at most 1.5 times the floor", times, LIMIT),
    );
    table.row("lower quartile", &[ms(floor.lower), ms(function.lower), String::new()]);
    table.row("upper quartile", &[ms(floor.upper), ms(function.upper), String::new()]);
    table
}

fn ms(value: f64) -> String {
    format!("{value:.1} ms")
}
