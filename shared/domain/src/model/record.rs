//! Rows that record decisions: history, stats, rejections, events, and progress between milestones.
//!
//! They decide nothing, so they are written by plain puts in batches. Their keys follow from their
//! content: writing a record twice changes nothing.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::{
    attempt::FailedAttempt,
    encoding::is_default,
    events_record::EventsRecord,
    ids::{CommandId, PlayerId, TaskId, TaskKind},
    json_text::{self, JsonText},
    rejection::RejectionReason,
    resources::Resources,
    task::{Outcome, Priority},
    time::Timestamp,
    totals::Totals,
    work::Work,
};

/// The tables. Their names follow the prefix of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// One row a player: the whole queue with its version.
    Queues,
    /// One row a player: units done and last report of active reported tasks, between milestones.
    Progress,
    /// One row a finished task.
    History,
    /// One row a player: the totals of a version.
    Stats,
    /// One row a refused command or malformed input.
    Rejections,
    /// One row a commit: the events that it led to.
    Events,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 6] =
        [Self::Queues, Self::Progress, Self::History, Self::Stats, Self::Rejections, Self::Events];

    /// The table's name without its prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Progress => "progress",
            Self::History => "history",
            Self::Stats => "stats",
            Self::Rejections => "rejections",
            Self::Events => "events",
        }
    }

    /// The name of the sort key, in tables that have one.
    pub fn sort_key(self) -> Option<&'static str> {
        match self {
            Self::History => Some("finishedAt#sequence"),
            Self::Rejections => Some("receivedAt#entry"),
            Self::Events => Some("firstSequence"),
            _ => None,
        }
    }
}

/// A row to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Encode, Decode)]
#[serde(untagged)]
#[cbor(flat)]
pub enum Record {
    /// A finished task. It is boxed because it is by far the largest.
    #[n(0)]
    History(#[n(0)] Box<HistoryRecord>),
    /// A refused command or malformed input.
    #[n(1)]
    Rejection(#[n(0)] RejectionRecord),
    /// A player's totals.
    #[n(2)]
    Stats(#[n(0)] StatsRecord),
    /// Units done and last report between milestones.
    #[n(3)]
    Progress(#[n(0)] ProgressRecord),
    /// The events of a commit.
    #[n(4)]
    Events(#[n(0)] EventsRecord),
}

/// The key of a record's row. Two records with the same key are the same row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The table.
    pub table: Table,
    /// The partition: `playerId`, or `unknown#<hex digit>`.
    pub partition: String,
    /// The value of the sort key, in tables that have one.
    pub sort: Option<String>,
}

impl Record {
    /// The table of the record.
    pub fn table(&self) -> Table {
        match self {
            Self::History(_) => Table::History,
            Self::Rejection(_) => Table::Rejections,
            Self::Stats(_) => Table::Stats,
            Self::Progress(_) => Table::Progress,
            Self::Events(_) => Table::Events,
        }
    }

    /// How urgently the record is written. History proves what was credited, and others wait for
    /// events. Progress is the only
    /// copy of an acknowledged report outside the cache. Stats can be made from the queue at any
    /// time.
    pub fn priority(&self) -> Priority {
        match self {
            Self::History(_) | Self::Events(_) => Priority::Critical,
            Self::Progress(_) => Priority::High,
            Self::Rejection(_) => Priority::Normal,
            Self::Stats(_) => Priority::Low,
        }
    }

    /// The key of its row.
    pub fn key(&self) -> RecordKey {
        let (partition, sort) = match self {
            Self::History(row) => (row.player_id.as_str(), Some(row.sort_key())),
            Self::Rejection(row) => (row.partition.as_str(), Some(row.sort_key())),
            Self::Stats(row) => (row.player_id.as_str(), None),
            Self::Progress(row) => (row.player_id.as_str(), None),
            Self::Events(row) => (row.player_id.as_str(), Some(EventsRecord::sort_key(row.first_sequence()))),
        };
        RecordKey { table: self.table(), partition: partition.to_owned(), sort }
    }

    /// About how many bytes the row takes in a table, names of attributes included. The estimate is
    /// at least nine tenths of the real size.
    pub fn size(&self) -> usize {
        match self {
            Self::History(row) => row.size(),
            Self::Rejection(row) => {
                200 + row.partition.len()
                    + 2 * row.entry.len()
                    + row.command_id.as_str().len()
                    + row.detail.len()
                    + row.body.as_ref().map_or(0, String::len)
            }
            Self::Events(row) => row.size(),
            Self::Stats(row) => 160 + row.player_id.as_str().len() + row.totals.rewards.size_estimate(),
            Self::Progress(row) => {
                80 + row.player_id.as_str().len()
                    + row.tasks.iter().map(|task| 80 + task.task_id.as_str().len()).sum::<usize>()
            }
        }
    }
}

fn sort_key(at: Timestamp, rest: impl fmt::Display) -> String {
    format!("{at}#{rest}")
}

/// A finished task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct HistoryRecord {
    /// The owner of the queue.
    #[n(0)]
    pub player_id: PlayerId,
    /// The task.
    #[n(1)]
    pub task_id: TaskId,
    /// Counts the finished tasks of the player, from 1. Two records never have the same number, not
    /// even of one task id that finishes twice in a millisecond.
    #[n(2)]
    pub sequence: u64,
    /// What sort of work it was.
    #[n(3)]
    pub kind: TaskKind,
    /// Its last priority.
    #[n(4)]
    pub priority: Priority,
    /// How it ended.
    #[n(5)]
    pub outcome: Outcome,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub reason: Option<String>,
    /// The number of failed attempts.
    #[cbor(n(7), skip_if = "is_default")]
    pub attempts: u8,
    /// What it needed to complete.
    #[n(8)]
    pub work: Work,
    /// Units done of reported work.
    #[cbor(n(9), skip_if = "is_default")]
    pub units_done: u64,
    /// The effective time of the command that queued it.
    #[n(10)]
    pub enqueued_at: Timestamp,
    /// When its last attempt started, if it was active at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(11)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[n(12)]
    pub finished_at: Timestamp,
    /// Milliseconds from the last start to the end, pauses excluded.
    #[n(13)]
    pub time_spent_ms: u64,
    /// The costs that it had paid.
    #[serde(default)]
    #[cbor(n(14), skip_if = "Resources::is_empty")]
    pub costs: Resources,
    /// What of the costs was refunded.
    #[serde(default)]
    #[cbor(n(15), skip_if = "Resources::is_empty")]
    pub refunded: Resources,
    /// The rewards that were credited.
    #[serde(default)]
    #[cbor(n(16), skip_if = "Resources::is_empty")]
    pub rewards: Resources,
    /// What of rewards or refunds was lost at the limit of a balance.
    #[serde(default)]
    #[cbor(n(17), skip_if = "Resources::is_empty")]
    pub lost: Resources,
    /// What came of the work, as the worker said. A string in the table.
    #[serde(default, with = "json_text::as_string", skip_serializing_if = "Option::is_none")]
    #[n(18)]
    pub result: Option<JsonText>,
    /// The last failed attempts, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(19), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub failures: Vec<FailedAttempt>,
}

impl HistoryRecord {
    /// `finishedAt#sequence`, which orders the rows by time, and those of one moment by the order
    /// in which the tasks ended. The sequence has 12 digits, enough for a task a millisecond during
    /// 31 years.
    pub fn sort_key(&self) -> String {
        Self::sort_key_of(self.finished_at, self.sequence)
    }

    /// The sort key of the task that ended at this time and has this sequence.
    pub fn sort_key_of(finished_at: Timestamp, sequence: u64) -> String {
        sort_key(finished_at, format_args!("{sequence:012}"))
    }

    pub(crate) fn size(&self) -> usize {
        let resources = [&self.costs, &self.refunded, &self.rewards, &self.lost];
        350 + self.player_id.as_str().len()
            + self.task_id.as_str().len()
            + self.kind.as_str().len()
            + self.reason.as_ref().map_or(0, String::len)
            + resources.into_iter().map(Resources::size_estimate).sum::<usize>()
            + self.result.as_ref().map_or(0, JsonText::size)
            + self.failures.iter().map(FailedAttempt::size_estimate).sum::<usize>()
    }
}

/// A refused command, or malformed input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct RejectionRecord {
    /// The player, or `unknown#<hex digit>` if the input names none.
    #[serde(rename = "playerId")]
    #[n(0)]
    pub partition: String,
    /// When its message was sent.
    #[n(1)]
    pub received_at: Timestamp,
    /// The command's own id, or one made from its message.
    #[n(2)]
    pub command_id: CommandId,
    /// The stable code.
    #[n(3)]
    pub reason: RejectionReason,
    /// What was refused, and what would have been allowed.
    #[n(4)]
    pub detail: String,
    /// The command's `type`, if it was understood.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[n(5)]
    pub command_type: Option<String>,
    /// The task that the command names, if it was understood and names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub task_id: Option<TaskId>,
    /// Malformed input as it came, or a refused command as JSON, if it is short enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub body: Option<String>,
    /// What tells it from other rejections of the same moment, which may have the same command id:
    /// `<version>.<number>` in the commit of a refused command, `<messageId>:<index>` in the
    /// message of malformed input.
    #[n(8)]
    pub entry: String,
}

impl RejectionRecord {
    /// `receivedAt#entry`, which orders the rows by time.
    pub fn sort_key(&self) -> String {
        sort_key(self.received_at, &self.entry)
    }
}

/// A player's totals as of a version of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct StatsRecord {
    /// The owner of the queue.
    #[n(0)]
    pub player_id: PlayerId,
    /// The queue's version.
    #[n(1)]
    pub version: u64,
    /// The time up to which that version has advanced.
    #[n(2)]
    pub as_of: Timestamp,
    /// The totals.
    #[n(3)]
    pub totals: Totals,
    /// Whether everything that this version led to is recorded and published.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cbor(n(4), skip_if = "is_default")]
    pub published: bool,
}

impl StatsRecord {
    /// Whether everything that this version led to is recorded and published.
    pub fn is_done(&self, version: u64) -> bool {
        self.published && self.version == version
    }
}

/// Units done and last report of a player's active reported tasks, between milestones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct ProgressRecord {
    /// The owner of the queue.
    #[n(0)]
    pub player_id: PlayerId,
    /// The version of the queue that the progress adds to.
    #[n(1)]
    pub version: u64,
    /// The tasks.
    #[cbor(n(2), with = "crate::model::encoding::list")]
    pub tasks: Vec<TaskProgress>,
}

/// Units done and last report in one attempt of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct TaskProgress {
    /// The task.
    #[n(0)]
    pub task_id: TaskId,
    /// When the attempt started. It tells this attempt from others, together with `attempts`.
    #[n(1)]
    pub started_at: Timestamp,
    /// The number of failed attempts before.
    #[cbor(n(2), skip_if = "is_default")]
    pub attempts: u8,
    /// Units done.
    #[n(3)]
    pub units_done: u64,
    /// Milliseconds from the start to the last report, pauses excluded; of work with a heartbeat.
    #[serde(default)]
    #[cbor(n(4), skip_if = "is_default")]
    pub reported_ms: u64,
}
