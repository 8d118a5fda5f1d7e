//! Rows as clients see them. Fields that do not apply are left out.

use millrace_domain::{
    CommandId, JsonText, PlayerId, Priority, Resources, TaskId, TaskKind, Timestamp, Work,
    attempt::FailedAttempt,
    ids::clip,
    queue::Totals,
    record::{HistoryRecord, RejectionRecord},
    task::{FinishedTask, Outcome},
    view::{TaskDetails, TaskView},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// The most characters of a body in a page. Refused commands are shorter. The table has the whole
/// body of malformed input. With this limit the largest page stays below the 6 MB that Lambda
/// allows.
const MAX_BODY_SHOWN: usize = 7 * 1024;

/// One task of a queue as of now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTask<'a> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// The queue's version.
    pub version: u64,
    /// The time of the view.
    pub as_of: Timestamp,
    /// The task.
    #[serde(flatten)]
    pub task: TaskState<'a>,
}

/// The state of a task.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TaskState<'a> {
    /// It is unfinished.
    Unfinished {
        /// The task as lists show it.
        #[serde(flatten)]
        task: &'a TaskView,
        /// What its workers need to know, and the last failed attempts.
        #[serde(flatten)]
        details: &'a TaskDetails,
    },
    /// It is finished, and the history has it.
    Recorded {
        /// `finished`.
        state: &'static str,
        /// The task as the history shows it.
        #[serde(flatten)]
        task: Box<HistoryItem>,
    },
    /// It is finished, and only the queue has it.
    Remembered {
        /// `finished`.
        state: &'static str,
        /// Its outcome.
        #[serde(flatten)]
        task: &'a FinishedTask,
    },
}

impl<'a> TaskState<'a> {
    /// A finished task, with its row of the history if there is one.
    pub fn finished(task: &'a FinishedTask, row: Option<HistoryRecord>) -> Self {
        let state = "finished";
        match row {
            Some(row) => Self::Recorded { state, task: Box::new(row.into()) },
            None => Self::Remembered { state, task },
        }
    }
}

/// The totals of a player as of now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats<'a> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// The queue's version.
    pub version: u64,
    /// The time of the view.
    pub as_of: Timestamp,
    /// The totals.
    pub totals: &'a Totals,
}

/// One page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<'a, T> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// The rows, newest first.
    pub items: Vec<T>,
    /// The cursor of the next page; left out at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Events as they were published, in order.
#[derive(Debug, Serialize)]
pub struct EventList {
    /// The events.
    pub items: Vec<Box<RawValue>>,
}

/// A finished task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryItem {
    task_id: TaskId,
    kind: TaskKind,
    priority: Priority,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    attempts: u8,
    work: Work,
    #[serde(skip_serializing_if = "Option::is_none")]
    units_done: Option<u64>,
    enqueued_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    time_spent_ms: u64,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    costs: Resources,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    refunded: Resources,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    rewards: Resources,
    #[serde(skip_serializing_if = "Resources::is_empty")]
    lost: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<JsonText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailedAttempt>,
}

impl From<HistoryRecord> for HistoryItem {
    fn from(row: HistoryRecord) -> Self {
        let units_done = row.work.is_reported().then_some(row.units_done);
        Self {
            task_id: row.task_id,
            kind: row.kind,
            priority: row.priority,
            outcome: row.outcome,
            reason: row.reason,
            attempts: row.attempts,
            work: row.work,
            units_done,
            enqueued_at: row.enqueued_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            time_spent_ms: row.time_spent_ms,
            costs: row.costs,
            refunded: row.refunded,
            rewards: row.rewards,
            lost: row.lost,
            result: row.result,
            failures: row.failures,
        }
    }
}

/// A refused command.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectionItem {
    command_id: CommandId,
    received_at: Timestamp,
    reason: &'static str,
    detail: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    command_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl From<RejectionRecord> for RejectionItem {
    fn from(row: RejectionRecord) -> Self {
        Self {
            command_id: row.command_id,
            received_at: row.received_at,
            reason: row.reason.as_str(),
            detail: row.detail,
            command_type: row.command_type,
            task_id: row.task_id,
            body: row.body.map(|body| clip(&body, MAX_BODY_SHOWN)),
        }
    }
}
