//! Every request that can change a queue, and how it was delivered.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{CommandId, PlayerId, TaskId},
    resources::Resources,
    task::{Priority, TaskSpec},
    time::Timestamp,
};

/// One request to change a player's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Queues 1 to 50 tasks: all of them, or none.
    EnqueueTasks {
        /// The tasks, in queue order.
        tasks: Vec<TaskSpec>,
    },
    /// So many units of reported work are done in all. Never takes back what is done already.
    ReportProgress {
        /// An active task of reported work.
        task_id: TaskId,
        /// Units done since the attempt's start.
        units_done: u64,
    },
    /// An active task failed: it is retried, or finished as failed.
    FailTask {
        /// An active task.
        task_id: TaskId,
        /// Why, for the history.
        reason: String,
    },
    /// Finishes an unfinished task as cancelled and gives its costs back.
    CancelTask {
        /// An unfinished task.
        task_id: TaskId,
    },
    /// Changes what an unfinished task is served before.
    SetPriority {
        /// An unfinished task.
        task_id: TaskId,
        /// Its new priority.
        priority: Priority,
    },
    /// Puts a pending task before all others of its priority.
    MoveToFront {
        /// A pending task.
        task_id: TaskId,
    },
    /// Nothing starts or completes, and timed work stands still.
    PauseQueue,
    /// Ends a pause; every active task gets its length back.
    ResumeQueue,
    /// Cancels every unfinished task.
    ClearQueue,
    /// Adds to the balances.
    GrantResources {
        /// What is added.
        resources: Resources,
    },
    /// Changes the queue's limits; what is left out stays.
    ConfigureQueue {
        /// How many tasks may be active at once, 1 to 10.
        slots: Option<u8>,
        /// How many tasks may be unfinished at once, 1 to 200.
        max_tasks: Option<u16>,
    },
}

impl Command {
    /// The command's `type` in JSON.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::EnqueueTasks { .. } => "enqueueTasks",
            Self::ReportProgress { .. } => "reportProgress",
            Self::FailTask { .. } => "failTask",
            Self::CancelTask { .. } => "cancelTask",
            Self::SetPriority { .. } => "setPriority",
            Self::MoveToFront { .. } => "moveToFront",
            Self::PauseQueue => "pauseQueue",
            Self::ResumeQueue => "resumeQueue",
            Self::ClearQueue => "clearQueue",
            Self::GrantResources { .. } => "grantResources",
            Self::ConfigureQueue { .. } => "configureQueue",
        }
    }

    /// The task that the command names, where it names one.
    pub fn task_id(&self) -> Option<&TaskId> {
        match self {
            Self::ReportProgress { task_id, .. }
            | Self::FailTask { task_id, .. }
            | Self::CancelTask { task_id }
            | Self::SetPriority { task_id, .. }
            | Self::MoveToFront { task_id } => Some(task_id),
            _ => None,
        }
    }
}

/// A place in the stream of a FIFO message group: the message's sequence number, and within one
/// message the command's index. Places of one group are ordered as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct FifoPosition {
    /// `SequenceNumber` of the message: 128 bits, growing within a group.
    #[n(0)]
    pub sequence: u128,
    /// The command's index in the message, from 0.
    #[n(1)]
    pub index: u16,
}

crate::wire::fields! {
    FifoPosition { sequence, index }
}

/// A command on its way to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whose queue.
    pub player_id: PlayerId,
    /// Names the command for good.
    pub command_id: CommandId,
    /// When its event was sent, by the sending service's clock.
    pub sent_at: Timestamp,
    /// Its place, where it came through a FIFO group named after this player.
    pub position: Option<FifoPosition>,
    /// What is asked.
    pub command: Command,
}
