//! Why a read has no answer.

use millrace_pipeline::Failure;
use millrace_store::StoreError;

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The player has no queue.
    #[error("the player has no queue")]
    UnknownPlayer,
    /// Even the table has an older version than the one requested.
    #[error("version {requested} was requested; the newest version is {newest}")]
    VersionNotReached {
        /// The version that was requested.
        requested: u64,
        /// The version in the table.
        newest: u64,
    },
    /// The events table is not among the destinations of events.
    #[error("no events are kept")]
    EventsNotKept,
    /// The next event is not kept any more.
    #[error("the oldest event still there has the sequence {oldest}")]
    EventsGone {
        /// The sequence of the oldest event that is still there.
        oldest: u64,
    },
    /// The store failed, or no time was left.
    #[error("{}", .0.detail)]
    Failed(Failure),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
