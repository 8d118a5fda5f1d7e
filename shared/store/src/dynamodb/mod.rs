//! The production store: DynamoDB.
//!
//! | module | what lives in it |
//! |---|---|
//! | `mod` | [`DynamoDbStore`], its settings, and the traits of the port |
//! | `calls` | calls on the wire: how many at once, how long, and which are sent again |
//! | `load` | loading queues and progress |
//! | `commit` | committing queues |
//! | `records` | putting records, reading them, and the `due` index |
//! | `rows` | rows as items, and back |
//! | `schema` | making the tables, for tests and local use |
//! | `error` | what DynamoDB and the wire report, as errors of the store |
//!
//! Reads are strongly consistent (the `due` index cannot be). Each call is bounded in time and counted
//! as it goes over the wire; no more than the set number are under way at once. Expired rows that
//! DynamoDB has not removed yet are left out of pages. Putting a row again moves its expiry: a batch
//! cannot know whether the row is there.
//!
//! A call that is dropped before its answer may still take effect.
//!
//! What a role must be allowed (`dynamodb:`):
//!
//! | table | actions |
//! |---|---|
//! | queues | `GetItem`, `BatchGetItem`, `PutItem`, `PartiQLInsert`, `PartiQLUpdate`; `Query` on its index `due` |
//! | progress | `BatchGetItem`, `BatchWriteItem` |
//! | stats | `GetItem`, `BatchWriteItem` |
//! | history, rejections | `Query`, `BatchWriteItem` |

mod calls;
mod commit;
mod error;
mod load;
mod records;
mod rows;
mod schema;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Builder, SharedHttpClient, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, StatsRecord, Table},
};

use self::calls::{Calls, Pool, Pooled};
pub use self::{
    commit::CommitMode,
    schema::{DUE_INDEX, TTL_ATTRIBUTE, create_tables},
};
use crate::{
    error::StoreError,
    port::{CommitResponse, Connections, Due, DuePage, LoadResponse, Page, QueueStore, QueueWrite, RecordStore, Store},
};

/// Most calls at once that a store allows.
pub const MAX_CONNECTIONS: usize = 20;

/// A partition that no row has: no player id contains this character.
const NOBODY: &str = "#";

/// How the tables are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamoDbSettings {
    /// What the tables' names begin with.
    pub prefix: String,
    /// Most calls, and so connections, at once: 1 to [`MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Connections unused for so long are not used again.
    pub idle_timeout: Duration,
    /// How long one call may take, from its sending to the end of its answer.
    pub call_timeout: Duration,
    /// How several queues are committed.
    pub commits: CommitMode,
    /// How long a finished task's row is kept after it was written. Not after the task's end: a player
    /// who comes back after a long time finds what was completed meanwhile.
    pub history_retention: Duration,
    /// How long a refused command's row is kept after it was written.
    pub rejections_retention: Duration,
    /// Makes the waits between tries repeatable; none draws a seed.
    pub seed: Option<u64>,
}

impl Default for DynamoDbSettings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            max_connections: MAX_CONNECTIONS,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(3),
            commits: CommitMode::default(),
            history_retention: Duration::from_secs(90 * 24 * 3600),
            rejections_retention: Duration::from_secs(30 * 24 * 3600),
            seed: None,
        }
    }
}

/// Queues and records in DynamoDB. One of them serves a whole process.
#[derive(Debug)]
pub struct DynamoDbStore {
    client: Client,
    calls: Calls,
    names: [String; Table::ALL.len()],
    commits: CommitMode,
    connect_timeout: Duration,
    history_retention: Duration,
    rejections_retention: Duration,
}

impl DynamoDbStore {
    /// A store over a configuration of the SDK: region, credentials and endpoint are taken from it;
    /// its HTTP client, time-outs and retries are replaced by those of this store. Sends nothing yet.
    ///
    /// `config` is a `&SdkConfig` as `aws_config` loads it, or a builder of this service's own.
    pub fn new(config: impl Into<Builder>, settings: DynamoDbSettings) -> Self {
        let max_connections = settings.max_connections.clamp(1, MAX_CONNECTIONS);
        let pool = Arc::new(Pool::new(max_connections, settings.idle_timeout));
        let config = config
            .into()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(SharedHttpClient::new(Pooled(Arc::clone(&pool))))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
            // Answers are small, and the whole call is bounded.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let calls = Calls::new(pool, max_connections, settings.connect_timeout, settings.call_timeout, settings.seed);
        Self {
            client: Client::from_conf(config),
            calls,
            names: Table::ALL.map(|table| format!("{}{}", settings.prefix, table.as_str())),
            commits: settings.commits,
            connect_timeout: settings.connect_timeout,
            history_retention: settings.history_retention,
            rejections_retention: settings.rejections_retention,
        }
    }

    /// Opens a connection, before the first event has to wait for it, and looks whether the queues table
    /// answers. Takes no longer than the connect time-out. What goes wrong is logged and answered, and
    /// need not stop anybody: the first call tries again.
    ///
    /// # Errors
    /// [`StoreError`], as of a call.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        let outcome = tokio::time::timeout(self.connect_timeout, self.ping()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(error::timed_out(self.connect_timeout)));
        match &outcome {
            Ok(()) => {}
            Err(error) if error.reason().is_passing() => {
                tracing::warn!(%error, "no connection to DynamoDB was opened ahead");
            }
            Err(error) => tracing::error!(%error, "DynamoDB refuses this function: no command can be applied"),
        }
        outcome
    }

    /// A table's name with its prefix.
    fn name(&self, table: Table) -> &str {
        &self.names[table as usize]
    }

    /// The clock of the machine, which decides nothing here but what has expired.
    fn now_s(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

#[async_trait]
impl QueueStore for DynamoDbStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        self.load_rows(queues, progress).await
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        self.commit_rows(writes).await
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage {
        self.read_due(shard, until, after, limit).await
    }
}

#[async_trait]
impl RecordStore for DynamoDbStore {
    async fn write(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError> {
        self.write_records(table, records).await
    }

    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError> {
        self.page(Table::History, player.as_str(), limit, after).await
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        self.page(Table::Rejections, partition, limit, after).await
    }

    async fn stats(&self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError> {
        self.load_stats(player).await
    }
}

#[async_trait]
impl Store for DynamoDbStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.get(Table::Queues, NOBODY).await.map(drop)
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.calls.connections())
    }

    async fn close(&self) {
        self.calls.close();
    }
}
