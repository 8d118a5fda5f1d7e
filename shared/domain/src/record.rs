//! Rows that record what was decided: history, stats, rejections, and progress between milestones.
//!
//! None of them decides anything, so they are plain puts in batches. Their keys follow from what
//! they record, so that putting one twice changes nothing.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{CommandId, PlayerId, TaskId, TaskKind},
    queue::Totals,
    rejection::RejectionReason,
    resources::Resources,
    task::{Outcome, Priority, Work},
    time::Timestamp,
    wire::{Reader, Unreadable, Wire, Writer, fields},
};

/// The tables, by the names that follow the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// One row a player: the whole queue, versioned.
    Queues,
    /// Units done of active reported tasks, between milestones.
    Progress,
    /// One row a finished task.
    History,
    /// Totals as of a version.
    Stats,
    /// Refused commands and malformed input.
    Rejections,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 5] = [Self::Queues, Self::Progress, Self::History, Self::Stats, Self::Rejections];

    /// The table's name without its prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Progress => "progress",
            Self::History => "history",
            Self::Stats => "stats",
            Self::Rejections => "rejections",
        }
    }

    /// The attribute that sorts the rows of one partition, where a partition has several.
    pub fn sort_key(self) -> Option<&'static str> {
        match self {
            Self::History => Some("finishedAt#taskId"),
            Self::Rejections => Some("receivedAt#commandId"),
            _ => None,
        }
    }
}

/// A row to be recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Encode, Decode)]
#[cbor(flat)]
pub enum Record {
    /// A finished task; boxed, for it is by far the largest.
    #[n(0)]
    History(#[n(0)] Box<HistoryRecord>),
    /// A refused command or malformed input.
    #[n(1)]
    Rejection(#[n(0)] RejectionRecord),
    /// A player's totals.
    #[n(2)]
    Stats(#[n(0)] StatsRecord),
    /// Units done between milestones.
    #[n(3)]
    Progress(#[n(0)] ProgressRecord),
}

fields! {
    HistoryRecord {
        player_id, task_id, kind, priority, outcome, reason, attempts, work, units_done, enqueued_at, started_at,
        finished_at, time_spent_ms, costs, refunded, rewards, lost,
    }
    RejectionRecord { partition, received_at, command_id, reason, detail, command_type, task_id, body }
    StatsRecord { player_id, version, as_of, totals }
    ProgressRecord { player_id, version, tasks }
    TaskProgress { task_id, started_at, attempts, units_done }
}

impl Wire for Record {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::History(row) => {
                writer.byte(0);
                row.write(writer);
            }
            Self::Rejection(row) => {
                writer.byte(1);
                row.write(writer);
            }
            Self::Stats(row) => {
                writer.byte(2);
                row.write(writer);
            }
            Self::Progress(row) => {
                writer.byte(3);
                row.write(writer);
            }
        }
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.varint() {
            0 => Self::History(Wire::read(reader)),
            1 => Self::Rejection(Wire::read(reader)),
            2 => Self::Stats(Wire::read(reader)),
            choice => {
                if choice != 3 {
                    reader.fail(Unreadable::Choice);
                }
                Self::Progress(Wire::read(reader))
            }
        }
    }
}

/// Where a record's row stands; two records of one key are the same row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The table.
    pub table: Table,
    /// The partition: `playerId`, or `unknown#<hex digit>`.
    pub partition: String,
    /// The sort key's value, in tables that have one.
    pub sort: Option<String>,
}

impl Record {
    /// The table it belongs to.
    pub fn table(&self) -> Table {
        match self {
            Self::History(_) => Table::History,
            Self::Rejection(_) => Table::Rejections,
            Self::Stats(_) => Table::Stats,
            Self::Progress(_) => Table::Progress,
        }
    }

    /// How urgently it is written. History proves what was credited, progress holds the only copy of
    /// an acknowledged report outside the cache, rejections are told apart by nothing else, and stats
    /// can be made from the queue at any time.
    pub fn priority(&self) -> Priority {
        match self {
            Self::History(_) => Priority::Critical,
            Self::Progress(_) => Priority::High,
            Self::Rejection(_) => Priority::Normal,
            Self::Stats(_) => Priority::Low,
        }
    }

    /// Where its row stands.
    pub fn key(&self) -> RecordKey {
        let (partition, sort) = match self {
            Self::History(row) => (row.player_id.as_str(), Some(row.sort_key())),
            Self::Rejection(row) => (row.partition.as_str(), Some(row.sort_key())),
            Self::Stats(row) => (row.player_id.as_str(), None),
            Self::Progress(row) => (row.player_id.as_str(), None),
        };
        RecordKey { table: self.table(), partition: partition.to_owned(), sort }
    }

    /// About how many bytes the row takes in a table, names of attributes included; never less than
    /// it really takes by more than a tenth.
    pub fn size(&self) -> usize {
        match self {
            Self::History(row) => row.size(),
            Self::Rejection(row) => {
                200 + row.partition.len()
                    + 2 * row.command_id.as_str().len()
                    + row.detail.len()
                    + row.body.as_ref().map_or(0, String::len)
            }
            Self::Stats(row) => 160 + row.player_id.as_str().len() + resources_size(&row.totals.rewards),
            Self::Progress(row) => {
                80 + row.player_id.as_str().len()
                    + row.tasks.iter().map(|task| 80 + task.task_id.as_str().len()).sum::<usize>()
            }
        }
    }
}

/// About how many bytes amounts take in a row.
pub fn resources_size(resources: &Resources) -> usize {
    resources.iter().map(|(name, _)| name.as_str().len() + 12).sum()
}

fn sort_key(at: Timestamp, id: &str) -> String {
    use std::fmt::Write;
    let mut key = String::with_capacity("2026-11-20T12:00:00.000Z#".len() + id.len());
    // Writing into a string cannot fail.
    let _ = write!(key, "{at}");
    key.push('#');
    key.push_str(id);
    key
}

/// A finished task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRecord {
    /// Whose task it was.
    #[n(0)]
    pub player_id: PlayerId,
    /// The task.
    #[n(1)]
    pub task_id: TaskId,
    /// What sort of work it was.
    #[n(2)]
    pub kind: TaskKind,
    /// Its priority at the end.
    #[n(3)]
    pub priority: Priority,
    /// How it ended.
    #[n(4)]
    pub outcome: Outcome,
    /// Why it failed or was cancelled.
    #[n(5)]
    pub reason: Option<String>,
    /// How often it failed.
    #[cbor(n(6), skip_if = "crate::encoding::is_default")]
    pub attempts: u8,
    /// What it was to do.
    #[n(7)]
    pub work: Work,
    /// Units done of reported work.
    #[cbor(n(8), skip_if = "crate::encoding::is_default")]
    pub units_done: u64,
    /// When the command that queued it took effect.
    #[n(9)]
    pub enqueued_at: Timestamp,
    /// When its last attempt started, for a task that was active at its end.
    #[n(10)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[n(11)]
    pub finished_at: Timestamp,
    /// Milliseconds from the last start to the end, pauses left out.
    #[n(12)]
    pub time_spent_ms: u64,
    /// What it had paid.
    #[serde(default)]
    #[cbor(n(13), skip_if = "crate::encoding::is_default")]
    pub costs: Resources,
    /// What of that was given back.
    #[serde(default)]
    #[cbor(n(14), skip_if = "crate::encoding::is_default")]
    pub refunded: Resources,
    /// What was credited.
    #[serde(default)]
    #[cbor(n(15), skip_if = "crate::encoding::is_default")]
    pub rewards: Resources,
    /// What of rewards or refunds was lost at the limit of a balance.
    #[serde(default)]
    #[cbor(n(16), skip_if = "crate::encoding::is_default")]
    pub lost: Resources,
}

impl HistoryRecord {
    /// `finishedAt#taskId`: newest last, in the order of the clock.
    pub fn sort_key(&self) -> String {
        sort_key(self.finished_at, self.task_id.as_str())
    }

    fn size(&self) -> usize {
        320 + self.player_id.as_str().len()
            + 2 * self.task_id.as_str().len()
            + self.kind.as_str().len()
            + self.reason.as_ref().map_or(0, String::len)
            + [&self.costs, &self.refunded, &self.rewards, &self.lost].into_iter().map(resources_size).sum::<usize>()
    }
}

/// A refused command, or malformed input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct RejectionRecord {
    /// The player, or `unknown#<hex digit>` where the input names none.
    #[serde(rename = "playerId")]
    #[n(0)]
    pub partition: String,
    /// When its event was sent.
    #[n(1)]
    pub received_at: Timestamp,
    /// The command, by its own name or by its message's.
    #[n(2)]
    pub command_id: CommandId,
    /// The stable code.
    #[n(3)]
    pub reason: RejectionReason,
    /// What was refused and what would have been allowed.
    #[n(4)]
    pub detail: String,
    /// The command's `type`, where it was understood.
    #[serde(rename = "type")]
    #[n(5)]
    pub command_type: Option<String>,
    /// The task that the command names, where it was understood and names one.
    #[n(6)]
    pub task_id: Option<TaskId>,
    /// Malformed input as it came.
    #[n(7)]
    pub body: Option<String>,
}

impl RejectionRecord {
    /// `receivedAt#commandId`: newest last.
    pub fn sort_key(&self) -> String {
        sort_key(self.received_at, self.command_id.as_str())
    }
}

/// A player's totals as of a version of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct StatsRecord {
    /// The player.
    #[n(0)]
    pub player_id: PlayerId,
    /// The queue's version.
    #[n(1)]
    pub version: u64,
    /// When that version took effect.
    #[n(2)]
    pub as_of: Timestamp,
    /// The totals.
    #[n(3)]
    pub totals: Totals,
}

/// Units done of a player's active reported tasks, between milestones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct ProgressRecord {
    /// The player.
    #[n(0)]
    pub player_id: PlayerId,
    /// The version of the queue that this adds to.
    #[n(1)]
    pub version: u64,
    /// The tasks.
    #[cbor(n(2), with = "crate::encoding::list")]
    pub tasks: Vec<TaskProgress>,
}

/// Units done of one attempt of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct TaskProgress {
    /// The task.
    #[n(0)]
    pub task_id: TaskId,
    /// When the attempt started: progress of an earlier attempt says nothing of this one.
    #[n(1)]
    pub started_at: Timestamp,
    /// How often the task had failed before, likewise.
    #[cbor(n(2), skip_if = "crate::encoding::is_default")]
    pub attempts: u8,
    /// Units done.
    #[n(3)]
    pub units_done: u64,
}
