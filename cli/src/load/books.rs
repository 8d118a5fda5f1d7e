//! Whether each player has what its commands lead to.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use millrace_load::books;

use crate::{
    answers::Queue,
    api::{Api, ApiError},
    failure::{Exit, Failure},
    load::players::player,
    text::amounts,
};

/// The most players that are named.
const MAX_NAMED: usize = 10;
const WAIT: Duration = Duration::from_millis(250);

/// The check of all players.
#[derive(Debug, Default)]
pub struct Check {
    /// Players whose books balance.
    pub balanced: u64,
    /// What is wrong with the others; the first ones are named.
    pub wrong: Vec<String>,
    /// How many others there are.
    pub unbalanced: u64,
}

/// Reads all queues, and compares them with what the commands lead to. Waits up to `patience` for
/// commands on their way.
///
/// # Errors
/// [`Failure`] if a queue cannot be read.
pub async fn check(
    api: &Api<'_>,
    run: &str,
    players: usize,
    concurrency: usize,
    patience: Duration,
) -> Result<Check, Failure> {
    let until = Instant::now() + patience;
    let checks: Vec<_> = (0..players).map(|at| check_player(api, run, at, until)).collect();
    let mut results = stream::iter(checks).buffer_unordered(concurrency);
    let mut check = Check::default();
    while let Some(result) = results.next().await {
        match result? {
            None => check.balanced += 1,
            Some(problem) => {
                check.unbalanced += 1;
                if check.wrong.len() < MAX_NAMED {
                    check.wrong.push(problem);
                }
            }
        }
    }
    Ok(check)
}

async fn check_player(api: &Api<'_>, run: &str, at: usize, until: Instant) -> Result<Option<String>, Failure> {
    loop {
        let problem = compare(api, run, at).await?;
        if problem.is_none() || Instant::now() >= until {
            return Ok(problem);
        }
        tokio::time::sleep(WAIT).await;
    }
}

/// What is wrong with a player; none if the books balance.
async fn compare(api: &Api<'_>, run: &str, at: usize) -> Result<Option<String>, Failure> {
    let player = player(run, at);
    let expected = books(at);
    let queue: Result<Queue, ApiError> = api.get(&["players", &player, "queue"], &[]).await;
    let queue = match queue.map_err(Failure::from) {
        Ok(queue) => queue,
        Err(failure) if failure.exit == Exit::NotFound => return Ok(Some(format!("{player} has no queue"))),
        Err(failure) => return Err(failure),
    };
    let problem = if queue.balances != expected.balances {
        format!("{player} has {}, not {}", amounts(&queue.balances), amounts(&expected.balances))
    } else if queue.totals.rewards != expected.rewards {
        format!("{player} got rewards of {}, not {}", amounts(&queue.totals.rewards), amounts(&expected.rewards))
    } else if queue.totals.completed != expected.completed || !queue.tasks.is_empty() {
        format!("{player} has {} completed and {} unfinished tasks", queue.totals.completed, queue.tasks.len())
    } else {
        return Ok(None);
    };
    Ok(Some(problem))
}
