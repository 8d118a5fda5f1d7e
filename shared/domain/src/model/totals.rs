//! What became of the tasks of a queue.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::resources::Resources;

/// The largest number of different resources whose rewards are totalled.
///
/// Names that occur once, such as `sword-<uuid>`, would fill the row for ever. So only the first
/// resources are totalled. Rewards of all others are credited and not totalled.
pub const MAX_TOTALLED_RESOURCES: usize = 256;

/// Counts over all finished tasks of a queue, forgotten ones included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct Totals {
    /// Tasks completed.
    #[n(0)]
    pub completed: u64,
    /// Tasks failed for good.
    #[n(1)]
    pub failed: u64,
    /// Tasks cancelled.
    #[n(2)]
    pub cancelled: u64,
    /// Milliseconds from the last start to the completion of completed tasks, pauses excluded.
    #[n(3)]
    pub time_spent_ms: u64,
    /// Rewards credited, by resource: of the first [`MAX_TOTALLED_RESOURCES`] different ones.
    #[cbor(n(4), skip_if = "Resources::is_empty")]
    pub rewards: Resources,
}

impl Totals {
    /// The number of finished tasks.
    pub fn finished(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Adds rewards that were credited. A further resource is not totalled once
    /// [`MAX_TOTALLED_RESOURCES`] are.
    pub fn add_rewards(&mut self, rewards: &Resources) {
        for (name, amount) in rewards.iter() {
            if self.rewards.len() < MAX_TOTALLED_RESOURCES || self.rewards.contains(name) {
                self.rewards.add(name, amount);
            }
        }
    }
}
