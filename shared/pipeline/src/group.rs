//! Group: the work of each player, in the order in which it came.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use millrace_domain::PlayerId;
use smallvec::SmallVec;

use crate::decode::{Item, Task};

/// The work of one player.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerWork {
    /// The player.
    pub player_id: PlayerId,
    /// Positions among the event's items.
    pub items: SmallVec<[usize; 1]>,
    /// Whether some item reports progress, so that progress between milestones must be known.
    pub reports: bool,
}

/// Groups the event's items by player; players come in the order of their first item.
pub fn group(items: &[Item]) -> Vec<PlayerWork> {
    let mut players: Vec<PlayerWork> = Vec::with_capacity(items.len());
    let mut positions: HashMap<&PlayerId, usize, RandomState> =
        HashMap::with_capacity_and_hasher(items.len(), RandomState::default());
    for (at, item) in items.iter().enumerate() {
        let player_id = item.task.player_id();
        let position = *positions.entry(player_id).or_insert_with(|| {
            players.push(PlayerWork { player_id: player_id.clone(), items: SmallVec::new(), reports: false });
            players.len() - 1
        });
        players[position].items.push(at);
        players[position].reports |= matches!(
            &item.task,
            Task::Command(delivery) if matches!(delivery.command, millrace_domain::Command::ReportProgress { .. })
        );
    }
    players
}
