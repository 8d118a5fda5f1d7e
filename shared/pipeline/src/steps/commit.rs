//! Commit: one conditional write for each changed player.

use std::time::{Duration, Instant};

use millrace_domain::{
    Change,
    codec::{self, Outbox},
};
use millrace_store::QueueWrite;
use tokio::time;

use crate::{
    batch::Batch,
    context::Context,
    failure::Failure,
    loaded_queue::{DueEntry, Provenance},
    player::{Missing, Player, PlayerState},
    writes::{WriteError, write_queues},
};

/// Longest wait after a version conflict.
const MAX_CONFLICT_BACKOFF: Duration = Duration::from_secs(1);

/// Commits the queue of every player whose items were applied. Where they changed nothing in the table,
/// there is nothing to commit.
///
/// A version conflict sends the player back to load, from the table, a bounded number of times.
pub async fn commit(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let mut changed: Vec<&mut Player> = Vec::new();
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Applied(applied) if applied.change != Change::Decided => {
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
                batch.counters.committed += 1;
                batch.counters.lateness.add(&applied.completed_at, committed_at);
                player.commits += 1;
                player.conflicts = 0;
                applied.loaded.provenance = Provenance::Table;
                applied.loaded.fresh_at = ctx.now;
                player.state = PlayerState::Committed(applied);
            }
            Err(WriteError::Conflict) => {
                batch.counters.conflicts += 1;
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
    let outbox = Outbox(std::mem::take(&mut applied.records));
    let outbox_bytes = (!outbox.0.is_empty()).then(|| codec::encode(&outbox));
    applied.records = outbox.0;
    let queue = &applied.loaded.queue.as_ref()?.queue;
    let mut due_at = queue.due_at(settings.rules);
    applied.loaded.due_entry = DueEntry::Accurate;
    if outbox_bytes.is_some() && !settings.is_redelivered {
        // If this process dies before the records are written, nothing delivers the commands again. The
        // queue stays in the due index, so that the next run of `advance-queues` finds it.
        due_at = Some(due_at.map_or(queue.advanced_to, |due| due.min(queue.advanced_to)));
        applied.loaded.due_entry = DueEntry::Stale;
    }
    Some(QueueWrite {
        player_id: queue.player_id.clone(),
        expected: applied.base_version,
        version: queue.version,
        queue: codec::encode(queue),
        outbox: outbox_bytes,
        due_at,
    })
}
