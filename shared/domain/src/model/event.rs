//! What happened in a queue while time passed and commands took effect.

use std::borrow::Cow;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Serialize};

use crate::model::{
    attempt::TaskAttempt,
    ids::{CommandId, TaskId},
    json_text::JsonText,
    record::HistoryRecord,
    rejection::RejectionReason,
    resources::Resources,
    task::{Outcome, Priority, TaskSpec},
    time::Timestamp,
};

/// Something that happened in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counts the events of the player from 1, without a gap.
    pub sequence: u64,
    /// The effective time of the command, or the due moment.
    pub at: Timestamp,
    /// What happened.
    pub data: EventData,
}

/// What happened. Each change of a queue has its event, except units between milestones.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventData {
    /// A task was queued.
    TaskQueued(Box<TaskSpec>),
    /// A task took a slot.
    TaskStarted(Box<StartedTask>),
    /// A report crossed 25, 50 or 75 % of a task's units, and did not complete it.
    TaskProgressed {
        /// The task in its current attempt.
        task: TaskAttempt,
        /// 25, 50 or 75.
        percent: u64,
    },
    /// An attempt failed, and the task waits for its next one.
    TaskRetried {
        /// The task in the attempt that failed.
        task: TaskAttempt,
        /// Why it failed.
        reason: String,
        /// The earliest start of the next attempt.
        not_before: Timestamp,
    },
    /// A task completed, failed for good, or was cancelled: three types of events.
    TaskFinished(Box<HistoryRecord>),
    /// A task's priority or place changed.
    TaskChanged {
        /// The task.
        task_id: TaskId,
        /// The change.
        change: TaskChange,
    },
    /// The queue was paused.
    QueuePaused,
    /// The queue was resumed.
    QueueResumed,
    /// The last unfinished task has ended.
    QueueEmptied,
    /// The queue's limits changed.
    QueueConfigured {
        /// The largest number of active tasks.
        slots: u8,
        /// The largest number of unfinished tasks.
        max_tasks: u16,
    },
    /// Resources were granted.
    ResourcesGranted {
        /// What was credited.
        resources: Resources,
        /// What of the grant was lost at the limit of a balance.
        lost: Resources,
    },
    /// A command was refused for good.
    CommandRejected {
        /// The command.
        command_id: CommandId,
        /// The stable code.
        reason: RejectionReason,
        /// What was refused, and what would have been allowed.
        detail: Cow<'static, str>,
    },
}

/// A task that took a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedTask {
    /// The task in the attempt that started.
    pub task: TaskAttempt,
    /// What its workers need to know.
    pub payload: Option<JsonText>,
    /// When it completes; of timed work.
    pub finish_at: Option<Timestamp>,
    /// The units of reported work.
    pub units: Option<u64>,
    /// When the attempt fails by itself; of reported work.
    pub deadline: Option<Timestamp>,
    /// The costs that were paid at this start.
    pub costs: Resources,
}

/// How a pending or active task changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskChange {
    /// It has another priority.
    Priority(Priority),
    /// It was moved before all others of its priority.
    MovedToFront,
}

impl EventData {
    /// The type of the event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::TaskQueued(_) => EventType::TaskQueued,
            Self::TaskStarted(_) => EventType::TaskStarted,
            Self::TaskProgressed { .. } => EventType::TaskProgressed,
            Self::TaskRetried { .. } => EventType::TaskRetried,
            Self::TaskFinished(record) => match record.outcome {
                Outcome::Completed => EventType::TaskCompleted,
                Outcome::Failed => EventType::TaskFailed,
                Outcome::Cancelled => EventType::TaskCancelled,
            },
            Self::TaskChanged { .. } => EventType::TaskChanged,
            Self::QueuePaused => EventType::QueuePaused,
            Self::QueueResumed => EventType::QueueResumed,
            Self::QueueEmptied => EventType::QueueEmptied,
            Self::QueueConfigured { .. } => EventType::QueueConfigured,
            Self::ResourcesGranted { .. } => EventType::ResourcesGranted,
            Self::CommandRejected { .. } => EventType::CommandRejected,
        }
    }
}

/// The types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the variants are explained by EventData")]
pub enum EventType {
    TaskQueued,
    TaskStarted,
    TaskProgressed,
    TaskCompleted,
    TaskRetried,
    TaskFailed,
    TaskCancelled,
    TaskChanged,
    QueuePaused,
    QueueResumed,
    QueueEmptied,
    QueueConfigured,
    ResourcesGranted,
    CommandRejected,
}

impl EventType {
    /// All types.
    pub const ALL: [Self; 14] = [
        Self::TaskQueued,
        Self::TaskStarted,
        Self::TaskProgressed,
        Self::TaskCompleted,
        Self::TaskRetried,
        Self::TaskFailed,
        Self::TaskCancelled,
        Self::TaskChanged,
        Self::QueuePaused,
        Self::QueueResumed,
        Self::QueueEmptied,
        Self::QueueConfigured,
        Self::ResourcesGranted,
        Self::CommandRejected,
    ];

    /// The `type` of the event in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskQueued => "taskQueued",
            Self::TaskStarted => "taskStarted",
            Self::TaskProgressed => "taskProgressed",
            Self::TaskCompleted => "taskCompleted",
            Self::TaskRetried => "taskRetried",
            Self::TaskFailed => "taskFailed",
            Self::TaskCancelled => "taskCancelled",
            Self::TaskChanged => "taskChanged",
            Self::QueuePaused => "queuePaused",
            Self::QueueResumed => "queueResumed",
            Self::QueueEmptied => "queueEmptied",
            Self::QueueConfigured => "queueConfigured",
            Self::ResourcesGranted => "resourcesGranted",
            Self::CommandRejected => "commandRejected",
        }
    }
}

impl<C> Encode<C> for EventType {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for EventType {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let name = decoder.str()?;
        let known = Self::ALL.into_iter().find(|event_type| event_type.as_str() == name);
        known.ok_or_else(|| DecodeError::message(format_args!("unknown event type {name}")))
    }
}

/// An event as it is published, in the outbox of the commit that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OutboxEvent {
    /// Counts the events of the player from 1.
    #[n(0)]
    pub sequence: u64,
    /// The type of the event.
    #[n(1)]
    pub event_type: EventType,
    /// The whole event as compact JSON. Every copy of an event has the same bytes.
    #[n(2)]
    pub json: String,
}
