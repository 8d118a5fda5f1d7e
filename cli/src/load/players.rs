//! The players, each with its commands in order.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use millrace_load::{COMMANDS, command};
use serde_json::Value;
use tokio::time::Interval;

use crate::{
    api::{Api, ApiError},
    failure::Failure,
    fields::text,
    load::measurements::Measurements,
};

/// How often a command is sent that fails for a passing reason.
const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The id of the player number `at` of a run.
pub fn player(run: &str, at: usize) -> String {
    format!("{run}-{at:05}")
}

/// The command number `step` of a player, with an id.
pub fn named_command(run: &str, at: usize, step: usize) -> (String, Value) {
    let player = player(run, at);
    let id = format!("{player}:{step}");
    let mut command = command(&player, at, step);
    command["commandId"] = id.as_str().into();
    (id, command)
}

/// Sends the commands of a player, one request for each.
///
/// # Errors
/// [`Failure`] if the other players would fail too.
pub async fn play(
    api: &Api<'_>,
    run: &str,
    at: usize,
    measurements: &RefCell<Measurements>,
    pace: Option<&tokio::sync::Mutex<Interval>>,
    progress: impl Fn(),
) -> Result<(), Failure> {
    let player = player(run, at);
    for step in 0..COMMANDS {
        if let Some(pace) = pace {
            pace.lock().await.tick().await;
        }
        let (_, command) = named_command(run, at, step);
        let (mut wait, mut attempt) = (FIRST_WAIT, 1);
        loop {
            let started = Instant::now();
            let answer: Result<Value, ApiError> =
                api.post(&["players", &player, "commands"], &[], command.to_string()).await;
            match answer {
                Ok(answer) => {
                    let mut measurements = measurements.borrow_mut();
                    measurements.add_latency(started.elapsed());
                    measurements.add_status(&text(&answer["results"][0], "status"));
                    measurements.add_report(&answer["report"]);
                    break;
                }
                Err(ApiError::Problem { status, .. }) if is_passing(status) && attempt < ATTEMPTS => {
                    measurements.borrow_mut().retries += 1;
                    tokio::time::sleep(wait).await;
                    (attempt, wait) = (attempt + 1, wait * 2);
                }
                Err(ApiError::Problem { status, .. }) if status.is_server_error() => {
                    measurements.borrow_mut().add_status("failed");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        progress();
    }
    Ok(())
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY)
}
