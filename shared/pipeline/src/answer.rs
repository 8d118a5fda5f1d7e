//! What an invocation answers.

use millrace_domain::FailureReason;
use serde::Serialize;

use crate::report::Report;

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The messages that SQS has to deliver again.
    pub batch_item_failures: Vec<BatchItemFailure>,
    /// What became of the commands, failed ones first; from SQS, only of those that were not
    /// applied.
    pub results: Vec<CommandResult>,
    /// How many more results there are.
    pub results_omitted: usize,
    /// What it took.
    pub report: Report,
}

/// A message that has to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The id of the message.
    pub item_identifier: String,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    /// The command; left out for a tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The player; left out where malformed input names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player_id: Option<String>,
    /// `applied`, `duplicate`, `rejected` or `failed`.
    pub status: &'static str,
    /// A stable code, where it was not applied. For a duplicate: the reason of the first refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The reason of a failure, for the caller inside the process.
    #[serde(skip)]
    pub failure: Option<FailureReason>,
}

/// An invocation that has to fail as a whole, so that its source repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Commands failed, and their source takes no batch item failures.
    #[error("{failed} of {received} commands and ticks failed and have to be delivered again; the first: {first}")]
    CommandsFailed {
        /// How many failed.
        failed: usize,
        /// Of how many.
        received: usize,
        /// Why the first of them failed.
        first: String,
    },
}

impl ProcessError {
    /// The stable name of the error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::CommandsFailed { .. } => "CommandsFailed",
        }
    }
}
