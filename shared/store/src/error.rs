//! What can go wrong in a store, and which of it passes.

use millrace_domain::{FailureReason, record::Table};

/// A call that a store did not carry out, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store refuses work for the moment.
    #[error("the store is throttling table {table}")]
    Throttled {
        /// The table.
        table: String,
    },
    /// No answer in time.
    #[error("the store did not answer within {millis} ms")]
    TimedOut {
        /// How long it was waited for.
        millis: u64,
    },
    /// A row of more bytes than a row may have.
    #[error("a row of table {table} has {bytes} bytes; allowed: {max}")]
    TooLarge {
        /// The table.
        table: String,
        /// The row's size.
        bytes: usize,
        /// The largest size.
        max: usize,
    },
    /// A batch that breaks the rules for batches: too many rows, or two of one key.
    #[error("the batch for table {table} was refused: {detail}")]
    InvalidBatch {
        /// The table.
        table: String,
        /// Which rule it breaks.
        detail: String,
    },
    /// The table does not exist.
    #[error("there is no table {table}")]
    NoSuchTable {
        /// The table.
        table: String,
    },
    /// The credentials do not allow it.
    #[error("access denied: {detail}")]
    AccessDenied {
        /// What the store said.
        detail: String,
    },
    /// A row that is there and cannot be read.
    #[error("a row of table {table} cannot be read: {detail}")]
    Unreadable {
        /// The table.
        table: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The store cannot be reached, or failed.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
}

impl StoreError {
    /// Why the call failed, as answers and logs name it.
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

    /// A row that cannot be read.
    pub fn unreadable(table: Table, detail: impl std::fmt::Display) -> Self {
        Self::Unreadable { table: table.as_str().to_owned(), detail: detail.to_string() }
    }
}

/// A queue that was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The row has another version than the write expects: somebody else has committed.
    #[error("the queue has been changed by another process")]
    Conflict,
    /// The store failed. Whether the write took place may be unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}
