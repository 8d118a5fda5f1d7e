//! Commands over HTTP: applied before the answer.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;

use crate::{
    answers::CommandResult,
    api::{Api, ApiError},
    failure::Failure,
    send::{outcomes::Outcomes, portions::Portion},
};

/// How often a portion is sent that fails for a passing reason.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct CommandsAnswer {
    results: Vec<CommandResult>,
}

/// Sends a portion. Passing failures are tried again: the ids of the commands make that safe.
///
/// # Errors
/// [`Failure`] if the other portions would fail too.
pub async fn send(api: &Api<'_>, portion: &Portion, outcomes: &mut Outcomes) -> Result<(), Failure> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let answer: Result<CommandsAnswer, ApiError> =
            api.post(&["players", &portion.player, "commands"], &[], portion.body()).await;
        match answer {
            Ok(answer) => {
                outcomes.add(answer.results);
                return Ok(());
            }
            Err(ApiError::Problem { status, .. }) if is_passing(status) && attempt < ATTEMPTS => {
                tokio::time::sleep(wait).await;
                (attempt, wait) = (attempt + 1, wait * 2);
            }
            Err(ApiError::Problem { status, problem, failure }) => {
                if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
                    return Err(failure);
                }
                let reason = if problem.error_type.is_empty() { status.as_str() } else { &problem.error_type };
                outcomes.fail(portion, reason, &problem.detail);
                return Ok(());
            }
            Err(ApiError::Failed(failure)) => return Err(failure),
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY)
}
