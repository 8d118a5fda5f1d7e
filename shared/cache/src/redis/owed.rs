//! Players whose last copy Redis has not got, because it did not answer.
//!
//! It may still hold an older one. Redis is told so with the next call that it answers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use millrace_domain::PlayerId;

use crate::stamp::Stamp;

/// Most players remembered. Beyond that an older copy lives until its time is over, as it would if this
/// process had died.
const MAX_PLAYERS: usize = 10_000;
/// Most players told with one call.
const MAX_AT_ONCE: usize = 500;

/// Who is owed, and from which stamp on a copy is good.
#[derive(Debug, Default)]
pub(super) struct Owed(Mutex<HashMap<PlayerId, Stamp, RandomState>>);

impl Owed {
    fn players(&self) -> MutexGuard<'_, HashMap<PlayerId, Stamp, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are owed.
    pub(super) fn len(&self) -> usize {
        self.players().len()
    }

    /// Remembers players, each with its newest stamp.
    pub(super) fn add(&self, debts: impl IntoIterator<Item = (PlayerId, Stamp)>) {
        let mut players = self.players();
        for (player, stamp) in debts {
            if let Some(known) = players.get_mut(&player) {
                *known = stamp.max(*known);
            } else if players.len() < MAX_PLAYERS {
                players.insert(player, stamp);
            }
        }
    }

    /// Takes out some of them, those of `first` before all others.
    pub(super) fn take(&self, first: &[PlayerId]) -> Vec<(PlayerId, Stamp)> {
        let mut players = self.players();
        if players.is_empty() {
            return Vec::new();
        }
        // All of the first: they are about to be read.
        let mut taken: Vec<_> = first.iter().filter_map(|player| players.remove_entry(player)).collect();
        let room = MAX_AT_ONCE.saturating_sub(taken.len());
        let others: Vec<PlayerId> = players.keys().take(room).cloned().collect();
        taken.extend(others.into_iter().filter_map(|player| players.remove_entry(&player)));
        taken
    }

    /// Forgets players of which a copy was put that is as good as what is owed.
    pub(super) fn settle(&self, put: &[(PlayerId, Stamp)]) {
        let mut players = self.players();
        if players.is_empty() {
            return;
        }
        for (player, stamp) in put {
            if players.get(player).is_some_and(|owed| owed <= stamp) {
                players.remove(player);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debt(player: &str, version: u64) -> (PlayerId, Stamp) {
        (PlayerId::new(player).unwrap(), Stamp::of_version(version))
    }

    #[test]
    fn the_newest_stamp_of_a_player_is_owed() {
        let owed = Owed::default();
        owed.add([debt("a", 2), debt("a", 3), debt("a", 1)]);
        assert_eq!(owed.take(&[]), [debt("a", 3)]);
        assert_eq!(owed.len(), 0);
    }

    #[test]
    fn a_put_settles_what_is_no_newer() {
        let owed = Owed::default();
        owed.add([debt("a", 2), debt("b", 2), debt("c", 2)]);
        owed.settle(&[debt("a", 2), debt("b", 1), debt("c", 3)]);
        assert_eq!(owed.take(&[]), [debt("b", 2)]);
    }

    #[test]
    fn so_many_are_remembered_and_told_at_once_and_no_more() {
        let owed = Owed::default();
        owed.add((0..MAX_PLAYERS + 10).map(|n| debt(&format!("p-{n}"), 1)));
        assert_eq!(owed.len(), MAX_PLAYERS);
        assert_eq!(owed.take(&[]).len(), MAX_AT_ONCE);
        let first: Vec<PlayerId> = owed.players().keys().take(MAX_AT_ONCE + 1).cloned().collect();
        let taken = owed.take(&first);
        assert_eq!(taken.len(), first.len(), "all that are about to be read");
    }
}
