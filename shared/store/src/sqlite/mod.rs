//! The embedded store: SQLite, in a file that several processes on one machine share.
//!
//! | module | contents |
//! |---|---|
//! | `store` | [`SqliteStore`] |
//! | `settings` | [`SqliteSettings`] |
//! | `connections` | the connection pool |
//! | `schema` | opens the file and creates the tables |
//! | `tables` | the names of the tables |
//! | `queues` | reads and writes queues |
//! | `performance`, `unsent_figures` | the performance history |
//! | `records` | reads and writes records |
//! | `error` | errors of SQLite and of the pool |
//!
//! The file uses a write-ahead log (WAL): readers and the writer do not wait for each other. A
//! commit returns after the log is on the disk (`synchronous = FULL`). Writers of one process take
//! turns in the order of their arrival; writers of several processes compete for SQLite's lock.
//!
//! All tables are readable with the `sqlite3` tool: records are JSON, times are in milliseconds
//! since 1970, and `expiresAt` is in seconds. Reads omit expired rows. Each write to
//! their table deletes some of them.
//!
//! A call that is dropped before its answer may still take effect.

mod connections;
mod error;
mod performance;
mod queues;
mod records;
mod schema;
mod settings;
mod store;
mod tables;
mod unsent_figures;

pub use error::OpenError;
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use settings::SqliteSettings;
pub use store::SqliteStore;
