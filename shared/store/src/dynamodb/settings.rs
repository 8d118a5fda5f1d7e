//! Settings of the store in DynamoDB.

use std::time::Duration;

use crate::retention::Retention;

/// The upper limit of [`DynamoDbSettings::max_connections`].
pub const MAX_CONNECTIONS: usize = 20;

/// Settings of a [`DynamoDbStore`](super::DynamoDbStore).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamoDbSettings {
    /// The prefix of the table names.
    pub prefix: String,
    /// The maximum number of concurrent calls, each on one connection, clamped to 1 to
    /// [`MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// The time-out for opening a connection.
    pub connect_timeout: Duration,
    /// Connections that are idle for this long are not used again.
    pub idle_timeout: Duration,
    /// The time-out for one call, from its sending to the end of its answer.
    pub call_timeout: Duration,
    /// How long records are kept.
    pub retention: Retention,
}

impl Default for DynamoDbSettings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            max_connections: MAX_CONNECTIONS,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(3),
            retention: Retention::default(),
        }
    }
}
