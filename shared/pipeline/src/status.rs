//! What became of a command, and why one failed.

use std::borrow::Cow;

use millrace_domain::{Rejection, RejectionReason};
use millrace_store::{CommitError, StoreError};

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Nothing yet.
    Open,
    /// It took effect, and that is committed.
    Applied,
    /// It was decided before.
    Duplicate(Option<RejectionReason>),
    /// It is refused, for good.
    Rejected(Rejection),
    /// It has to be delivered again.
    Failed(Failure),
}

/// Why something has to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable code.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
}

impl Failure {
    /// Not finished before the invocation's deadline.
    pub fn deadline() -> Self {
        Self { code: "deadline", detail: Cow::Borrowed("no time was left before the deadline") }
    }

    /// Whether it is [`Failure::deadline`].
    pub fn is_deadline(&self) -> bool {
        self.code == "deadline"
    }

    /// Whether the store has refused a write for certain. Of other failures nobody knows whether it was done.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code, "store_throttled" | "access_denied" | "no_such_table" | "row_too_large" | "invalid_batch")
    }

    /// The player's queue was changed by others each time it was applied.
    pub fn conflict(tries: u32) -> Self {
        Self { code: "conflict", detail: Cow::Owned(format!("others changed the queue {tries} times in a row")) }
    }

    /// More commands of one player than one invocation takes.
    pub fn too_many_commands(max: usize) -> Self {
        Self {
            code: "too_many_commands",
            detail: Cow::Owned(format!("one invocation takes at most {max} commands of one player; the rest follows")),
        }
    }

    /// A bug: applying the player's commands panicked.
    pub fn panic(message: &str) -> Self {
        Self {
            code: "internal_error",
            detail: Cow::Owned(format!("applying the player's commands panicked: {message}")),
        }
    }

    /// A message before it in the same FIFO group failed.
    pub fn earlier_message() -> Self {
        Self {
            code: "earlier_message_failed",
            detail: Cow::Borrowed("an earlier message of the same group failed, and order is kept"),
        }
    }

    /// Malformed input of more bytes than a row can keep.
    pub fn too_large(bytes: usize, max: usize) -> Self {
        Self {
            code: "row_too_large",
            detail: Cow::Owned(format!("malformed, and its body of {bytes} bytes fits no row; allowed: {max}")),
        }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self { code: error.reason().code(), detail: Cow::Owned(error.to_string()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&CommitError> for Failure {
    fn from(error: &CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            _ => Self { code: "conflict", detail: Cow::Owned(error.to_string()) },
        }
    }
}
