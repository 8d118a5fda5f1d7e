//! The requests that change a queue, and how they are delivered.

use std::num::NonZeroU64;

use crate::model::{
    ids::{CommandId, PlayerId, TaskId},
    json_text::JsonText,
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
        /// The attempt that the report is about, from 1. Without it, the time of sending decides
        /// whether the report is stale.
        attempt: Option<u64>,
    },
    /// Completes an active task of reported work, as if all its units were reported.
    CompleteTask {
        /// An active task of reported work.
        task_id: TaskId,
        /// The attempt that has completed, from 1. Without it, the time of sending decides whether
        /// the command is stale.
        attempt: Option<u64>,
        /// What came of the work, for the history.
        result: Option<JsonText>,
    },
    /// Fails the attempt of an active task: it is retried, or finished as failed.
    FailTask {
        /// An active task.
        task_id: TaskId,
        /// The reason, for the history.
        reason: String,
        /// The attempt that failed, from 1. Without it, the time of sending decides whether the
        /// command is stale.
        attempt: Option<u64>,
        /// Whether the task may be retried. Otherwise it is finished at once.
        retry: bool,
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
            Self::CompleteTask { .. } => "completeTask",
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
            | Self::CompleteTask { task_id, .. }
            | Self::FailTask { task_id, .. }
            | Self::CancelTask { task_id }
            | Self::SetPriority { task_id, .. }
            | Self::MoveToFront { task_id } => Some(task_id),
            _ => None,
        }
    }
}

/// Who sent a command. The ids of the two senders are remembered separately, so that a player can
/// neither displace nor use up the ids of trusted senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A sender with the right to send every command: SQS, EventBridge, a direct call, or an HTTP
    /// caller with a scope.
    Trusted,
    /// The player itself: an HTTP caller with the player's own token and no scope.
    Player,
}

/// A FIFO queue that commands come from: a hash of its ARN.
///
/// A row keeps these 8 bytes instead of an ARN of up to 150. The ARNs are chosen by the operator,
/// and a player keeps at most four of them, so two never have the same hash in practice. It is not
/// 0, so that an absent place needs no further byte in a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FifoQueueId(NonZeroU64);

impl FifoQueueId {
    /// The id of the queue with this `eventSourceARN`. Queues without an ARN count as one queue.
    pub fn of(arn: &str) -> Self {
        Self(NonZeroU64::new(xxhash_rust::xxh3::xxh3_64(arn.as_bytes())).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn to_be_bytes(self) -> [u8; size_of::<u64>()] {
        self.0.get().to_be_bytes()
    }
}

/// A command's position in a FIFO message group: the sequence number of its message, then its index
/// in the message. The positions of one group have the order in which the commands were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FifoPosition {
    /// `SequenceNumber` of the message: 128 bits, increasing within a group.
    pub sequence: u128,
    /// The command's index in the message, from 0.
    pub index: u16,
}

/// A FIFO queue with a message group that is named after the player, and a position in that group.
/// Positions of different queues cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FifoPlace {
    /// The queue.
    pub queue: FifoQueueId,
    /// The position in the player's group.
    pub position: FifoPosition,
}

/// A command as it is delivered to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The owner of the queue.
    pub player_id: PlayerId,
    /// The id that makes a second delivery a duplicate.
    pub command_id: CommandId,
    /// Who sent the command.
    pub sender: Sender,
    /// When the message was sent, by the clock of the service that took it.
    pub sent_at: Timestamp,
    /// The place in a FIFO queue, if the command came through a group named after this player.
    pub fifo: Option<FifoPlace>,
    /// The request.
    pub command: Command,
}
