//! `POST /players/{playerId}/commands`: read, checked against the caller's rights, applied, answered.

use lambda_http::http::StatusCode;
use millrace_domain::PlayerId;
use millrace_pipeline::{CommandsAnswer, Invocation, Service};

use crate::{
    answer::{Answer, X_QUEUE_VERSION},
    auth::Caller,
    parameters,
    problem::{Problem, failure_detail, is_passing},
    request::Request,
};

/// Applies the commands of a request.
///
/// # Errors
/// [`Problem`] where nothing was applied: a missing right for any of them, nothing that could be
/// understood, or a failure.
pub async fn apply(
    service: &Service,
    request: &Request,
    caller: &Caller,
    player: &PlayerId,
    invocation: &Invocation,
) -> Result<Answer, Problem> {
    parameters::none(request)?;
    let commands = service.read_commands(player, parameters::body(request)?, &invocation.request_id);
    for (index, command) in commands.well_formed() {
        let what = command.type_name();
        caller.may_send(command).map_err(|scope| Problem::forbidden(scope, what).at(index))?;
    }
    let mut answer = service.apply_commands(commands, invocation).await;
    for result in answer.results.iter_mut().filter(|result| result.status == "failed") {
        // What the store says of itself is in the log.
        result.detail = result.reason.map(|code| failure_detail(code).to_owned());
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

/// What is to be said of all commands at once: nothing was understood, or nothing has worked.
fn problem_of(answer: &CommandsAnswer) -> Option<Problem> {
    let counts = answer.report.commands;
    if counts.failed > 0 && counts.failed + counts.malformed == counts.received {
        let mut codes = answer.results.iter().filter(|result| result.status == "failed").filter_map(|one| one.reason);
        let first = codes.next()?;
        // If one of them may never succeed, the request as it is may not either.
        return Some(Problem::of_failure(codes.find(|code| !is_passing(code)).unwrap_or(first)));
    }
    if counts.malformed == counts.received {
        let detail = answer.results.first().and_then(|result| result.detail.as_deref());
        return Some(Problem::malformed(detail.unwrap_or("no command was given")));
    }
    None
}
