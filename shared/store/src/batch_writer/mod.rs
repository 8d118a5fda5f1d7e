//! The batch writer: groups records by table and priority, over any [`RecordStore`].
//!
//! | module | contents |
//! |---|---|
//! | `writer` | [`BatchWriter`] |
//! | `settings` | [`BatchWriterSettings`] |
//! | `record_write` | the records to write and the answer |
//! | `window` | the linger window: concurrent writes that share calls |
//! | `packer` | distributes rows to calls |
//! | `rows` | the rows to write, one for each key |
//! | `group` | the rows that may share a call: those of one priority and table |
//! | `call` | one call to the store |
//! | `scheduler` | starts calls by priority and retries failed ones |
//! | `pending_write` | the outcomes of one write |
//! | `context` | the store, the limits and the backoff that all writes share |
//! | `statistics` | what a write cost |
//!
//! Each record of a write is either written, or the write reports its origin and the error.
//!
//! - Records of one key in one write become one row: the last record. Records of one key in
//!   *concurrent* writes have no order.
//! - Unprocessed rows and calls that fail for a passing reason are retried with jittered backoff
//!   until the deadline. All rows of a group that wait for a retry are sent together.
//! - If a call fails for another reason, it is halved until the bad row has a call without other
//!   rows. An error that concerns the whole table (missing table, access denied) fails all rows.
//! - A row that is not answered at the deadline may have been written. Keys are deterministic, so
//!   writing it again is harmless.
//! - Nothing is spawned. All work happens while a caller awaits [`BatchWriter::write`], and
//!   dropping that future cancels its rows. A background task would stop when Lambda freezes the
//!   process.
//!
//! [`RecordStore`]: crate::RecordStore

mod call;
mod context;
mod group;
mod packer;
mod pending_write;
mod record_write;
mod rows;
mod scheduler;
mod settings;
mod statistics;
mod window;
mod writer;

pub use record_write::{FailedWrite, Grouping, RecordWrite, WriteResponse};
pub use settings::BatchWriterSettings;
pub use statistics::{Count, WriteStatistics};
pub use writer::BatchWriter;
