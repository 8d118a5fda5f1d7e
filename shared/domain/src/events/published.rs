//! One event in JSON. Fields that are empty or do not apply are left out.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::{
    attempt::TaskAttempt,
    encoding::is_default,
    event::{Event, EventData, EventType, TaskChange},
    events_record::SerializedEvent,
    ids::{CommandId, PlayerId, TaskId, TaskKind},
    json_text::JsonText,
    record::HistoryRecord,
    resources::Resources,
    task::{Outcome, Priority, TaskSpec},
    time::Timestamp,
    work::Work,
};

/// An event as it is published. Which of the optional fields it has follows from its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedEvent {
    /// `<playerId>/<sequence>`.
    pub event_id: String,
    /// The owner of the queue.
    pub player_id: PlayerId,
    /// Counts the events of the player from 1, without a gap.
    pub sequence: u64,
    /// The version of the queue after the commit that the event belongs to.
    pub version: u64,
    /// The effective time of the command, or the due moment.
    pub at: Timestamp,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The task that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<EventTask>>,
    /// The costs that were paid at this start.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub costs: Resources,
    /// The rewards that were credited.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub rewards: Resources,
    /// The costs that were credited again.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub refunds: Resources,
    /// The resources that were credited by a grant.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// What was lost at the limit of a balance.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub lost: Resources,
    /// What came of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JsonText>,
    /// Milliseconds from the last start to the completion, pauses excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_spent_ms: Option<u64>,
    /// The milestone: 25, 50 or 75.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u64>,
    /// Why an attempt or a task failed, a task was cancelled, or a command was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The earliest start of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The new priority of a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Whether a task was moved before all others of its priority.
    #[serde(default, skip_serializing_if = "is_default")]
    pub moved_to_front: bool,
    /// The largest number of active tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u8>,
    /// The largest number of unfinished tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tasks: Option<u16>,
    /// The command that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// What was refused, and what would have been allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The task of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTask {
    /// The task.
    pub task_id: TaskId,
    /// What sort of work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskKind>,
    /// The attempt, from 1; none of a task that was cancelled while it was pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// The priority with which it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What it needs to complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// What its workers need to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<JsonText>,
    /// The earliest start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The tasks that must have completed before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<TaskId>,
    /// Deducted at the first start.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub costs: Resources,
    /// Credited at the completion.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub rewards: Resources,
    /// How often it becomes pending again after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u8>,
    /// The delay of the first retry in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_delay_ms: Option<u32>,
    /// When it completes; of timed work that starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_at: Option<Timestamp>,
    /// The units of reported work that starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// When the attempt fails unless it is reported or completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

impl PublishedEvent {
    /// An event of a player, in the commit that makes this version of the queue.
    pub fn new(event: &Event, player_id: &PlayerId, version: u64) -> Self {
        let mut published = Self::without_data(event, player_id, version);
        match &event.data {
            EventData::TaskQueued(spec) => published.task = Some(Box::new(EventTask::queued(spec))),
            EventData::TaskStarted(started) => {
                published.costs = started.costs.clone();
                published.task = Some(Box::new(EventTask {
                    payload: started.payload.clone(),
                    finish_at: started.finish_at,
                    units: started.units,
                    deadline: started.deadline,
                    ..EventTask::in_attempt(&started.task)
                }));
            }
            EventData::TaskProgressed { task, percent } => {
                published.task = Some(Box::new(EventTask::in_attempt(task)));
                published.percent = Some(*percent);
            }
            EventData::TaskRetried { task, reason, not_before } => {
                published.task = Some(Box::new(EventTask::in_attempt(task)));
                published.reason = Some(reason.clone());
                published.not_before = Some(*not_before);
            }
            EventData::TaskFinished(record) => published.add_end(record),
            EventData::TaskChanged { task_id, change } => {
                published.task = Some(Box::new(EventTask::named(task_id)));
                match change {
                    TaskChange::Priority(priority) => published.priority = Some(*priority),
                    TaskChange::MovedToFront => published.moved_to_front = true,
                }
            }
            EventData::QueuePaused | EventData::QueueResumed | EventData::QueueEmptied => {}
            EventData::QueueConfigured { slots, max_tasks } => {
                (published.slots, published.max_tasks) = (Some(*slots), Some(*max_tasks));
            }
            EventData::ResourcesGranted { resources, lost } => {
                (published.resources, published.lost) = (resources.clone(), lost.clone());
            }
            EventData::CommandRejected { command_id, reason, detail } => {
                published.command_id = Some(command_id.clone());
                published.reason = Some(reason.as_str().to_owned());
                published.detail = Some(detail.to_string());
            }
        }
        published
    }

    /// The event as compact JSON.
    ///
    /// # Panics
    /// Never: all keys are text, and all values can be serialized.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an event can be serialized")
    }

    /// The event as it is stored and published.
    pub fn to_serialized(&self) -> SerializedEvent {
        let event_type = Cow::Borrowed(self.event_type.as_str());
        SerializedEvent { sequence: self.sequence, event_type, json: self.to_json() }
    }

    fn without_data(event: &Event, player_id: &PlayerId, version: u64) -> Self {
        Self {
            event_id: format!("{player_id}/{}", event.sequence),
            player_id: player_id.clone(),
            sequence: event.sequence,
            version,
            at: event.at,
            event_type: event.data.event_type(),
            task: None,
            costs: Resources::new(),
            rewards: Resources::new(),
            refunds: Resources::new(),
            resources: Resources::new(),
            lost: Resources::new(),
            result: None,
            time_spent_ms: None,
            percent: None,
            reason: None,
            not_before: None,
            priority: None,
            moved_to_front: false,
            slots: None,
            max_tasks: None,
            command_id: None,
            detail: None,
        }
    }

    fn add_end(&mut self, record: &HistoryRecord) {
        let failed = u64::from(record.attempts);
        let attempt = match record.outcome {
            Outcome::Failed => Some(failed),
            Outcome::Completed | Outcome::Cancelled => record.started_at.map(|_| failed + 1),
        };
        let kind = Some(record.kind.clone());
        self.task = Some(Box::new(EventTask { kind, attempt, ..EventTask::named(&record.task_id) }));
        self.rewards = record.rewards.clone();
        self.refunds = record.refunded.clone();
        self.lost = record.lost.clone();
        self.result = record.result.clone();
        self.reason = record.reason.clone();
        self.time_spent_ms = (record.outcome == Outcome::Completed).then_some(record.time_spent_ms);
    }
}

impl EventTask {
    fn named(task_id: &TaskId) -> Self {
        Self {
            task_id: task_id.clone(),
            kind: None,
            attempt: None,
            priority: None,
            work: None,
            payload: None,
            not_before: None,
            prerequisites: Vec::new(),
            costs: Resources::new(),
            rewards: Resources::new(),
            max_retries: None,
            retry_delay_ms: None,
            finish_at: None,
            units: None,
            deadline: None,
        }
    }

    fn in_attempt(task: &TaskAttempt) -> Self {
        Self { kind: Some(task.kind.clone()), attempt: Some(task.attempt), ..Self::named(&task.task_id) }
    }

    /// A task as the command asks for it, with its defaults.
    fn queued(spec: &TaskSpec) -> Self {
        Self {
            kind: Some(spec.kind.clone()),
            priority: Some(spec.priority),
            work: Some(spec.work),
            payload: spec.payload.clone(),
            not_before: spec.not_before,
            prerequisites: spec.prerequisites.clone(),
            costs: spec.costs.clone(),
            rewards: spec.rewards.clone(),
            max_retries: Some(spec.max_retries),
            retry_delay_ms: Some(spec.retry_delay_ms),
            ..Self::named(&spec.task_id)
        }
    }
}

#[cfg(test)]
mod tests;
