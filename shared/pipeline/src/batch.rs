//! The batch: all items of one invocation, grouped by player, on their way through the steps.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use millrace_domain::{
    FeatureSwitch, PlayerId, Rejection, RejectionReason, codec::CachedQueue, record::RejectionRecord,
};
use millrace_store::MAX_ROW_BYTES;

use crate::{
    context::Context,
    counters::Counters,
    failure::Failure,
    grouping::grouping_of,
    item::{Action, Item, Outcome},
    message::Message,
    player::{FinalQueue, Player, PlayerState},
};

/// Bytes of a row that a malformed body may not take: names, keys and the detail need them.
const ROW_OVERHEAD_BYTES: usize = 16 * 1024;

/// Where an invocation came from, which decides how failures are handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// SQS: failed messages are named in the answer.
    Sqs,
    /// Anything else, such as EventBridge, Scheduler, Pipes or a direct call: the invocation fails,
    /// so that the invoker repeats it.
    Invoker,
}

/// Input that could not be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct MalformedItem {
    /// The message that it came in, by its position in [`Batch::messages`].
    pub message: usize,
    /// The player, where the input names one.
    pub player_id: Option<PlayerId>,
    /// The row that keeps it.
    pub record: RejectionRecord,
    /// What became of it: rejected, or failed where no row can keep it.
    pub outcome: Outcome,
}

/// All items of one invocation, grouped by player.
#[derive(Debug)]
pub struct Batch {
    /// Where the invocation came from.
    pub source: Source,
    /// The messages, in the order of the payload.
    pub messages: Vec<Message>,
    /// The players, in the order of their first item.
    pub players: Vec<Player>,
    /// The malformed input, in the order of the payload.
    pub malformed: Vec<MalformedItem>,
    /// Whether the rows of the malformed input were handed to the batch writer.
    pub malformed_recorded: bool,
    /// What the steps have counted so far.
    pub counters: Counters,
    /// The players whose writes share calls.
    batching: FeatureSwitch,
    positions: HashMap<PlayerId, usize, RandomState>,
    items: usize,
}

impl Batch {
    /// An empty batch with room for `capacity` messages. `batching` names the players whose writes
    /// share calls.
    pub fn new(source: Source, batching: FeatureSwitch, capacity: usize) -> Self {
        Self {
            source,
            batching,
            messages: Vec::with_capacity(capacity),
            players: Vec::with_capacity(capacity),
            malformed: Vec::new(),
            malformed_recorded: false,
            counters: Counters::default(),
            positions: HashMap::with_capacity_and_hasher(capacity, RandomState::default()),
            items: 0,
        }
    }

    /// A batch of one tick for each of `players`.
    pub fn of_ticks(ctx: &Context<'_>, players: impl ExactSizeIterator<Item = PlayerId>) -> Self {
        let mut batch = Self::new(Source::Invoker, ctx.platform.settings.batching, players.len());
        let message = batch.add_message(ctx.invocation.request_id.clone(), None);
        players.for_each(|player| batch.add_item(message, player, Action::Tick));
        batch
    }

    /// Adds a message, and returns its position.
    pub fn add_message(&mut self, id: String, fifo_group: Option<String>) -> usize {
        self.messages.push(Message { id, fifo_group, trace: None, is_handed_back: false });
        self.messages.len() - 1
    }

    /// Adds an item behind the items that the player has already.
    pub fn add_item(&mut self, message: usize, player_id: PlayerId, action: Action) {
        let position = *self.positions.entry(player_id).or_insert_with_key(|player_id| {
            self.players.push(Player::new(player_id.clone(), grouping_of(player_id, self.batching)));
            self.players.len() - 1
        });
        self.players[position].add(Item { message, order: self.items, action, outcome: Outcome::Undecided });
        self.items += 1;
    }

    /// Adds malformed input. It is rejected for good, unless no row can keep it.
    pub fn add_malformed(&mut self, message: usize, player_id: Option<PlayerId>, record: RejectionRecord) {
        let (bytes, max) = (record.body.as_ref().map_or(0, String::len), MAX_ROW_BYTES - ROW_OVERHEAD_BYTES);
        let outcome = match bytes > max {
            true => {
                self.messages[message].is_handed_back = true;
                Outcome::Failed(Failure::malformed_too_large(bytes, max))
            }
            false => Outcome::Rejected(Rejection::new(RejectionReason::Malformed, record.detail.clone())),
        };
        self.malformed.push(MalformedItem { message, player_id, record, outcome });
    }

    /// Whether some items are not applied yet.
    pub fn has_unapplied_items(&self) -> bool {
        self.players.iter().any(Player::has_unapplied_items)
    }

    /// Hands back every message behind a handed-back one of the same FIFO group, with its items.
    ///
    /// SQS delivers a failed message again behind those that succeeded: the order would be lost.
    /// Items that are decided already stay so; when they come again they are duplicates.
    pub fn hand_back_rest_of_groups(&mut self) {
        if !self.messages.iter().any(|message| message.is_handed_back) {
            return;
        }
        let mut broken: HashSet<&str> = HashSet::new();
        for Message { fifo_group, is_handed_back, .. } in &mut self.messages {
            let Some(group) = fifo_group.as_deref() else { continue };
            if *is_handed_back {
                broken.insert(group);
            } else {
                *is_handed_back = broken.contains(group);
            }
        }
        let messages = &self.messages;
        let is_behind = |item: &Item| {
            let message = &messages[item.message];
            message.is_handed_back && message.fifo_group.is_some()
        };
        for player in &mut self.players {
            player.hand_back(is_behind, Failure::earlier_message());
        }
    }

    /// The newest queue of a player, where it is known and its records are written.
    pub fn newest_queue(&self, player_id: &PlayerId) -> Option<Arc<CachedQueue>> {
        let player = &self.players[*self.positions.get(player_id)?];
        match &player.state {
            PlayerState::Finished(FinalQueue::Known(loaded)) => loaded.queue.clone(),
            _ => None,
        }
    }

    /// All items that were understood.
    pub fn items(&self) -> impl Iterator<Item = (&PlayerId, &Item)> {
        self.players.iter().flat_map(|player| player.items().map(|item| (&player.player_id, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_fifo_group_is_handed_back_and_nothing_else() {
        let mut batch = Batch::new(Source::Sqs, FeatureSwitch::ON, 6);
        for group in [Some("a"), Some("b"), Some("a"), None, Some("a"), Some("b")] {
            batch.add_message("m".to_owned(), group.map(str::to_owned));
        }
        batch.messages[2].is_handed_back = true;
        batch.hand_back_rest_of_groups();
        let handed_back: Vec<bool> = batch.messages.iter().map(|message| message.is_handed_back).collect();
        assert_eq!(handed_back, [false, false, true, false, true, false]);
    }

    #[test]
    fn items_are_grouped_by_player_in_the_order_of_the_payload() {
        let player = |name: &str| PlayerId::new(name).unwrap();
        let mut batch = Batch::new(Source::Invoker, FeatureSwitch::ON, 1);
        let message = batch.add_message("m".to_owned(), None);
        ["a", "b", "a"].into_iter().for_each(|name| batch.add_item(message, player(name), Action::Tick));
        let orders: Vec<(&str, usize)> = batch.items().map(|(player, item)| (player.as_str(), item.order)).collect();
        assert_eq!(orders, [("a", 0), ("a", 2), ("b", 1)]);
    }
}
