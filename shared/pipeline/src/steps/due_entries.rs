//! Due entries: takes queues out of the due index that are in it only for the sake of their records.
//!
//! Where nothing delivers again what a crash cuts short, a commit that leads to records leaves its queue in
//! the due index. Once the records are written, a second write removes the stale entry. If the process
//! dies in between, the next run that finds the queue writes its records again, and then does the same.

use std::{sync::Arc, time::Instant};

use millrace_domain::codec;
use millrace_store::QueueWrite;

use crate::{
    batch::Batch,
    context::Context,
    loaded_queue::{DueEntry, LoadedQueue, Provenance},
    player::{FinalQueue, Player, PlayerState},
    writes::{WriteError, write_queues},
};

/// Corrects the due entries of finished players. A failure fails nothing: the entry stays, and the next
/// tick or run that finds it there corrects it.
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
    for (player, outcome) in write_queues(ctx, stale, write_of, &mut batch.counters).await {
        match outcome {
            Ok(()) => {
                batch.counters.committed += 1;
                batch.counters.due_entries_corrected += 1;
                if let Some(loaded) = known_queue(player) {
                    loaded.due_entry = DueEntry::Accurate;
                }
                continue;
            }
            // Another process has changed the queue since, and has said when it is due.
            Err(WriteError::Conflict) => batch.counters.conflicts += 1,
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
fn write_of(ctx: &Context<'_>, player: &mut Player) -> Option<QueueWrite> {
    let queue = &known_queue(player)?.queue.as_ref()?.queue;
    Some(QueueWrite {
        player_id: queue.player_id.clone(),
        expected: queue.version - 1,
        version: queue.version,
        queue: codec::encode(queue),
        outbox: None,
        due_at: queue.due_at(ctx.platform.settings.rules),
    })
}
