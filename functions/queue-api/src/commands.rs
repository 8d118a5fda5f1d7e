//! `POST /players/{playerId}/commands`: reads the commands, checks the rights of the caller,
//! applies the commands, answers with their results. With `dryRun=true` the commands are applied on
//! trial.

use lambda_http::http::StatusCode;
use millrace_domain::PlayerId;
use millrace_pipeline::{CommandsAnswer, Invocation, Platform, PlayerCommands};

use crate::{
    answer::{Answer, X_QUEUE_VERSION},
    auth::Caller,
    parameters,
    problem::{Problem, failure_detail},
    request::Request,
};

/// The most bytes of a body with commands; the former limit of an SQS message.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Applies the commands of a request.
///
/// # Errors
/// [`Problem`] if no command was applied: the caller lacks a right, no command is well-formed, or
/// the pipeline failed.
pub async fn apply(
    platform: &Platform,
    request: &Request,
    caller: &Caller,
    player: &PlayerId,
    invocation: &Invocation,
) -> Result<Answer, Problem> {
    let is_trial = parameters::dry_run(request)?;
    let key = parameters::idempotency_key(request)?;
    let body = parameters::body(request, MAX_BODY_BYTES)?;
    let commands = PlayerCommands::decode(platform, player, caller.sender(), key, body, invocation);
    let commands = commands.traced(request.trace());
    for (index, command) in commands.well_formed() {
        let what = command.type_name();
        caller.may_send(command).map_err(|scope| Problem::forbidden(scope, what).at(index))?;
    }
    let mut answer = if is_trial { commands.preview().await } else { commands.apply().await };
    for result in &mut answer.results {
        if let Some(reason) = result.failure {
            // Details of the failure are only logged.
            result.detail = Some(failure_detail(reason).to_owned());
        }
    }
    match problem_of(&answer) {
        Some(problem) => Err(problem.with_results(answer.results)),
        None => {
            let cache = &answer.report.cache;
            let time = std::time::Duration::from_secs_f64(answer.report.processing_time_ms / 1000.0);
            let mut response = Answer::json(StatusCode::OK, &answer).timed(time, None, cache.hit_rate);
            if let Some(queue) = &answer.queue {
                response = response.with(X_QUEUE_VERSION, &queue.version.to_string());
            }
            Ok(response)
        }
    }
}

/// The problem of the request as a whole: no command is well-formed, or all have failed.
fn problem_of(answer: &CommandsAnswer) -> Option<Problem> {
    let counts = answer.report.commands;
    if counts.failed > 0 && counts.failed + counts.malformed == counts.received {
        let mut reasons = answer.results.iter().filter_map(|result| result.failure);
        let first = reasons.next()?;
        // A retry of the request cannot succeed if one of its commands cannot.
        return Some(Problem::of_failure(reasons.find(|reason| !reason.is_passing()).unwrap_or(first)));
    }
    if counts.malformed == counts.received {
        let detail = answer.results.first().and_then(|result| result.detail.as_deref());
        return Some(Problem::malformed(detail.unwrap_or("no command was given")));
    }
    None
}
