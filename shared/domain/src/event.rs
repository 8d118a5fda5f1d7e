//! What each step led to.

use serde::Serialize;

use crate::{ids::TaskId, record::HistoryRecord, resources::Resources, task::Priority, time::Timestamp};

/// Something that happened in a queue. Events come out in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// A task was queued.
    TaskQueued {
        /// The task.
        task_id: TaskId,
        /// When.
        at: Timestamp,
    },
    /// A task took a slot.
    TaskStarted {
        /// The task.
        task_id: TaskId,
        /// When.
        at: Timestamp,
    },
    /// A report crossed 25, 50, 75 or 100 % of a task's units.
    MilestoneReached {
        /// The task.
        task_id: TaskId,
        /// 25, 50, 75 or 100.
        percent: u64,
        /// When.
        at: Timestamp,
    },
    /// A task failed and waits for its next attempt.
    TaskRetried {
        /// The task.
        task_id: TaskId,
        /// How often it has failed.
        attempts: u8,
        /// When the next attempt may start.
        not_before: Timestamp,
    },
    /// A task ended: completed, failed or cancelled.
    TaskFinished(Box<HistoryRecord>),
    /// A task's priority changed.
    PrioritySet {
        /// The task.
        task_id: TaskId,
        /// Its new priority.
        priority: Priority,
    },
    /// A task was put before all others of its priority.
    MovedToFront {
        /// The task.
        task_id: TaskId,
    },
    /// The queue stands still.
    QueuePaused {
        /// Since when.
        at: Timestamp,
    },
    /// The queue goes on.
    QueueResumed {
        /// Since when.
        at: Timestamp,
        /// How long it stood still, in milliseconds.
        paused_ms: u64,
    },
    /// Balances were added to.
    ResourcesGranted {
        /// What was added.
        resources: Resources,
        /// What of it was lost at the limit of a balance.
        lost: Resources,
    },
    /// The queue's limits were set.
    QueueConfigured {
        /// How many tasks may be active at once.
        slots: u8,
        /// How many tasks may be unfinished at once.
        max_tasks: u16,
    },
}
