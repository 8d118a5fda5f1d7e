//! What happened in a queue while time passed and commands took effect.

use crate::model::{ids::TaskId, record::HistoryRecord, resources::Resources, task::Priority, time::Timestamp};

/// Something that happened in a queue. Events are listed in the order in which they happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A task was queued.
    TaskQueued {
        /// The task.
        task_id: TaskId,
        /// The effective time of the command.
        at: Timestamp,
    },
    /// A task took a slot.
    TaskStarted {
        /// The task.
        task_id: TaskId,
        /// When it started.
        at: Timestamp,
    },
    /// A report crossed 25, 50, 75 or 100 % of a task's units.
    MilestoneReached {
        /// The task.
        task_id: TaskId,
        /// 25, 50, 75 or 100.
        percent: u64,
        /// The effective time of the report.
        at: Timestamp,
    },
    /// A task failed and waits for its next attempt.
    TaskRetried {
        /// The task.
        task_id: TaskId,
        /// The number of failed attempts.
        attempts: u8,
        /// The earliest start of the next attempt.
        not_before: Timestamp,
    },
    /// A task completed, failed for good, or was cancelled.
    TaskFinished(Box<HistoryRecord>),
    /// A task's priority changed.
    PrioritySet {
        /// The task.
        task_id: TaskId,
        /// Its new priority.
        priority: Priority,
    },
    /// A task was moved before all others of its priority.
    MovedToFront {
        /// The task.
        task_id: TaskId,
    },
    /// The queue was paused.
    QueuePaused {
        /// When the pause began.
        at: Timestamp,
    },
    /// The queue was resumed.
    QueueResumed {
        /// When the pause ended.
        at: Timestamp,
        /// The length of the pause in milliseconds.
        paused_ms: u64,
    },
    /// Resources were granted.
    ResourcesGranted {
        /// The amounts of the grant.
        resources: Resources,
        /// What of it was lost at the limit of a balance.
        lost: Resources,
    },
    /// The queue's limits were set.
    QueueConfigured {
        /// The largest number of active tasks.
        slots: u8,
        /// The largest number of unfinished tasks.
        max_tasks: u16,
    },
}
