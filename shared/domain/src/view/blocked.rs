//! Whether a queue is paused, and what keeps its tasks from starting.

use serde::Serialize;

use crate::model::{queue::Queue, task::Task};

/// Whether a queue is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Tasks start and complete.
    Running,
    /// Timed work stands still, and nothing starts or completes.
    Paused,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Running, Self::Paused];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }

    /// The status of a queue.
    pub fn of(queue: &Queue) -> Self {
        if queue.is_paused() { Self::Paused } else { Self::Running }
    }
}

/// What keeps a pending task from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockedBy {
    /// No slot is free.
    Slot,
    /// Its `notBefore` or the delay of its retry has not passed.
    NotBefore,
    /// A prerequisite has not completed.
    Prerequisites,
    /// The balances do not cover its costs.
    Costs,
    /// The queue is paused.
    Paused,
}

impl BlockedBy {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Slot, Self::NotBefore, Self::Prerequisites, Self::Costs, Self::Paused];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::NotBefore => "notBefore",
            Self::Prerequisites => "prerequisites",
            Self::Costs => "costs",
            Self::Paused => "paused",
        }
    }
}

/// What keeps a pending task from starting.
pub(super) fn blocked_by(queue: &Queue, task: &Task) -> Vec<BlockedBy> {
    [
        (queue.is_paused(), BlockedBy::Paused),
        (task.not_before.is_some_and(|at| at > queue.advanced_to), BlockedBy::NotBefore),
        (!task.open_prerequisites.is_empty(), BlockedBy::Prerequisites),
        (!task.paid && !queue.balances.covers(&task.costs), BlockedBy::Costs),
        (queue.active_tasks() >= usize::from(queue.slots), BlockedBy::Slot),
    ]
    .into_iter()
    .filter_map(|(blocked, by)| blocked.then_some(by))
    .collect()
}
