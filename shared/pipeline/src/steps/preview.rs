//! Preview: decides the items of a batch on trial.
//!
//! The rows are read from the table, because a cached copy may be stale. Nothing is written,
//! published, cached or remembered. An outbox that a crashed process left is not written either:
//! the next command or read does that.

use crate::{
    batch::Batch,
    context::Context,
    player::{Player, PlayerState},
    rows::{RowRequest, peek_rows},
};

/// Reads the queue of every player. A player whose queue cannot be read fails.
pub async fn load(ctx: &Context<'_>, batch: &mut Batch) {
    let players: Vec<&mut Player> = batch.players.iter_mut().filter(|player| player.has_unapplied_items()).collect();
    let requests = players.iter().map(|player| RowRequest::queue(player.player_id.clone(), true)).collect();
    let results = peek_rows(ctx, requests, &mut batch.counters).await;
    for (player, result) in players.into_iter().zip(results) {
        match result {
            Ok(loaded) => player.state = PlayerState::Loaded(loaded),
            Err(failure) => player.fail(&failure, &mut batch.messages),
        }
    }
}

/// Takes what was applied as the queue that the next items are applied to. It keeps the version
/// that is in the table.
pub fn conclude(batch: &mut Batch) {
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Applied(applied) => player.conclude_on_trial(applied),
            state => player.state = state,
        }
    }
}
