//! Settings of the embedded store.

use std::time::Duration;

use crate::retention::Retention;

/// Settings of a [`SqliteStore`](super::SqliteStore).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The prefix of the table names. Deployments with different prefixes can share a file. SQLite
    /// ignores the case of names.
    pub prefix: String,
    /// The maximum number of connections; 0 counts as 1.
    pub max_connections: usize,
    /// The time-out for a connection, and for the write locks of this and other processes.
    pub connect_timeout: Duration,
    /// Connections that are idle for this long are closed at the next use of the store.
    pub idle_timeout: Duration,
    /// How long records are kept.
    pub retention: Retention,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            max_connections: 20,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            retention: Retention::default(),
        }
    }
}
