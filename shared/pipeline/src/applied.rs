//! What is applied to a queue, and what that led to.

use millrace_domain::{EventsRecord, PlayerId, RequiredWrite, Rules, Timestamp, codec::Outbox};
use smallvec::SmallVec;

use crate::{
    event_destination::Publishing,
    item::Item,
    loaded_queue::{LoadedQueue, Provenance},
};

/// What is applied to what.
pub struct ApplyInput<'a> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// The queue.
    pub loaded: LoadedQueue,
    /// All items of the player. What came in one batch is remembered together.
    pub items: &'a mut [Item],
    /// How many of the items, the first ones, are decided already.
    pub decided: usize,
    /// The time of the server.
    pub now: Timestamp,
    /// The rules for every queue.
    pub rules: Rules,
    /// Which events are published; none: no events.
    pub publishing: Option<&'a Publishing>,
}

/// Applies items. The shipped way is [`apply_items`](crate::steps::apply::apply_items); tests
/// inject faults.
pub type ApplyFn = fn(ApplyInput<'_>) -> Applied;

/// What applying the items of a player led to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The queue after it, with where the queue before it came from.
    pub loaded: LoadedQueue,
    /// The version of the queue before it, which the commit expects in the table.
    pub base_version: u64,
    /// What has to be written.
    pub change: RequiredWrite,
    /// How many items were applied: all, unless their records fill an outbox.
    pub count: usize,
    /// The records and events of what was decided, until they become rows.
    pub outbox: Outbox,
    /// The most bytes that they take in the row.
    pub outbox_bytes: usize,
    /// The events once they are records, until they are published.
    pub events: Option<EventsRecord>,
    /// When the timed work was due that completed.
    pub completed_at: SmallVec<[Timestamp; 1]>,
    /// How many attempts have missed a deadline.
    pub attempts_timed_out: u64,
    /// When the queue was due before it.
    pub due_before: Option<Timestamp>,
    /// Whether some item changed nothing. No conditional write checks that, so it counts only where
    /// the queue is the one in the table.
    pub is_unconfirmed: bool,
}

impl Applied {
    /// Nothing is applied to the queue yet.
    pub fn new(loaded: LoadedQueue) -> Self {
        Self {
            base_version: loaded.version(),
            loaded,
            change: RequiredWrite::Nothing,
            count: 0,
            outbox: Outbox::default(),
            outbox_bytes: 0,
            events: None,
            completed_at: SmallVec::new(),
            attempts_timed_out: 0,
            due_before: None,
            is_unconfirmed: false,
        }
    }

    /// Whether it rests on a cached copy that may be stale, and no conditional write will check it.
    pub fn rests_on_stale_copy(&self) -> bool {
        self.is_unconfirmed && self.change != RequiredWrite::Commit && self.loaded.provenance != Provenance::Table
    }

    /// The queue after it, to be cached or to apply further items to.
    pub fn into_loaded(self) -> LoadedQueue {
        let mut loaded = self.loaded;
        if self.change == RequiredWrite::Progress && loaded.provenance == Provenance::Cache {
            loaded.provenance = Provenance::CacheWithProgress;
        }
        loaded
    }
}
