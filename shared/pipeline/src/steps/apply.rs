//! Apply: the pure domain decides the items of each player.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use crate::{
    applied::Applied,
    apply_items::ApplyInput,
    batch::Batch,
    context::Context,
    failure::Failure,
    loaded_queue::LoadedQueue,
    player::{Missing, Player, PlayerState},
};

/// Applies the open items of every player whose queue is loaded.
///
/// Three things send a player on another way than to the commit:
/// - A panic is a bug, and stays with the player whose commands caused it: the player fails.
/// - In a FIFO group, items behind a failed message are handed back before anything is written. What was
///   applied together with them is read and applied again without them.
/// - An item that changes nothing is checked by no conditional write. Where the queue came from a cache,
///   it is read from the table and applied again.
pub fn apply(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    if ctx.is_over() {
        let open = batch.players.iter_mut().filter(|player| player.has_unapplied_items());
        open.for_each(|player| player.fail(&Failure::deadline(), &mut batch.messages));
    }
    batch.hand_back_rest_of_groups();
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Loaded(loaded) => match apply_player(ctx, player, loaded) {
                Ok(applied) if applied.rests_on_stale_copy() => {
                    player.state = PlayerState::Unloaded(Missing::QueueRow);
                }
                Ok(applied) => player.state = PlayerState::Applied(applied),
                Err(failure) => player.fail(&failure, &mut batch.messages),
            },
            state => player.state = state,
        }
    }
    batch.hand_back_rest_of_groups();
    batch.counters.steps.apply += started.elapsed();
}

/// Applies the open items of a player. A panic becomes a failure of this player alone.
fn apply_player(ctx: &Context<'_>, player: &mut Player, loaded: LoadedQueue) -> Result<Applied, Failure> {
    let (player_id, items, decided) = player.work();
    let input = ApplyInput { player_id, loaded, items, decided, now: ctx.now, rules: ctx.platform.settings.rules };
    // The queue is dropped with the panic, so that nothing half changed can be seen after it.
    catch_unwind(AssertUnwindSafe(|| (ctx.platform.apply)(input))).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!(player_id = player.player_id.as_str(), message, "applying the commands panicked");
        Failure::panicked(message)
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
