//! The start: the time from the spawn to the first request for an invocation. It includes
//! connecting to Redis and DynamoDB.

use crate::{
    subject::{Binaries, FLOOR, FUNCTION, Servers, start},
    table::Table,
};

/// The number of starts of each function.
const STARTS: usize = 41;
/// The target for the duration, as a multiple of the floor.
const LIMIT: f64 = 1.5;

/// Starts both functions in turns. Each process ends before the next one starts.
pub async fn measure(binaries: &Binaries) -> Table {
    let servers = Servers::start().await;
    let builders = [binaries.floor(&servers), binaries.function(&servers)];
    let mut durations = [Vec::new(), Vec::new()];
    for turn in 0..=STARTS {
        for (builder, durations) in builders.iter().zip(&mut durations) {
            let function = start(builder).await;
            // The first start is not counted, because it reads the binary from the disk.
            if turn > 0 {
                durations.push(function.started_in().as_secs_f64() * 1_000.0);
            }
            function.kill().await;
        }
    }
    let mut table = Table::new(
        &format!("Start, {STARTS} of each"),
        &["until the first request for an invocation", FLOOR, FUNCTION, "times"],
    );
    table.quartiles(durations, ms, "at most 1.5 times the floor", LIMIT);
    table
}

fn ms(value: f64) -> String {
    format!("{value:.1} ms")
}
