//! The records of a write and its answer.

use millrace_domain::Record;

use super::statistics::WriteStatistics;
use crate::error::StoreError;

/// Whether a record may share a call with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// The record shares calls with records of the same table and priority.
    Shared,
    /// The record is sent in a call without other records: batching is off for its player.
    Single,
}

/// A record to write.
#[derive(Debug, Clone)]
pub struct RecordWrite<O> {
    /// The record.
    pub record: Record,
    /// What the record belongs to, in terms of the caller. Reported if the write fails.
    pub origin: O,
    /// Whether the record may share a call. If records of one key differ, the row is sent in a
    /// call without others.
    pub grouping: Grouping,
}

/// A record that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedWrite<O> {
    /// The origin of the record.
    pub origin: O,
    /// The error. At the deadline it is the error of the last attempt, or [`StoreError::TimedOut`]
    /// if no attempt was answered.
    pub error: StoreError,
}

/// The answer to [`BatchWriter::write`](super::BatchWriter::write).
#[derive(Debug)]
pub struct WriteResponse<O> {
    /// The records that were not written, in the order of the request.
    pub failed: Vec<FailedWrite<O>>,
    /// What the write cost.
    pub statistics: WriteStatistics,
}
