//! The errors of a store.

use std::time::Duration;

use millrace_domain::{FailureReason, record::Table};

/// A call that failed, completely or in part.
///
/// Table names include the prefix of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store limits the rate of requests, or another process holds a lock.
    #[error("requests to table {table} are throttled")]
    Throttled {
        /// The table.
        table: String,
    },
    /// No answer arrived in time. Whether a write took effect is unknown.
    #[error("the store did not answer within {millis} ms")]
    TimedOut {
        /// The time-out in milliseconds.
        millis: u64,
    },
    /// A row is larger than [`MAX_ROW_BYTES`](crate::MAX_ROW_BYTES).
    #[error("a row of table {table} has {bytes} bytes; allowed: {max}")]
    TooLarge {
        /// The table.
        table: String,
        /// The size of the row in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The request is invalid, for example a batch with too many rows or duplicate keys.
    #[error("the request to table {table} is invalid: {detail}")]
    InvalidBatch {
        /// The table.
        table: String,
        /// The rule that the request breaks.
        detail: String,
    },
    /// The table does not exist.
    #[error("table {table} does not exist")]
    NoSuchTable {
        /// The table.
        table: String,
    },
    /// The credentials are missing or do not permit the call.
    #[error("access denied: {detail}")]
    AccessDenied {
        /// The message of the server.
        detail: String,
    },
    /// A row exists and cannot be decoded.
    #[error("a row of table {table} cannot be read: {detail}")]
    Unreadable {
        /// The table.
        table: String,
        /// What is wrong with the row.
        detail: String,
    },
    /// The store cannot be reached, or has an internal error. Whether a write took effect is
    /// unknown.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// The cause.
        detail: String,
    },
}

impl StoreError {
    /// The failure reason for answers, logs and metrics.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Throttled { .. } => FailureReason::StoreThrottled,
            Self::TimedOut { .. } => FailureReason::StoreTimedOut,
            Self::TooLarge { .. } => FailureReason::RowTooLarge,
            Self::InvalidBatch { .. } => FailureReason::InvalidBatch,
            Self::NoSuchTable { .. } => FailureReason::NoSuchTable,
            Self::AccessDenied { .. } => FailureReason::AccessDenied,
            Self::Unreadable { .. } => FailureReason::RowUnreadable,
            Self::Unavailable { .. } => FailureReason::StoreUnavailable,
        }
    }

    /// [`Unreadable`](Self::Unreadable) for a row of `table`, named without a prefix.
    pub fn unreadable(table: Table, detail: impl std::fmt::Display) -> Self {
        Self::Unreadable { table: table.as_str().to_owned(), detail: detail.to_string() }
    }

    /// [`TimedOut`](Self::TimedOut) after `timeout`.
    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::TimedOut { millis: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) }
    }

    /// [`Unavailable`](Self::Unavailable) with its cause.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into() }
    }
}

/// The error of a queue that was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The row does not have the expected version: another commit changed it.
    #[error("version conflict: another commit has changed the queue")]
    Conflict,
    /// The store failed. Whether the queue was committed may be unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}
