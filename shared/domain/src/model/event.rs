//! What happened in a queue while time passed and commands took effect.

use std::borrow::Cow;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::{
    attempt::{MissedDeadline, TaskAttempt},
    encoding::strict,
    ids::{CommandId, TaskId},
    json_text::JsonText,
    record::HistoryRecord,
    rejection::RejectionReason,
    resources::Resources,
    task::{Outcome, Priority, TaskSpec},
    time::Timestamp,
};

/// The most bytes of an event in a row, without names, amounts, JSON values and texts.
pub(crate) const EVENT_OVERHEAD: usize = 80;

/// Something that happened in a queue.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Event {
    /// Counts the events of the player from 1, without a gap.
    #[n(0)]
    pub sequence: u64,
    /// The effective time of the command, or the due moment.
    #[n(1)]
    pub at: Timestamp,
    /// What happened.
    #[cbor(n(2), decode_with = "strict")]
    pub data: EventData,
    /// The deadline by which an attempt has failed by itself, for counts alone: it is not stored.
    #[cbor(skip)]
    pub missed_deadline: Option<MissedDeadline>,
}

/// What happened. Each change of a queue has its event, except units between milestones.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
#[non_exhaustive]
pub enum EventData {
    /// A task was queued.
    #[n(0)]
    TaskQueued(#[n(0)] Box<TaskSpec>),
    /// A task took a slot.
    #[n(1)]
    TaskStarted(#[n(0)] Box<StartedTask>),
    /// A report crossed 25, 50 or 75 % of a task's units, and did not complete it.
    #[n(2)]
    TaskProgressed {
        /// The task in its current attempt.
        #[n(0)]
        task: TaskAttempt,
        /// 25, 50 or 75.
        #[n(1)]
        percent: u64,
    },
    /// An attempt failed, and the task waits for its next one.
    #[n(3)]
    TaskRetried {
        /// The task in the attempt that failed.
        #[n(0)]
        task: TaskAttempt,
        /// Why it failed.
        #[n(1)]
        reason: String,
        /// The earliest start of the next attempt.
        #[n(2)]
        not_before: Timestamp,
    },
    /// A task completed, failed for good, or was cancelled: three types of events.
    #[n(4)]
    TaskFinished(#[n(0)] Box<HistoryRecord>),
    /// A task's priority or place changed.
    #[n(5)]
    TaskChanged {
        /// The task.
        #[n(0)]
        task_id: TaskId,
        /// The change.
        #[n(1)]
        change: TaskChange,
    },
    /// The queue was paused.
    #[n(6)]
    QueuePaused,
    /// The queue was resumed.
    #[n(7)]
    QueueResumed,
    /// The last unfinished task has ended.
    #[n(8)]
    QueueEmptied,
    /// The queue's limits changed.
    #[n(9)]
    QueueConfigured {
        /// The largest number of active tasks.
        #[n(0)]
        slots: u8,
        /// The largest number of unfinished tasks.
        #[n(1)]
        max_tasks: u16,
    },
    /// Resources were granted.
    #[n(10)]
    ResourcesGranted {
        /// What was credited.
        #[n(0)]
        resources: Resources,
        /// What of the grant was lost at the limit of a balance.
        #[n(1)]
        lost: Resources,
    },
    /// A command was refused for good.
    #[n(11)]
    CommandRejected {
        /// The command.
        #[n(0)]
        command_id: CommandId,
        /// The stable code.
        #[n(1)]
        reason: RejectionReason,
        /// What was refused, and what would have been allowed.
        #[n(2)]
        detail: Cow<'static, str>,
    },
}

/// A task that took a slot.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct StartedTask {
    /// The task in the attempt that started.
    #[n(0)]
    pub task: TaskAttempt,
    /// What its workers need to know.
    #[n(1)]
    pub payload: Option<JsonText>,
    /// When it completes; of timed work.
    #[n(2)]
    pub finish_at: Option<Timestamp>,
    /// The units of reported work.
    #[n(3)]
    pub units: Option<u64>,
    /// When the attempt fails by itself; of reported work.
    #[n(4)]
    pub deadline: Option<Timestamp>,
    /// The costs that were paid at this start.
    #[cbor(n(5), skip_if = "Resources::is_empty")]
    pub costs: Resources,
}

/// How a pending or active task changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum TaskChange {
    /// It has another priority.
    #[n(0)]
    Priority(#[n(0)] Priority),
    /// It was moved before all others of its priority.
    #[n(1)]
    MovedToFront,
}

impl Event {
    /// An event that no missed deadline has led to.
    pub fn new(sequence: u64, at: Timestamp, data: EventData) -> Self {
        Self { sequence, at, data, missed_deadline: None }
    }

    /// The most bytes that the event takes in a row.
    pub fn size(&self) -> usize {
        let resources = Resources::size_estimate;
        let json = |value: &Option<JsonText>| value.as_ref().map_or(0, JsonText::size);
        let data = match &self.data {
            EventData::TaskQueued(spec) => spec.size_estimate(),
            EventData::TaskStarted(started) => {
                started.task.size_estimate() + json(&started.payload) + resources(&started.costs)
            }
            EventData::TaskProgressed { task, .. } => task.size_estimate(),
            EventData::TaskRetried { task, reason, .. } => task.size_estimate() + reason.len(),
            EventData::TaskFinished(record) => record.size(),
            EventData::TaskChanged { task_id, .. } => task_id.as_str().len(),
            EventData::ResourcesGranted { resources: credited, lost } => resources(credited) + resources(lost),
            EventData::CommandRejected { command_id, detail, .. } => command_id.as_str().len() + detail.len(),
            EventData::QueuePaused
            | EventData::QueueResumed
            | EventData::QueueEmptied
            | EventData::QueueConfigured { .. } => 0,
        };
        EVENT_OVERHEAD + data
    }
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
