//! `GET /admin/players` and `GET /admin/players/recent`.

use std::time::Instant;

use lambda_http::http::StatusCode;
use millrace_domain::FailureReason;
use millrace_pipeline::{Invocation, Platform};
use millrace_queries::{
    ReadError,
    players::{PlayerSummary, PlayersPage, PlayersRequest, read_players, read_recent_players},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    cursor,
    parameters::{self, PlayersQuery},
    problem::Problem,
    request::Request,
};

/// The name of the list in its cursors.
const LIST: &str = "players";

/// A page of players.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Players {
    items: Vec<PlayerSummary>,
    /// How many rows of the table were read.
    scanned: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// `GET /admin/players`: a page of all players, by a scan of the queues table.
pub async fn page(
    platform: &Platform,
    request: &Request,
    invocation: &Invocation,
    started: Instant,
) -> Result<Answer, Problem> {
    let PlayersQuery { page, status, blocked_by, prefix } = parameters::players(request, LIST)?;
    let search =
        PlayersRequest { limit: page.limit, after: page.after.as_deref(), status, blocked_by, prefix: &prefix };
    let read = read_players(platform, search, invocation).await.map_err(|error| problem(&error))?;
    let PlayersPage { items, scanned, next } = read;
    let next_cursor = next.map(|after| cursor::encode(LIST, "", &after));
    let answer = Answer::json(StatusCode::OK, &Players { items, scanned, next_cursor });
    Ok(answer.timed(started.elapsed(), None, None))
}

/// `GET /admin/players/recent`: the players whose queues changed recently.
pub async fn recent(
    platform: &Platform,
    request: &Request,
    invocation: &Invocation,
    started: Instant,
) -> Result<Answer, Problem> {
    let limit = parameters::limit(request)?;
    let read = read_recent_players(platform, limit, invocation).await.map_err(|error| problem(&error))?;
    let players = read.ok_or_else(Problem::recent_players_not_kept)?;
    Ok(Answer::json(StatusCode::OK, &players).timed(started.elapsed(), None, None))
}

fn problem(error: &ReadError) -> Problem {
    tracing::warn!(%error, "players cannot be listed");
    match error {
        ReadError::Failed(failure) => Problem::of_failure(failure.reason),
        _ => Problem::of_failure(FailureReason::InternalError),
    }
}
