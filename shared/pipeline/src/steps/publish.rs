//! Publish: the events of every committed player, once its records are written.

use std::time::Instant;

use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    batch::Batch,
    context::Context,
    player::PlayerState,
    publishing::{CommitEvents, publish as publish_events},
};

/// Publishes the events of every committed player, and concludes the players whose events are
/// accepted: they are finished, or go back to apply with the items that the commit did not take.
///
/// A player whose events are not accepted fails. The outbox of its row has the events, and the next
/// load of the row publishes them.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn publish(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let mut commits: Vec<CommitEvents> = Vec::new();
    for (origin, player) in batch.players.iter_mut().enumerate() {
        if let PlayerState::Committed(applied) = &mut player.state
            && let Some(record) = applied.events.take()
            && let Some(cached) = &applied.loaded.queue
        {
            let (stats, grouping, count) = (cached.queue.stats(), player.grouping, applied.count);
            let trace = player.undecided().take(count).find_map(|item| batch.messages[item.message].trace);
            commits.push(CommitEvents { origin, record, stats, grouping, trace });
        }
    }
    for (origin, failure) in publish_events(ctx, commits, &mut batch.counters).await {
        // Cached copies must go: they would say that everything is published.
        batch.players[origin].fail_maybe_changed(&failure, &mut batch.messages);
    }
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Committed(applied) => player.conclude(applied),
            state => player.state = state,
        }
    }
    batch.counters.steps.publish += started.elapsed();
}
