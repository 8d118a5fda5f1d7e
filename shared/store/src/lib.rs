//! Storage of queues and records.
//!
//! | module | contents |
//! |---|---|
//! | [`port`] | the interface of every store: [`QueueStore`], [`RecordStore`] and [`Store`] |
//! | [`error`] | the errors of a store |
//! | [`rules`] | the limits that every store enforces |
//! | [`metered`], [`units`], [`store_units`] | counts what the calls to a store cost |
//! | [`events_after`](mod@events_after) | reads the events of a player from one event on |
//! | [`batch_writer`] | the batch writer: groups records by table and priority |
//! | [`memory`] | a store in memory, for benchmarks, simulations and tests of other crates |
//! | `sqlite` | the embedded store: SQLite, shared by several processes (feature `sqlite`) |
//! | `dynamodb` | the production store: DynamoDB (feature `dynamodb`) |
//! | `conformance` | the test suite that every store passes (feature `conformance`) |
//!
//! A write that decides something is conditional on the version: [`QueueStore::commit`]. A write
//! that records a decision is a plain put with a deterministic key: [`RecordStore::write`].
#![deny(missing_docs)]

mod backoff;
pub mod batch_writer;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod error;
pub mod events_after;
pub mod memory;
pub mod metered;
pub mod port;
mod retention;
pub mod rules;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod store_units;
pub mod units;

pub use batch_writer::{
    BatchWriter, BatchWriterSettings, FailedWrite, Grouping, RecordWrite, WriteResponse, WriteStatistics,
};
pub use error::{CommitError, StoreError};
pub use events_after::{EventsAfter, EventsGone, events_after};
pub use metered::MeteredStore;
pub use port::{
    CommitResponse, Connections, DUE_SHARDS, DuePage, DueQueue, LoadResponse, MAX_BATCH_ITEMS, MAX_ROW_BYTES, Page,
    PageOrder, QueueRow, QueueStore, QueueWrite, RecordStore, ScanPage, ScannedQueue, Store, due_shard,
};
pub use retention::Retention;
pub use store_units::StoreUnits;
