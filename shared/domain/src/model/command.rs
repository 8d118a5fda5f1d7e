//! The requests that change a queue, and how they are delivered.

use minicbor::{Decode, Encode};

use crate::model::{
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
        /// The tasks in queue order.
        tasks: Vec<TaskSpec>,
    },
    /// Reports how many units of a task are done. Never lowers the number that is known.
    ReportProgress {
        /// An active task of reported work.
        task_id: TaskId,
        /// Units done since the start of the attempt.
        units_done: u64,
    },
    /// Fails the attempt of an active task: it is retried, or finished as failed.
    FailTask {
        /// An active task.
        task_id: TaskId,
        /// The reason, for the history.
        reason: String,
    },
    /// Finishes an unfinished task as cancelled and refunds its costs.
    CancelTask {
        /// An unfinished task.
        task_id: TaskId,
    },
    /// Changes the priority of an unfinished task.
    SetPriority {
        /// An unfinished task.
        task_id: TaskId,
        /// Its new priority.
        priority: Priority,
    },
    /// Moves a pending task before all others of its priority.
    MoveToFront {
        /// A pending task.
        task_id: TaskId,
    },
    /// Stops timed work; nothing starts or completes until the queue is resumed.
    PauseQueue,
    /// Ends a pause. The finish of every active task moves by the length of the pause.
    ResumeQueue,
    /// Cancels every unfinished task.
    ClearQueue,
    /// Adds to the balances.
    GrantResources {
        /// The amounts to add.
        resources: Resources,
    },
    /// Changes the queue's limits. An absent limit stays as it is.
    ConfigureQueue {
        /// The largest number of active tasks, 1 to 10.
        slots: Option<u8>,
        /// The largest number of unfinished tasks, 1 to 200.
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

    /// The task that the command names, if it names one.
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

/// A command's position in a FIFO message group: the sequence number of its message, then its index
/// in the message. The positions of one group have the order in which the commands were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct FifoPosition {
    /// `SequenceNumber` of the message: 128 bits, increasing within a group.
    #[n(0)]
    pub sequence: u128,
    /// The command's index in the message, from 0.
    #[n(1)]
    pub index: u16,
}

/// A command as it is delivered to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The owner of the queue.
    pub player_id: PlayerId,
    /// The id that makes a second delivery a duplicate.
    pub command_id: CommandId,
    /// When the message was sent, by the clock of the service that took it.
    pub sent_at: Timestamp,
    /// The position, if the command came through a FIFO group named after this player.
    pub position: Option<FifoPosition>,
    /// The request.
    pub command: Command,
}
