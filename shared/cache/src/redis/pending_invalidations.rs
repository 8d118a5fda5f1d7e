//! Pending invalidations: players whose copy in Redis may be stale because Redis did not answer.
//!
//! The next call that Redis answers tells it to remove these copies. After an outage they are sent
//! without a call (`recovery`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use millrace_domain::PlayerId;

use super::command::Forget;

/// The maximum number of players. The stale copies of further players live until the end of their
/// time, as they would if this process had ended.
const MAX_PLAYERS: usize = 10_000;
/// The maximum number of players that one call sends.
const MAX_PER_CALL: usize = 500;

/// Players with the copies that are to be removed.
#[derive(Debug, Default)]
pub(super) struct PendingInvalidations(Mutex<HashMap<PlayerId, Forget, RandomState>>);

impl PendingInvalidations {
    fn players(&self) -> MutexGuard<'_, HashMap<PlayerId, Forget, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.players().is_empty()
    }

    /// The number of players.
    pub(super) fn len(&self) -> usize {
        self.players().len()
    }

    /// Whether a player's copy may be stale.
    pub(super) fn contains(&self, player: &PlayerId) -> bool {
        self.players().contains_key(player)
    }

    /// Adds players. Of two invalidations of a player the one that removes more is kept.
    pub(super) fn add(&self, invalidations: impl IntoIterator<Item = (PlayerId, Forget)>) {
        let mut players = self.players();
        for (player, which) in invalidations {
            if let Some(known) = players.get_mut(&player) {
                *known = which.max(*known);
            } else if players.len() < MAX_PLAYERS {
                players.insert(player, which);
            }
        }
    }

    /// Takes out all of the players that are about to be read, and some others.
    pub(super) fn take(&self, reads: &[PlayerId]) -> Vec<(PlayerId, Forget)> {
        let mut players = self.players();
        if players.is_empty() {
            return Vec::new();
        }
        let mut taken: Vec<_> = reads.iter().filter_map(|player| players.remove_entry(player)).collect();
        let room = MAX_PER_CALL.saturating_sub(taken.len());
        let others: Vec<PlayerId> = players.keys().take(room).cloned().collect();
        taken.extend(others.into_iter().filter_map(|player| players.remove_entry(&player)));
        taken
    }

    /// Drops players whose copy is about to be replaced by one that may stay.
    pub(super) fn settle(&self, puts: &[(PlayerId, Forget)]) {
        let mut players = self.players();
        if players.is_empty() {
            return;
        }
        for (player, put) in puts {
            if players.get(player).is_some_and(|pending| *pending == Forget::Any || pending <= put) {
                players.remove(player);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;

    fn invalidation(player: &str, version: u64) -> (PlayerId, Forget) {
        (PlayerId::new(player).unwrap(), Forget::OlderThan(Stamp::of_version(version)))
    }

    fn removal(player: &str) -> (PlayerId, Forget) {
        (PlayerId::new(player).unwrap(), Forget::Any)
    }

    #[test]
    fn the_newest_stamp_of_a_player_is_pending() {
        let pending = PendingInvalidations::default();
        pending.add([invalidation("a", 2), invalidation("a", 3), invalidation("a", 1)]);
        assert_eq!(pending.take(&[]), [invalidation("a", 3)]);
        assert!(pending.is_empty());
    }

    #[test]
    fn the_removal_of_every_copy_stays_pending_until_the_next_put() {
        let pending = PendingInvalidations::default();
        pending.add([invalidation("a", 2), removal("a"), invalidation("a", 3)]);
        assert_eq!(pending.take(&[]), [removal("a")]);
        pending.add([removal("a")]);
        pending.settle(&[invalidation("a", 1)]);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_put_settles_an_invalidation_that_is_not_newer() {
        let pending = PendingInvalidations::default();
        pending.add([invalidation("a", 2), invalidation("b", 2), invalidation("c", 2)]);
        pending.settle(&[invalidation("a", 2), invalidation("b", 1), invalidation("c", 3)]);
        assert_eq!(pending.take(&[]), [invalidation("b", 2)]);
    }

    #[test]
    fn the_number_of_players_is_bounded() {
        let pending = PendingInvalidations::default();
        pending.add((0..MAX_PLAYERS + 10).map(|n| invalidation(&format!("p-{n}"), 1)));
        assert_eq!(pending.len(), MAX_PLAYERS);
        assert_eq!(pending.take(&[]).len(), MAX_PER_CALL);
        let reads: Vec<PlayerId> = pending.players().keys().take(MAX_PER_CALL + 1).cloned().collect();
        assert_eq!(pending.take(&reads).len(), reads.len(), "all that are about to be read");
    }
}
