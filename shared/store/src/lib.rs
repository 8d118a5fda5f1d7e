//! Where queues and records are kept.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`port`] | what every store can do: [`QueueStore`], [`RecordStore`], and both together: [`Store`] |
//! | [`error`] | what can go wrong, and which of it passes |
//! | [`rules`] | the rules that calls must keep, the same in every store |
//! | [`batcher`] | the write batcher: records by table and priority, over any [`RecordStore`] |
//! | [`memory`] | a store in memory, for benches, simulations and tests of what is above |
//! | `sqlite` | the embedded store: SQLite, shared by several processes (feature `sqlite`) |
//! | `dynamodb` | the production store: DynamoDB (feature `dynamodb`) |
//! | `conformance` | the suite that every store passes (feature `conformance`) |
//!
//! A write that decides something is conditional on the version ([`QueueStore::commit`]); a write that
//! only records what was decided is a plain put with a deterministic key ([`RecordStore::write`]).
#![deny(missing_docs)]

pub mod batch_writer;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod error;
pub mod memory;
pub mod port;
pub mod rules;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use batch_writer::{BatchWriter, BatchWriterSettings, Row, WriteResponse, WriteStatistics};
pub use error::{CommitError, StoreError};
pub use port::{
    CommitResponse, Connections, DUE_SHARDS, Due, DuePage, LoadResponse, MAX_BATCH_ITEMS, MAX_ROW_BYTES, Page,
    QueueRow, QueueStore, QueueWrite, RecordStore, Store, due_shard,
};
