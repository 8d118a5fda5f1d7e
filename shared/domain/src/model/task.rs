//! Tasks: as a command asks for them ([`TaskSpec`]), unfinished ([`Task`]), finished
//! ([`FinishedTask`]).

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use crate::model::priority::Priority;
use crate::model::{
    attempt::{FailedAttempt, KEPT_FAILURES, MAX_FAILURE_BYTES, MissedDeadline, TaskAttempt},
    encoding::{is_default, strict},
    ids::{TaskId, TaskKind},
    json_text::JsonText,
    priority::priority_or_normal,
    resources::Resources,
    time::Timestamp,
    work::Work,
};

/// Most retries of a task.
pub const MAX_RETRIES: u64 = 10;
/// Longest first retry delay, and longest delay after doubling, in milliseconds: one hour.
pub const MAX_RETRY_DELAY_MS: u64 = 3_600_000;
/// The most bytes of an unfinished task in a row, without its names and amounts.
const MAX_TASK_OVERHEAD: usize = 112;
/// The most bytes of the event of a task's end in the outbox, without the names and amounts of the
/// task. The longest player id and the longest reason of a cancellation are included.
const MAX_END_OVERHEAD: usize = 280;
/// Most prerequisites, costs or rewards of a task.
pub const MAX_TASK_LIST: usize = 20;

/// A task as a command asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TaskSpec {
    /// The id, which no unfinished and no remembered completed task may have.
    #[n(0)]
    pub task_id: TaskId,
    /// What sort of work it is.
    #[n(1)]
    pub kind: TaskKind,
    /// The priority.
    #[n(2)]
    pub priority: Priority,
    /// What it needs to complete: 1 to 86,400,000 milliseconds, or 1 to 1,000,000,000 units.
    #[n(3)]
    pub work: Work,
    /// What its workers need to know.
    #[n(4)]
    pub payload: Option<JsonText>,
    /// The earliest start.
    #[n(5)]
    pub not_before: Option<Timestamp>,
    /// Tasks that must have completed before it starts; at most 20.
    #[cbor(n(6), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub prerequisites: Vec<TaskId>,
    /// Deducted at the first start, which waits until the balances cover them; at most 20.
    #[cbor(n(7), skip_if = "Resources::is_empty")]
    pub costs: Resources,
    /// Credited at the completion; at most 20.
    #[cbor(n(8), skip_if = "Resources::is_empty")]
    pub rewards: Resources,
    /// How often it becomes pending again after a failure, 0 to 10.
    #[n(9)]
    pub max_retries: u8,
    /// The delay of the first retry in milliseconds, doubled for each further one, 0 to 3,600,000.
    #[n(10)]
    pub retry_delay_ms: u32,
}

impl TaskSpec {
    /// The most bytes that the names, amounts and the payload take in a row.
    pub(crate) fn size_estimate(&self) -> usize {
        let prerequisites = self.prerequisites.iter().map(|id| 2 + id.as_str().len()).sum::<usize>();
        let amounts = self.costs.size_estimate() + self.rewards.size_estimate();
        let payload = self.payload.as_ref().map_or(0, JsonText::size);
        self.task_id.as_str().len() + self.kind.as_str().len() + prerequisites + amounts + payload
    }
}

/// The state of an unfinished task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(flat)]
pub enum TaskState {
    /// Waits for its start.
    #[n(0)]
    #[default]
    Pending,
    /// Occupies a slot.
    #[n(1)]
    Active {
        /// When the current attempt started.
        #[n(0)]
        started_at: Timestamp,
        /// The length of all pauses since then that have ended, in milliseconds.
        #[n(1)]
        paused_ms: u64,
        /// Milliseconds from the start to the last report, pauses excluded; 0 without a report.
        /// Only counted for work with a heartbeat.
        #[n(2)]
        reported_ms: u64,
    },
}

/// An unfinished task of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Task {
    /// The id.
    #[n(0)]
    pub id: TaskId,
    /// What sort of work it is.
    #[n(1)]
    pub kind: TaskKind,
    /// The priority.
    #[cbor(n(2), decode_with = "priority_or_normal", skip_if = "is_default")]
    pub priority: Priority,
    /// What it needs to complete.
    #[n(3)]
    pub work: Work,
    /// Units reported done; 0 for timed work.
    #[cbor(n(4), skip_if = "is_default")]
    pub units_done: u64,
    /// The earliest start: its `notBefore`, or the end of a retry delay.
    #[n(5)]
    pub not_before: Option<Timestamp>,
    /// The prerequisites that have not completed. All are unfinished tasks of the same queue: a
    /// completed one is removed at once, so the queue may forget it.
    #[cbor(n(6), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub open_prerequisites: Vec<TaskId>,
    /// Deducted at the first start.
    #[cbor(n(7), skip_if = "Resources::is_empty")]
    pub costs: Resources,
    /// Credited at the completion.
    #[cbor(n(8), skip_if = "Resources::is_empty")]
    pub rewards: Resources,
    /// How often it may become pending again after a failure.
    #[n(9)]
    pub max_retries: u8,
    /// The delay of the first retry in milliseconds.
    #[n(10)]
    pub retry_delay_ms: u32,
    /// The number of failed attempts.
    #[cbor(n(11), skip_if = "is_default")]
    pub attempts: u8,
    /// Whether the costs have been deducted.
    #[cbor(n(12), skip_if = "is_default")]
    pub paid: bool,
    /// The effective time of the command that queued it.
    #[n(13)]
    pub enqueued_at: Timestamp,
    /// The state.
    #[cbor(n(14), decode_with = "strict", skip_if = "is_default")]
    pub state: TaskState,
    /// What its workers need to know.
    #[n(15)]
    pub payload: Option<JsonText>,
    /// The result of a task that was completed during a pause, until it completes.
    #[n(16)]
    pub result: Option<JsonText>,
    /// The last failed attempts, oldest first: at most [`KEPT_FAILURES`].
    #[cbor(n(17), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub failures: Vec<FailedAttempt>,
}

impl Task {
    /// A pending task, as `spec` asks for it.
    pub fn new(spec: &TaskSpec, open_prerequisites: Vec<TaskId>, enqueued_at: Timestamp) -> Self {
        Self {
            id: spec.task_id.clone(),
            kind: spec.kind.clone(),
            priority: spec.priority,
            work: spec.work,
            units_done: 0,
            not_before: spec.not_before,
            open_prerequisites,
            costs: spec.costs.clone(),
            rewards: spec.rewards.clone(),
            max_retries: spec.max_retries,
            retry_delay_ms: spec.retry_delay_ms,
            attempts: 0,
            paid: spec.costs.is_empty(),
            enqueued_at,
            state: TaskState::Pending,
            payload: spec.payload.clone(),
            result: None,
            failures: Vec::new(),
        }
    }

    /// Whether the task occupies a slot.
    pub fn is_active(&self) -> bool {
        matches!(self.state, TaskState::Active { .. })
    }

    /// When the current attempt of an active task started.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self.state {
            TaskState::Active { started_at, .. } => Some(started_at),
            TaskState::Pending => None,
        }
    }

    /// Milliseconds from the current start to the last report, pauses excluded; of active tasks
    /// with a heartbeat.
    pub fn reported_ms(&self) -> u64 {
        match self.state {
            TaskState::Active { reported_ms, .. } => reported_ms,
            TaskState::Pending => 0,
        }
    }

    /// When an active timed task completes, unless the queue is paused again.
    pub fn finish_at(&self) -> Option<Timestamp> {
        match (self.state, self.work) {
            (TaskState::Active { started_at, paused_ms, .. }, Work::DurationMs(ms)) => {
                Some(started_at + paused_ms + ms)
            }
            _ => None,
        }
    }

    /// When the current attempt of reported work fails by itself, unless the queue is paused again
    /// or a report renews the heartbeat, and for which reason. If both deadlines pass at one
    /// moment, the attempt has timed out.
    pub fn deadline(&self) -> Option<(Timestamp, MissedDeadline)> {
        let TaskState::Active { started_at, paused_ms, reported_ms } = self.state else { return None };
        let Work::Units { heartbeat_ms, timeout_ms, .. } = self.work else { return None };
        let heartbeat = heartbeat_ms.map(|ms| (reported_ms + u64::from(ms), MissedDeadline::HeartbeatLost));
        let timeout = timeout_ms.map(|ms| (u64::from(ms), MissedDeadline::TimedOut));
        let (active_ms, missed) = match (heartbeat, timeout) {
            (Some(heartbeat), Some(timeout)) if heartbeat.0 < timeout.0 => heartbeat,
            (heartbeat, timeout) => timeout.or(heartbeat)?,
        };
        Some((started_at + paused_ms + active_ms, missed))
    }

    /// When an active task completes or its attempt fails by time alone.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.finish_at().or_else(|| self.deadline().map(|(at, _)| at))
    }

    /// Renews the heartbeat: the attempt has been active for `active_ms` milliseconds and was
    /// reported. Returns whether that changes anything.
    pub fn renew_heartbeat(&mut self, active_ms: u64) -> bool {
        match (&mut self.state, self.work) {
            (TaskState::Active { reported_ms, .. }, Work::Units { heartbeat_ms: Some(_), .. })
                if active_ms > *reported_ms =>
            {
                *reported_ms = active_ms;
                true
            }
            _ => false,
        }
    }

    /// The task in its current attempt.
    pub(crate) fn in_attempt(&self) -> TaskAttempt {
        TaskAttempt { task_id: self.id.clone(), kind: self.kind.clone(), attempt: self.attempt() }
    }

    /// Makes the task wait for its next attempt, which starts from 0 units.
    pub(crate) fn retry_from(&mut self, not_before: Timestamp) {
        self.state = TaskState::Pending;
        self.units_done = 0;
        self.result = None;
        self.not_before = Some(not_before);
    }

    /// Counts the failure of the current attempt. The oldest kept failure makes room for it.
    pub(crate) fn add_failure(&mut self, reason: &str, at: Timestamp) {
        self.attempts += 1;
        if self.failures.len() == KEPT_FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(FailedAttempt::new(self.attempts, reason, at));
    }

    /// Whether all units of reported work are done.
    pub fn is_full(&self) -> bool {
        matches!(self.work, Work::Units { units, .. } if self.units_done >= units)
    }

    /// Milliseconds from the current start to `now`, ended pauses excluded.
    pub fn active_ms(&self, now: Timestamp) -> u64 {
        match self.state {
            TaskState::Active { started_at, paused_ms, .. } => now.millis_since(started_at).saturating_sub(paused_ms),
            TaskState::Pending => 0,
        }
    }

    /// The quarter of the units that `units_done` completes, 0 to 4. A new quarter is a milestone.
    pub fn quarter(&self, units_done: u64) -> u64 {
        match self.work {
            Work::Units { units, .. } => 4 * units_done / units.max(1),
            Work::DurationMs(_) => 0,
        }
    }

    /// The number of the current attempt, or of the next one while the task is pending, from 1.
    pub fn attempt(&self) -> u64 {
        u64::from(self.attempts) + 1
    }

    /// The delay after so many failed attempts, in milliseconds: the first delay, doubled for each
    /// attempt after the first one, at most one hour.
    pub fn retry_delay(&self, attempts: u8) -> u64 {
        let factor = 1_u64.checked_shl(u32::from(attempts.saturating_sub(1))).unwrap_or(u64::MAX);
        u64::from(self.retry_delay_ms).saturating_mul(factor).min(MAX_RETRY_DELAY_MS)
    }

    /// The most bytes that the task takes in a row: unfinished, or as the event of its end in the
    /// outbox, whichever is larger. All tasks of a queue can end in one commit. The reason of a
    /// `failTask`, and the result of a task that completes at once, are not included: one item
    /// brings at most one of them. Failures have a limit for all tasks together.
    pub fn size_estimate(&self) -> usize {
        let (costs, rewards) = (self.costs.size_estimate(), self.rewards.size_estimate());
        let prerequisites: usize = self.open_prerequisites.iter().map(|id| 2 + id.as_str().len()).sum();
        let result = self.result.as_ref().map_or(0, JsonText::size);
        let payload = self.payload.as_ref().map_or(0, JsonText::size);
        let unfinished = MAX_TASK_OVERHEAD + prerequisites + costs + rewards + payload;
        // Completed: costs, rewards, and what of the rewards is lost.
        // Cancelled: costs, what of them is refunded, and what of that is lost.
        let finished = MAX_END_OVERHEAD + costs + 2 * rewards.max(costs);
        self.id.as_str().len() + self.kind.as_str().len() + result + unfinished.max(finished)
    }

    /// How many bytes of memory its JSON values and failures take.
    pub fn allocated_bytes(&self) -> usize {
        let json = [&self.payload, &self.result].into_iter().flatten().map(JsonText::size).sum::<usize>();
        let failures = self.failures.iter().map(|failure| failure.reason.len()).sum::<usize>();
        json + failures + self.failures.capacity() * size_of::<FailedAttempt>()
    }
}

/// Removes the oldest failures of tasks while all of them take more than [`MAX_FAILURE_BYTES`].
pub(crate) fn limit_failures(tasks: &mut [Task]) {
    let failures =
        |tasks: &[Task]| tasks.iter().flat_map(|task| &task.failures).map(FailedAttempt::size_estimate).sum();
    let mut bytes: usize = failures(tasks);
    while bytes > MAX_FAILURE_BYTES {
        let with_failures = tasks.iter_mut().filter(|task| !task.failures.is_empty());
        let Some(oldest) = with_failures.min_by_key(|task| task.failures[0].at) else { return };
        bytes -= oldest.failures.remove(0).size_estimate();
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Outcome {
    /// Its work was done, and the rewards were credited.
    #[n(0)]
    Completed,
    /// It failed more often than it had retries.
    #[n(1)]
    Failed,
    /// It was cancelled: by a command, or with a prerequisite.
    #[n(2)]
    Cancelled,
}

impl Outcome {
    /// The outcome in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A finished task as its queue remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedTask {
    /// The id.
    pub task_id: TaskId,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub finished_at: Timestamp,
}
