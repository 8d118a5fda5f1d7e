//! A failure: why something has to be delivered again.

use std::borrow::Cow;

use millrace_domain::FailureReason;
use millrace_store::{CommitError, StoreError};
use serde::Serialize;

/// Why something has to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Failure {
    /// The stable reason.
    #[serde(rename = "error")]
    pub reason: FailureReason,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
}

impl Failure {
    /// A failure with its reason.
    pub fn new(reason: FailureReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// Not finished before the deadline of the invocation.
    pub fn deadline() -> Self {
        Self::new(FailureReason::Deadline, "no time was left before the deadline")
    }

    /// Other processes changed the queue at each of `attempts` attempts.
    pub fn version_conflict(attempts: u32) -> Self {
        let detail = format!("other processes changed the queue at each of {attempts} attempts");
        Self::new(FailureReason::VersionConflict, detail)
    }

    /// More commands of one player than one invocation takes.
    pub fn too_many_commands(max: usize) -> Self {
        let detail = format!("one invocation takes at most {max} commands of one player; the rest is delivered again");
        Self::new(FailureReason::TooManyCommands, detail)
    }

    /// A bug: applying the commands of the player panicked.
    pub fn panicked(message: &str) -> Self {
        Self::new(FailureReason::InternalError, format!("applying the player's commands panicked: {message}"))
    }

    /// The answer to a call does not name the message.
    pub fn unanswered() -> Self {
        Self::new(FailureReason::Unanswered, "the answer does not name the message")
    }

    /// An earlier message of the same FIFO group failed.
    pub fn earlier_message() -> Self {
        Self::new(
            FailureReason::EarlierMessageFailed,
            "an earlier message of the same FIFO group failed; the order is kept",
        )
    }

    /// Malformed input of more bytes than a row can hold.
    pub fn malformed_too_large(bytes: usize, max: usize) -> Self {
        let detail = format!("the input is malformed, and its body of {bytes} bytes fits no row; allowed: {max}");
        Self::new(FailureReason::RowTooLarge, detail)
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self::new(error.reason(), error.to_string())
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
            _ => Self::new(FailureReason::VersionConflict, error.to_string()),
        }
    }
}
