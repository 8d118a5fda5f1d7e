//! Faults of the store in memory.

use std::{sync::Arc, time::Duration};

use millrace_domain::{
    PlayerId,
    record::{RecordKey, Table},
};

use crate::{error::StoreError, port::QueueWrite};

/// An operation of a handle, before it takes place.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Load one row. A call has one such operation for each player.
    Load {
        /// [`Table::Queues`] or [`Table::Progress`].
        table: Table,
        /// The player.
        player: &'a PlayerId,
    },
    /// Commit one queue. A call has one such operation for each write.
    Commit {
        /// The write.
        write: &'a QueueWrite,
    },
    /// Write records: one call.
    Write {
        /// The table.
        table: Table,
        /// The keys, in the order of the records.
        keys: &'a [RecordKey],
    },
    /// Read rows of one partition of the history, stats or rejections table.
    Read {
        /// The table.
        table: Table,
        /// The partition.
        partition: &'a str,
    },
    /// Read a shard of the due index.
    Due {
        /// The shard.
        shard: u8,
    },
    /// Read a page of the queues table.
    Scan,
    /// Check that the store is reachable.
    Ping,
}

/// The fault of an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No fault.
    None,
    /// The operation fails and has no effect.
    Error(StoreError),
    /// The operation has its effect and then fails, as when an answer is lost.
    FailAfterEffect(StoreError),
    /// A commit fails with a version conflict. Other operations ignore it.
    Conflict,
    /// The records at these positions of a write are not processed. Other operations ignore it.
    Unprocessed(Vec<usize>),
    /// The operation succeeds after a delay, by the clock of tokio.
    Delay(Duration),
}

/// Decides on the fault of each operation of a handle.
///
/// It is called before the operation and without a lock. It may change rows through another handle,
/// to simulate a concurrent commit at this moment.
pub type FaultHook = Arc<dyn Fn(&Operation<'_>) -> Fault + Send + Sync>;

impl Fault {
    /// Applies the fault to an operation.
    pub(super) fn apply<T, E: From<StoreError>>(self, effect: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self {
            Self::Error(error) => Err(error.into()),
            Self::FailAfterEffect(error) => {
                drop(effect());
                Err(error.into())
            }
            Self::None | Self::Conflict | Self::Unprocessed(_) | Self::Delay(_) => effect(),
        }
    }
}
