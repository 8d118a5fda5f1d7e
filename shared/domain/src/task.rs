//! What a task is asked to be ([`TaskSpec`]), and what it is while unfinished ([`Task`]).

use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    ids::{TaskId, TaskKind},
    parse::{Object, bounded},
    resources::Resources,
    time::Timestamp,
    wire::{Reader, Unreadable, Wire, Writer, fields, positions},
};

/// Longest timed work, in milliseconds: one day.
pub const MAX_DURATION_MS: u64 = 86_400_000;
/// Most units of reported work.
pub const MAX_UNITS: u64 = 1_000_000_000;
/// Most retries of a task.
pub const MAX_RETRIES: u64 = 10;
/// Longest first retry delay, and longest delay after doubling, in milliseconds: one hour.
pub const MAX_RETRY_DELAY_MS: u64 = 3_600_000;
/// Most prerequisites, costs or rewards of a task.
pub const MAX_TASK_LIST: usize = 20;

/// What is served first. The order of the variants is the order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, Encode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Priority {
    /// After everything else.
    #[n(0)]
    Low,
    /// What a task has that names no priority.
    #[default]
    #[n(1)]
    Normal,
    /// Before `normal`.
    #[n(2)]
    High,
    /// Before everything else.
    #[n(3)]
    Critical,
}

impl<'b, C> Decode<'b, C> for Priority {
    /// A priority of a newer release is taken for the normal one: the task is still worked on.
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Ok(match decoder.u8()? {
            0 => Self::Low,
            2 => Self::High,
            3 => Self::Critical,
            _ => Self::Normal,
        })
    }
}

impl Priority {
    /// The priority as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What has to happen for a task to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(flat)]
pub enum Work {
    /// Finishes by the server's clock, so many milliseconds (1 to one day) after its start.
    #[n(0)]
    DurationMs(#[n(0)] u64),
    /// Finishes when so many units (1 to a billion) have been reported done.
    #[n(1)]
    Units(#[n(0)] u64),
}

/// A task as a command asks for it. See the fields for what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskSpec {
    /// Names the task within its queue; no unfinished or remembered task may have the same.
    pub task_id: TaskId,
    /// What sort of work it is.
    pub kind: TaskKind,
    /// `low`, `normal` (where left out), `high` or `critical`.
    #[serde(default)]
    pub priority: Priority,
    /// `{"durationMs": 1 to 86,400,000}` or `{"units": 1 to 1,000,000,000}`.
    #[serde(deserialize_with = "work")]
    pub work: Work,
    /// Does not start before this time.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Does not start before all of these have completed; at most 20.
    #[serde(default, deserialize_with = "prerequisites")]
    pub prerequisites: Vec<TaskId>,
    /// Deducted at the first start, which waits until the balances cover them; at most 20.
    #[serde(default, deserialize_with = "task_resources")]
    pub costs: Resources,
    /// Credited at the completion; at most 20.
    #[serde(default, deserialize_with = "task_resources")]
    pub rewards: Resources,
    /// How often it goes back to pending after a failure: 0 to 10, 3 where left out.
    #[serde(default = "default_retries", deserialize_with = "retries")]
    pub max_retries: u8,
    /// The delay of the first retry in milliseconds, doubled for each further one: 0 to 3,600,000,
    /// 1000 where left out.
    #[serde(default = "default_retry_delay", deserialize_with = "retry_delay")]
    pub retry_delay_ms: u32,
}

fn default_retries() -> u8 {
    3
}

fn default_retry_delay() -> u32 {
    1000
}

fn retries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    bounded(deserializer, 0, MAX_RETRIES).map(|n| n as u8)
}

fn retry_delay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, 0, MAX_RETRY_DELAY_MS).map(|n| n as u32)
}

fn work<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Work, D::Error> {
    fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        bounded(deserializer, 1, MAX_DURATION_MS).map(Some)
    }
    fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        bounded(deserializer, 1, MAX_UNITS).map(Some)
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Raw {
        #[serde(default, deserialize_with = "duration")]
        duration_ms: Option<u64>,
        #[serde(default, deserialize_with = "units")]
        units: Option<u64>,
    }
    let Object(raw) = Object::deserialize(deserializer)?;
    match raw {
        Raw { duration_ms: Some(ms), units: None } => Ok(Work::DurationMs(ms)),
        Raw { duration_ms: None, units: Some(units) } => Ok(Work::Units(units)),
        Raw { duration_ms: Some(_), units: Some(_) } => {
            Err(de::Error::custom("both `durationMs` and `units` are given; allowed: one of them"))
        }
        Raw { .. } => Err(de::Error::custom("neither `durationMs` nor `units` is given; allowed: one of them")),
    }
}

fn prerequisites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TaskId>, D::Error> {
    let ids = Vec::<TaskId>::deserialize(deserializer)?;
    at_most(ids.len(), MAX_TASK_LIST, "prerequisites")?;
    Ok(ids)
}

fn task_resources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
    let resources = Resources::deserialize(deserializer)?;
    at_most(resources.len(), MAX_TASK_LIST, "resources")?;
    Ok(resources)
}

pub(crate) fn at_most<E: de::Error>(found: usize, max: usize, what: &str) -> Result<(), E> {
    if found > max {
        return Err(E::custom(format!("{found} {what} are given; allowed: at most {max}")));
    }
    Ok(())
}

/// Where an unfinished task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Encode, Decode)]
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
        /// How long the queue has been paused since then, in milliseconds, ended pauses only.
        #[n(1)]
        paused_ms: u64,
    },
}

/// An unfinished task of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
#[cbor(map)]
pub struct Task {
    /// Names the task within its queue.
    #[n(0)]
    pub id: TaskId,
    /// What sort of work it is.
    #[n(1)]
    pub kind: TaskKind,
    /// What is served first.
    #[cbor(n(2), skip_if = "crate::encoding::is_default")]
    pub priority: Priority,
    /// What has to happen for it to complete.
    #[n(3)]
    pub work: Work,
    /// Units reported done; 0 for timed work.
    #[cbor(n(4), skip_if = "crate::encoding::is_default")]
    pub units_done: u64,
    /// Does not start before this time.
    #[n(5)]
    pub not_before: Option<Timestamp>,
    /// The prerequisites that have not completed yet. All are unfinished tasks of the same queue: a
    /// completed one is taken out at once, so that the queue may forget it.
    #[cbor(n(6), with = "crate::encoding::list", skip_if = "crate::encoding::is_default")]
    pub waiting_for: Vec<TaskId>,
    /// Deducted at the first start.
    #[cbor(n(7), skip_if = "crate::encoding::is_default")]
    pub costs: Resources,
    /// Credited at the completion.
    #[cbor(n(8), skip_if = "crate::encoding::is_default")]
    pub rewards: Resources,
    /// How often it may go back to pending after a failure.
    #[n(9)]
    pub max_retries: u8,
    /// The delay of the first retry, in milliseconds.
    #[n(10)]
    pub retry_delay_ms: u32,
    /// How often it has failed.
    #[cbor(n(11), skip_if = "crate::encoding::is_default")]
    pub attempts: u8,
    /// Whether the costs have been deducted.
    #[cbor(n(12), skip_if = "crate::encoding::is_default")]
    pub paid: bool,
    /// When the command that queued it took effect.
    #[n(13)]
    pub enqueued_at: Timestamp,
    /// Where it stands.
    #[cbor(n(14), skip_if = "crate::encoding::is_default")]
    pub state: TaskState,
}

fields! {
    Task {
        id, kind, priority, work, units_done, not_before, waiting_for, costs, rewards, max_retries, retry_delay_ms,
        attempts, paid, enqueued_at, state,
    }
}

positions! {
    Priority { Low, Normal, High, Critical }
    Outcome { Completed, Failed, Cancelled }
}

impl Wire for Work {
    fn write(&self, writer: &mut Writer) {
        let (choice, number) = match self {
            Self::DurationMs(ms) => (0, ms),
            Self::Units(units) => (1, units),
        };
        writer.byte(choice);
        writer.varint(*number);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        let choice = reader.varint();
        let number = reader.varint();
        match choice {
            0 => Self::DurationMs(number),
            1 => Self::Units(number),
            _ => {
                reader.fail(Unreadable::Choice);
                Self::Units(number)
            }
        }
    }
}

impl Wire for TaskState {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Pending => writer.byte(0),
            Self::Active { started_at, paused_ms } => {
                writer.byte(1);
                started_at.write(writer);
                writer.varint(*paused_ms);
            }
        }
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.varint() {
            0 => Self::Pending,
            1 => Self::Active { started_at: Timestamp::read(reader), paused_ms: reader.varint() },
            _ => {
                reader.fail(Unreadable::Choice);
                Self::Pending
            }
        }
    }
}

impl Task {
    /// A pending task as asked for, waiting for those of its prerequisites that `waiting_for` names.
    pub fn new(spec: &TaskSpec, waiting_for: Vec<TaskId>, enqueued_at: Timestamp) -> Self {
        Self {
            id: spec.task_id.clone(),
            kind: spec.kind.clone(),
            priority: spec.priority,
            work: spec.work,
            units_done: 0,
            not_before: spec.not_before,
            waiting_for,
            costs: spec.costs.clone(),
            rewards: spec.rewards.clone(),
            max_retries: spec.max_retries,
            retry_delay_ms: spec.retry_delay_ms,
            attempts: 0,
            paid: spec.costs.is_empty(),
            enqueued_at,
            state: TaskState::Pending,
        }
    }

    /// Whether the task occupies a slot.
    pub fn is_active(&self) -> bool {
        matches!(self.state, TaskState::Active { .. })
    }

    /// When the current attempt started, for an active task.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self.state {
            TaskState::Active { started_at, .. } => Some(started_at),
            TaskState::Pending => None,
        }
    }

    /// When an active timed task completes, were the queue never paused again.
    pub fn finish_at(&self) -> Option<Timestamp> {
        match (self.state, self.work) {
            (TaskState::Active { started_at, paused_ms }, Work::DurationMs(ms)) => Some(started_at + paused_ms + ms),
            _ => None,
        }
    }

    /// Whether all units of reported work are done.
    pub fn is_full(&self) -> bool {
        matches!(self.work, Work::Units(units) if self.units_done >= units)
    }

    /// Milliseconds of work between the current start and `now`, pauses that have ended left out.
    pub fn active_ms(&self, now: Timestamp) -> u64 {
        match self.state {
            TaskState::Active { started_at, paused_ms } => now.millis_since(started_at).saturating_sub(paused_ms),
            TaskState::Pending => 0,
        }
    }

    /// The quarter that `units_done` of reported work lies in, 0 to 4; crossing one is a milestone.
    pub fn quarter(&self, units_done: u64) -> u64 {
        match self.work {
            Work::Units(units) => 4 * units_done / units.max(1),
            Work::DurationMs(_) => 0,
        }
    }

    /// How long the task waits after its `attempts`-th failure (1 for the first), in milliseconds:
    /// the first delay doubled for each further one, at most one hour.
    pub fn retry_delay(&self, attempts: u8) -> u64 {
        let factor = 1_u64.checked_shl(u32::from(attempts.saturating_sub(1))).unwrap_or(u64::MAX);
        u64::from(self.retry_delay_ms).saturating_mul(factor).min(MAX_RETRY_DELAY_MS)
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Outcome {
    /// All its work was done; the rewards were credited.
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
    /// The outcome as it stands in JSON.
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
    /// The task.
    pub task_id: TaskId,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub finished_at: Timestamp,
}
