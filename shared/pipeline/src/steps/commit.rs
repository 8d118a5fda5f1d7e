//! Commit: one conditional write for each changed player, many to a call, and several calls at
//! once.
//!
//! Where nothing delivers again what a crash cuts short, a commit that leads to records leaves its
//! queue in the due index. Once the records are written, a second write removes the stale entry. If
//! the process dies in between, the next run that finds the queue writes its records again, and
//! then does the same.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use millrace_domain::{RequiredWrite, Timestamp, codec};
use millrace_store::{CommitError, Grouping, QueueWrite, StoreError};
use millrace_telemetry::trace::TARGET;
use tokio::time::{self, timeout_at};
use tracing::instrument;

use crate::{
    batch::Batch,
    context::Context,
    counters::Counters,
    failure::Failure,
    loaded_queue::{DueEntry, LoadedQueue, Provenance},
    player::{FinalQueue, Missing, Player, PlayerState},
};

/// Longest wait after a version conflict.
const MAX_CONFLICT_BACKOFF: Duration = Duration::from_secs(1);

/// A stale due entry, as the count of write units sees it: at another moment than the next one.
fn stale_due_entry() -> Option<Timestamp> {
    Some(Timestamp::default())
}

/// Commits the queue of every player whose items were applied. Where they changed nothing in the
/// table, there is nothing to commit.
///
/// A version conflict sends the player back to load, from the table, a bounded number of times.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn commit(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let mut changed: Vec<&mut Player> = Vec::new();
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Applied(applied) if applied.change != RequiredWrite::Commit => {
                player.state = PlayerState::Committed(applied);
            }
            state => {
                let is_changed = matches!(state, PlayerState::Applied(_));
                player.state = state;
                if is_changed {
                    changed.push(player);
                }
            }
        }
    }
    let outcomes = write_queues(ctx, changed, write_of, &mut batch.counters).await;
    let (mut conflicts, committed_at) = (0, ctx.platform.clock.now());
    for (player, outcome) in outcomes {
        let PlayerState::Applied(mut applied) = player.take_state() else { continue };
        match outcome {
            Ok(()) => {
                batch.counters.commits.committed += 1;
                batch.counters.lateness.add(&applied.completed_at, committed_at);
                batch.counters.attempts_timed_out += applied.attempts_timed_out;
                player.commits += 1;
                player.conflicts = 0;
                applied.loaded.provenance = Provenance::Table;
                applied.loaded.fresh_at = ctx.now;
                player.state = PlayerState::Committed(applied);
            }
            Err(WriteError::Conflict) => {
                batch.counters.commits.conflicts += 1;
                ctx.platform.cache.forget_local(&player.player_id);
                player.conflicts += 1;
                if player.conflicts > ctx.platform.settings.conflict_retries {
                    player.fail(&Failure::version_conflict(player.conflicts), &mut batch.messages);
                } else {
                    conflicts = conflicts.max(player.conflicts);
                    player.state = PlayerState::Unloaded(Missing::QueueRow);
                }
            }
            Err(WriteError::Store(error)) if error.reason().outcome_known() => {
                ctx.platform.cache.forget_local(&player.player_id);
                player.fail(&error.into(), &mut batch.messages);
            }
            Err(error) => {
                // The write may have taken place; the next delivery finds out.
                let failure = match error {
                    WriteError::Store(error) => error.into(),
                    _ => Failure::deadline(),
                };
                ctx.platform.cache.forget_local(&player.player_id);
                player.fail_maybe_changed(&failure, &mut batch.messages);
            }
        }
    }
    if conflicts > 0 {
        pause_after_conflict(ctx, conflicts).await;
    }
    batch.counters.steps.commit += started.elapsed();
}

/// Waits with full jitter, so that processes that collided do not collide again.
async fn pause_after_conflict(ctx: &Context<'_>, conflicts: u32) {
    let factor = 1 << (conflicts - 1).min(6);
    let ceiling = ctx.platform.settings.conflict_backoff.saturating_mul(factor).min(MAX_CONFLICT_BACKOFF);
    let wait = ceiling.mul_f64(ctx.platform.random());
    if !wait.is_zero() {
        time::sleep_until((time::Instant::now() + wait).min(ctx.deadline)).await;
    }
}

/// The conditional write of what was applied.
fn write_of(ctx: &Context<'_>, player: &mut Player) -> Option<QueueWrite> {
    let PlayerState::Applied(applied) = &mut player.state else { return None };
    let settings = &ctx.platform.settings;
    let outbox = (!applied.outbox.is_empty()).then(|| codec::encode(&applied.outbox));
    let queue = &applied.loaded.queue.as_ref()?.queue;
    let mut due_at = queue.due_at(settings.rules);
    let due_before = match std::mem::replace(&mut applied.loaded.due_entry, DueEntry::Accurate) {
        DueEntry::Accurate => applied.due_before,
        DueEntry::Stale => stale_due_entry(),
    };
    if outbox.is_some() && !settings.is_redelivered {
        // If this process dies before the records are written, nothing delivers the commands again.
        // The queue stays in the due index, so that the next run of `advance-queues` finds it.
        due_at = Some(due_at.map_or(queue.advanced_to, |due| due.min(queue.advanced_to)));
        applied.loaded.due_entry = DueEntry::Stale;
    }
    Some(QueueWrite {
        player_id: queue.player_id.clone(),
        expected: applied.base_version,
        version: queue.version,
        queue: codec::encode(queue),
        outbox,
        due_at,
        due_before,
    })
}

/// Corrects the due entries of finished players. A failure fails nothing: the entry stays, and the
/// next tick or run that finds it there corrects it.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn correct_due_entries(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let mut stale: Vec<&mut Player> = Vec::new();
    for player in &mut batch.players {
        if let Some(loaded) = known_queue(player)
            && loaded.due_entry == DueEntry::Stale
            && let Some(cached) = &mut loaded.queue
        {
            Arc::make_mut(cached).queue.version += 1;
            loaded.provenance = Provenance::Table;
            stale.push(player);
        }
    }
    if stale.is_empty() {
        return;
    }
    for (player, outcome) in write_queues(ctx, stale, correction_of, &mut batch.counters).await {
        match outcome {
            Ok(()) => {
                batch.counters.commits.committed += 1;
                batch.counters.due_entries_corrected += 1;
                if let Some(loaded) = known_queue(player) {
                    loaded.due_entry = DueEntry::Accurate;
                }
                continue;
            }
            // Another process has changed the queue since, and has said when it is due.
            Err(WriteError::Conflict) => batch.counters.commits.conflicts += 1,
            Err(error) => {
                batch.counters.due_entries_left += 1;
                let player_id = player.player_id.as_str();
                tracing::warn!(player_id, ?error, "a stale entry stays in the due index");
            }
        }
        player.state = PlayerState::Finished(FinalQueue::MaybeChanged);
    }
    batch.counters.steps.commit += started.elapsed();
}

fn known_queue(player: &mut Player) -> Option<&mut LoadedQueue> {
    match &mut player.state {
        PlayerState::Finished(FinalQueue::Known(loaded)) => Some(loaded),
        _ => None,
    }
}

/// The same queue under its next version, without an outbox.
fn correction_of(ctx: &Context<'_>, player: &mut Player) -> Option<QueueWrite> {
    let queue = &known_queue(player)?.queue.as_ref()?.queue;
    Some(QueueWrite {
        player_id: queue.player_id.clone(),
        expected: queue.version - 1,
        version: queue.version,
        queue: codec::encode(queue),
        outbox: None,
        due_at: queue.due_at(ctx.platform.settings.rules),
        due_before: stale_due_entry(),
    })
}

/// The outcome of the write of one player.
type WriteOutcome<'p> = (&'p mut Player, Result<(), WriteError>);

/// Why a queue was not written.
#[derive(Debug)]
enum WriteError {
    /// The row has another version than the write expects.
    Conflict,
    /// The store refused the write, or failed.
    Store(StoreError),
    /// The deadline passed before the store answered. Whether the write took place is unknown.
    Deadline,
}

/// Writes the queues of `players`, each if the row has the expected version. `write_of` makes the
/// write of a player when its call begins: the encoded bytes of all queues at once would take much
/// memory.
async fn write_queues<'p>(
    ctx: &Context<'_>,
    players: Vec<&'p mut Player>,
    write_of: fn(&Context<'_>, &mut Player) -> Option<QueueWrite>,
    counters: &mut Counters,
) -> Vec<WriteOutcome<'p>> {
    let settings = &ctx.platform.settings;
    let (shared, single): (Vec<_>, Vec<_>) =
        players.into_iter().partition(|player| player.grouping == Grouping::Shared);
    let calls = chunks(shared, settings.commit_batch).chain(chunks(single, 1)).map(|players| async move {
        let with_write = |player: &'p mut Player| write_of(ctx, player).map(|write| (player, write));
        let (players, writes): (Vec<_>, Vec<_>) = players.into_iter().filter_map(with_write).unzip();
        (players, timeout_at(ctx.deadline, ctx.platform.store.commit(&writes)).await)
    });
    // Collected first: the future of a mapped stream would not be known to be `Send`.
    let calls: Vec<_> = calls.collect();
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(settings.concurrency).collect().await;
    let mut outcomes = Vec::new();
    for (players, answer) in answers {
        match answer {
            Ok(response) => {
                counters.commits.calls += response.calls;
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
