//! Attempts of tasks: when they fail by themselves, and what is kept of those that failed.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::{
    ids::{TaskId, TaskKind},
    time::Timestamp,
};

/// Shortest `heartbeatMs` and `timeoutMs`, in milliseconds: one second.
pub const MIN_DEADLINE_MS: u64 = 1_000;
/// Longest `heartbeatMs` and `timeoutMs`, in milliseconds: seven days.
pub const MAX_DEADLINE_MS: u64 = 604_800_000;
/// How many failed attempts of a task are kept: the last ones.
pub const KEPT_FAILURES: usize = 3;
/// Longest reason of a failed attempt that is kept, in bytes. The rest of the reason is cut off.
pub const MAX_KEPT_REASON: usize = 128;
/// The largest size of the kept failures of all unfinished tasks of a queue, in bytes. The oldest
/// failures make room for new ones.
pub const MAX_FAILURE_BYTES: usize = 24 * 1024;

/// Why an attempt of reported work fails by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedDeadline {
    /// `heartbeatMs` passed without a report since the start or the last report.
    HeartbeatLost,
    /// The attempt has been active for `timeoutMs`.
    TimedOut,
}

impl MissedDeadline {
    /// The reason of the failure.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HeartbeatLost => "heartbeat_lost",
            Self::TimedOut => "timed_out",
        }
    }
}

/// A task in one of its attempts.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TaskAttempt {
    /// The task.
    #[n(0)]
    pub task_id: TaskId,
    /// What sort of work it is.
    #[n(1)]
    pub kind: TaskKind,
    /// The attempt, from 1.
    #[n(2)]
    pub attempt: u64,
}

impl TaskAttempt {
    /// The bytes of the names.
    pub(crate) fn size_estimate(&self) -> usize {
        self.task_id.as_str().len() + self.kind.as_str().len()
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct FailedAttempt {
    /// The attempt, from 1.
    #[n(0)]
    pub attempt: u8,
    /// Why it failed: the first [`MAX_KEPT_REASON`] bytes.
    #[n(1)]
    pub reason: String,
    /// When it failed.
    #[n(2)]
    pub at: Timestamp,
}

impl FailedAttempt {
    /// A failed attempt. A long reason is cut off.
    pub fn new(attempt: u8, reason: &str, at: Timestamp) -> Self {
        let mut end = reason.len().min(MAX_KEPT_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { attempt, reason: reason[..end].to_owned(), at }
    }

    /// The most bytes that the failure takes in a row.
    pub(crate) fn size_estimate(&self) -> usize {
        20 + self.reason.len()
    }
}
