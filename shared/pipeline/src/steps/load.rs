//! Load: queues from the local cache, the shared cache, then the table.
//!
//! One lookup in each cache for all players, and one strongly consistent read of the table for what
//! is left: queues that no cache has, queues whose copy is stale, and progress rows.
//!
//! Before an attempt fails for a lost heartbeat, its progress row is read, because a report between
//! milestones is only there. For a queue that comes from the table, this takes a second read.

use std::time::Instant;

use millrace_domain::PlayerId;
use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    batch::Batch,
    context::Context,
    counters::Counters,
    loaded_queue::LoadedQueue,
    lookup::lookup_before,
    player::{Missing, Player, PlayerState},
    rows::{RowRequest, Rows, read_rows},
};

/// Loads the queue of every player that lacks one. A player whose queue cannot be read fails.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn load(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    look_up(ctx, &mut batch.players, &mut batch.counters).await;
    while read_missing(ctx, batch).await {}
    batch.counters.steps.load += started.elapsed();
}

/// Reads what is missing of each player. Returns whether more has to be read.
async fn read_missing(ctx: &Context<'_>, batch: &mut Batch) -> bool {
    let (mut players, mut requests): (Vec<&mut Player>, Vec<RowRequest>) = (Vec::new(), Vec::new());
    for player in &mut batch.players {
        if let Some(request) = request_of(player) {
            players.push(player);
            requests.push(request);
        }
    }
    let lack_reports: Vec<bool> = requests.iter().map(|request| matches!(request.rows, Rows::Queue)).collect();
    let results = read_rows(ctx, requests, &mut batch.counters).await;
    let mut more = false;
    for ((player, lacks_reports), result) in players.into_iter().zip(lack_reports).zip(results) {
        match result {
            Ok(loaded) if lacks_reports && loaded.needs_last_reports(ctx.now) => {
                player.state = PlayerState::Unloaded(Missing::ProgressRow(loaded));
                more = true;
            }
            Ok(loaded) => player.state = PlayerState::Loaded(loaded),
            Err(failure) => player.fail(&failure, &mut batch.messages),
        }
    }
    more
}

/// Looks for copies in the caches. What is missing then is in the players' states.
async fn look_up(ctx: &Context<'_>, players: &mut [Player], counters: &mut Counters) {
    let is_new = |player: &&mut Player| matches!(player.state, PlayerState::Unloaded(Missing::Queue));
    let players: Vec<&mut Player> = players.iter_mut().filter(is_new).collect();
    if players.is_empty() {
        return;
    }
    let keys: Vec<PlayerId> = players.iter().map(|player| player.player_id.clone()).collect();
    let lookup = lookup_before(ctx.deadline, keys.len(), ctx.platform.cache.take(&keys, ctx.now)).await;
    counters.cache.shared_errors.get += lookup.shared_errors;
    for (player, hit) in players.into_iter().zip(lookup.hits) {
        counters.cache.count(hit.as_ref());
        // A queue is cached once its records are written.
        player.recorded_version = hit.as_ref().map_or(0, |hit| hit.copy.cached.queue.version);
        player.state = match hit.map(|hit| LoadedQueue::from_cache(hit.copy)) {
            None => PlayerState::Unloaded(Missing::QueueRow),
            Some(loaded) if player.needs_progress && loaded.lacks_progress() || loaded.needs_last_reports(ctx.now) => {
                PlayerState::Unloaded(Missing::ProgressRow(loaded))
            }
            Some(loaded) => PlayerState::Loaded(loaded),
        };
    }
}

/// What has to be read from the table for a player.
fn request_of(player: &mut Player) -> Option<RowRequest> {
    let player_id = player.player_id.clone();
    match player.take_state() {
        PlayerState::Unloaded(Missing::ProgressRow(loaded)) => Some(RowRequest::progress(player_id, loaded)),
        PlayerState::Unloaded(_) => Some(RowRequest {
            recorded_version: player.recorded_version,
            ..RowRequest::queue(player_id, player.needs_progress)
        }),
        state => {
            player.state = state;
            None
        }
    }
}
