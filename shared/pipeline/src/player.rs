//! A player of a batch: the items, and the state of the queue on its way through the steps.

use std::sync::Arc;

use millrace_domain::PlayerId;
use millrace_store::Grouping;
use smallvec::SmallVec;

use crate::{
    applied::Applied,
    failure::Failure,
    item::{Item, Outcome},
    loaded_queue::LoadedQueue,
    message::Message,
};

/// Most items of one player that an invocation takes.
///
/// A queue remembers all commands of the batch that changed it last, 17 bytes each. The module
/// `row_size` shows that a row has room for them.
pub const MAX_PLAYER_ITEMS: usize = 1_000;

/// Where a player stands.
#[derive(Debug)]
pub enum PlayerState {
    /// Something has to be read before items can be applied.
    Unloaded(Missing),
    /// The queue is there; items can be applied.
    Loaded(LoadedQueue),
    /// Items are applied; the queue has to be committed.
    Applied(Applied),
    /// The queue is committed, or nothing about it had to be; the records have to be written.
    Committed(Applied),
    /// No item is open any more.
    Finished(FinalQueue),
}

/// What has to be read.
#[derive(Debug)]
pub enum Missing {
    /// The queue, from the caches or else from the table.
    Queue,
    /// The queue row: a cached copy may be stale.
    QueueRow,
    /// The progress row: the progress is not known, or an attempt would fail for a lost heartbeat.
    ProgressRow(LoadedQueue),
}

/// What is known of the queue when no item is open any more, which decides what the caches are
/// told.
#[derive(Debug)]
pub enum FinalQueue {
    /// The newest version, with its records written.
    Known(LoadedQueue),
    /// The table may hold a version whose records are not written: copies must go.
    MaybeChanged,
    /// Nothing was written: copies stay as they are.
    Unchanged,
}

/// A player of a batch.
#[derive(Debug)]
pub struct Player {
    /// The player.
    pub player_id: PlayerId,
    /// Where the player stands.
    pub state: PlayerState,
    /// Whether the writes of the player share calls with those of other players.
    pub grouping: Grouping,
    /// Whether the progress between milestones has to be known.
    pub needs_progress: bool,
    /// The version of the copy that a cache had, whose records are written; 0 where none had one.
    pub recorded_version: u64,
    /// How often this invocation has committed the queue.
    pub commits: u32,
    /// How many version conflicts the commands met since the last commit.
    pub conflicts: u32,
    items: SmallVec<[Item; 1]>,
    /// How many of the items, the first ones, are decided for good.
    decided: usize,
    /// Items that have to be delivered again, and were not applied.
    handed_back: Vec<Item>,
}

impl Player {
    pub(crate) fn new(player_id: PlayerId, grouping: Grouping) -> Self {
        Self {
            player_id,
            grouping,
            state: PlayerState::Unloaded(Missing::Queue),
            needs_progress: false,
            recorded_version: 0,
            commits: 0,
            conflicts: 0,
            items: SmallVec::new(),
            decided: 0,
            handed_back: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, item: Item) {
        self.needs_progress |= item.action.reports_progress();
        self.items.push(item);
    }

    /// Hands back the items beyond [`MAX_PLAYER_ITEMS`], by whole messages: the commands of a
    /// message are remembered together.
    pub(crate) fn bound(&mut self, messages: &mut [Message]) {
        let Some(first) = self.items.get(MAX_PLAYER_ITEMS).map(|item| item.message) else { return };
        let taken = self.items.partition_point(|item| item.message < first);
        for mut item in self.items.drain(taken..) {
            item.outcome = Outcome::Failed(Failure::too_many_commands(MAX_PLAYER_ITEMS));
            messages[item.message].is_handed_back = true;
            self.handed_back.push(item);
        }
        if self.items.is_empty() {
            self.state = PlayerState::Finished(FinalQueue::Unchanged);
        }
    }

    /// All items.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().chain(&self.handed_back)
    }

    /// The items that this invocation applies, and how many of them, the first ones, are decided.
    pub(crate) fn work(&mut self) -> (&PlayerId, &mut [Item], usize) {
        (&self.player_id, &mut self.items, self.decided)
    }

    /// The items that this invocation applies and that are not decided for good.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = &Item> {
        self.items[self.decided..].iter()
    }

    /// Whether some items are not applied yet.
    pub fn has_unapplied_items(&self) -> bool {
        matches!(self.state, PlayerState::Unloaded(_) | PlayerState::Loaded(_))
    }

    /// Takes the state out; the caller puts the next one in.
    pub(crate) fn take_state(&mut self) -> PlayerState {
        std::mem::replace(&mut self.state, PlayerState::Finished(FinalQueue::Unchanged))
    }

    /// The writes of what was applied succeeded: it stands. Returns to apply where items are left.
    pub(crate) fn conclude(&mut self, applied: Applied) {
        self.decided += applied.count;
        let is_done = self.decided == self.items.len();
        self.state = match (is_done, applied.into_loaded()) {
            (false, loaded) => PlayerState::Loaded(loaded),
            (true, loaded) => PlayerState::Finished(FinalQueue::Known(loaded)),
        };
    }

    /// The same for what was applied on trial: the queue keeps the version of its row.
    pub(crate) fn conclude_on_trial(&mut self, mut applied: Applied) {
        if let Some(cached) = &mut applied.loaded.queue {
            Arc::make_mut(cached).queue.version = applied.base_version;
        }
        self.conclude(applied);
    }

    /// Fails every item that is not decided. Copies stay where it is certain that the row is
    /// unchanged.
    pub(crate) fn fail(&mut self, failure: &Failure, messages: &mut [Message]) {
        for item in &mut self.items[self.decided..] {
            item.outcome = Outcome::Failed(failure.clone());
            messages[item.message].is_handed_back = true;
        }
        // A commit of an earlier round is in no cache yet; after a conflict the copies are stale.
        self.state = PlayerState::Finished(match self.commits + self.conflicts {
            0 => FinalQueue::Unchanged,
            _ => FinalQueue::MaybeChanged,
        });
    }

    /// The same after a write that may have taken place.
    pub(crate) fn fail_maybe_changed(&mut self, failure: &Failure, messages: &mut [Message]) {
        self.fail(failure, messages);
        self.state = PlayerState::Finished(FinalQueue::MaybeChanged);
    }

    /// Takes undecided items out of the work; they fail. What was applied together with them is
    /// undone: the queue is read again.
    pub(crate) fn hand_back(&mut self, is_affected: impl Fn(&Item) -> bool, failure: Failure) {
        let is_written = matches!(self.state, PlayerState::Committed(_) | PlayerState::Finished(_));
        if is_written || !self.items[self.decided..].iter().any(&is_affected) {
            return;
        }
        let decided = self.decided;
        let (items, mut position) = (std::mem::take(&mut self.items), 0);
        for mut item in items {
            if position >= decided && is_affected(&item) {
                item.outcome = Outcome::Failed(failure.clone());
                self.handed_back.push(item);
            } else {
                self.items.push(item);
            }
            position += 1;
        }
        let nothing_left = self.decided == self.items.len();
        self.state = match (self.take_state(), nothing_left) {
            (PlayerState::Loaded(loaded), true) => PlayerState::Finished(FinalQueue::Known(loaded)),
            (_, true) if self.commits + self.conflicts > 0 => PlayerState::Finished(FinalQueue::MaybeChanged),
            (_, true) => PlayerState::Finished(FinalQueue::Unchanged),
            (PlayerState::Applied(_), false) => PlayerState::Unloaded(Missing::QueueRow),
            (state, false) => state,
        };
    }
}
