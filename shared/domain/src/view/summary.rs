//! A queue in a list of queues.

use std::collections::BTreeMap;

use serde::Serialize;

use super::blocked::{BlockedBy, Status, blocked_by};
use crate::{
    model::{queue::Queue, time::Timestamp},
    rules::deployment::Rules,
};

/// A queue in a list of queues, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueSummary {
    /// The version of the last commit.
    pub version: u64,
    /// Whether the queue is paused.
    pub status: Status,
    /// The largest number of active tasks.
    pub slots: u8,
    /// Unfinished tasks by state.
    pub tasks: TaskCounts,
    /// How many pending tasks wait for what. A task may wait for several things.
    pub blocked_by: BTreeMap<BlockedBy, u64>,
    /// The time of the last commit.
    pub last_changed_at: Timestamp,
}

/// Unfinished tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TaskCounts {
    /// Tasks that occupy a slot.
    pub active: u64,
    /// Tasks that wait for their start.
    pub pending: u64,
}

impl QueueSummary {
    /// The stored queue as of `now`. The queue itself does not change.
    pub fn new(stored: &Queue, now: Timestamp, rules: Rules) -> Self {
        let mut queue = stored.clone();
        queue.advance(now, rules, &mut Vec::new());
        let mut summary = Self {
            version: stored.version,
            status: Status::of(&queue),
            slots: queue.slots,
            tasks: TaskCounts::default(),
            blocked_by: BTreeMap::new(),
            last_changed_at: stored.advanced_to,
        };
        for task in &queue.tasks {
            if task.is_active() {
                summary.tasks.active += 1;
                continue;
            }
            summary.tasks.pending += 1;
            for by in blocked_by(&queue, task) {
                *summary.blocked_by.entry(by).or_default() += 1;
            }
        }
        summary
    }
}
