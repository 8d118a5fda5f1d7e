//! Refresh: the caches get every changed queue whose records are written, and forget queues whose
//! copies may be stale. A failure of the caches fails nothing.

use std::time::Instant;

use millrace_cache::CachedCopy;
use millrace_domain::PlayerId;
use millrace_telemetry::trace::TARGET;
use tokio::time::{self, timeout_at};
use tracing::instrument;

use crate::{
    batch::Batch,
    context::Context,
    loaded_queue::Provenance,
    player::{FinalQueue, PlayerState},
};

/// Puts all copies in one round trip, and at the same time invalidates others in another one.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn refresh(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let cache = &ctx.platform.cache;
    // In emergency mode a stale copy is better than none: the table may not be there to make a new
    // one.
    let keeps_stale_copies = cache.emergency(ctx.now).is_some();
    let (mut changed, mut stale): (Vec<CachedCopy>, Vec<PlayerId>) = (Vec::new(), Vec::new());
    for player in &mut batch.players {
        match &player.state {
            PlayerState::Finished(FinalQueue::Known(loaded)) => {
                let Some(copy) = loaded.copy() else { continue };
                match loaded.provenance {
                    // The load took it out of the local cache; the shared cache still has it.
                    Provenance::Cache => cache.put_local(copy),
                    Provenance::CacheWithProgress | Provenance::Table => changed.push(copy),
                }
            }
            PlayerState::Finished(FinalQueue::MaybeChanged) if keeps_stale_copies => {
                cache.forget_local(&player.player_id);
            }
            PlayerState::Finished(FinalQueue::MaybeChanged) => stale.push(player.player_id.clone()),
            _ => {}
        }
        // The cache holds the copy alone then, and the next invocation changes it in place.
        player.take_state();
    }
    if !changed.is_empty() || !stale.is_empty() {
        let put = async { if changed.is_empty() { 0 } else { cache.put(&changed, ctx.now).await } };
        let forget = async { if stale.is_empty() { 0 } else { cache.forget(&stale).await } };
        // Where the deadline cut off the work, the caches are still told: the margin is for that.
        let until = ctx.deadline.max(time::Instant::now() + ctx.platform.settings.deadline_margin / 4);
        batch.counters.cache.shared_errors.put += match timeout_at(until, async { tokio::join!(put, forget) }).await {
            Ok((put, forgotten)) => put + forgotten,
            Err(_) => 1,
        };
    }
    batch.counters.steps.refresh += started.elapsed();
}
