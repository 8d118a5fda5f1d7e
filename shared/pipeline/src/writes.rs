//! Writes queues conditionally: many to a call, and several calls at once.

use futures::{StreamExt, stream};
use millrace_store::{CommitError, QueueWrite, StoreError};
use tokio::time::timeout_at;

use crate::{context::Context, counters::Counters, player::Player};

/// The outcome of the write of one player.
pub(crate) type WriteOutcome<'p> = (&'p mut Player, Result<(), WriteError>);

/// Why a queue was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The row has another version than the write expects.
    Conflict,
    /// The store refused the write, or failed.
    Store(StoreError),
    /// The deadline passed before the store answered. Whether the write took place is unknown.
    Deadline,
}

/// Writes the queues of `players`, each if the row has the expected version. `write_of` makes the write of
/// a player when its call begins: the encoded bytes of all queues at once would take much memory.
pub(crate) async fn write_queues<'p>(
    ctx: &Context<'_>,
    players: Vec<&'p mut Player>,
    write_of: fn(&Context<'_>, &mut Player) -> Option<QueueWrite>,
    counters: &mut Counters,
) -> Vec<WriteOutcome<'p>> {
    let settings = &ctx.platform.settings;
    let (shared, single): (Vec<_>, Vec<_>) =
        players.into_iter().partition(|player| ctx.platform.batches_writes_of(&player.player_id));
    let calls = chunks(shared, settings.commit_batch).chain(chunks(single, 1)).map(|mut players| async move {
        let writes: Vec<QueueWrite> = players.iter_mut().filter_map(|player| write_of(ctx, player)).collect();
        (players, timeout_at(ctx.deadline, ctx.platform.store.commit(&writes)).await)
    });
    // Collected first: the future of a mapped stream would not be known to be `Send`.
    let calls: Vec<_> = calls.collect();
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(settings.concurrency).collect().await;
    let mut outcomes = Vec::new();
    for (players, answer) in answers {
        match answer {
            Ok(response) => {
                counters.commit_calls += response.calls;
                outcomes.extend(players.into_iter().zip(response.outcomes.into_iter().map(outcome_of)));
            }
            Err(_) => outcomes.extend(players.into_iter().map(|player| (player, Err(WriteError::Deadline)))),
        }
    }
    outcomes
}

fn chunks(players: Vec<&mut Player>, size: usize) -> impl Iterator<Item = Vec<&mut Player>> {
    let mut players = players.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<_> = players.by_ref().take(size.max(1)).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn outcome_of(outcome: Result<(), CommitError>) -> Result<(), WriteError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(CommitError::Store(error)) => Err(WriteError::Store(error)),
        // A new variant can only be another way to lose the race.
        Err(_) => Err(WriteError::Conflict),
    }
}
