//! What became of the tasks of a queue.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::resources::Resources;

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
    /// Rewards credited.
    #[cbor(n(4), skip_if = "Resources::is_empty")]
    pub rewards: Resources,
}
