//! The store in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::config::Builder;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, Table},
};
use serde::de::DeserializeOwned;

use super::{
    commit::commit,
    due::read_due,
    load::load,
    pages::{PageQuery, read_page},
    records::write_records,
    scan::scan,
    settings::DynamoDbSettings,
    tables::Tables,
};
use crate::{
    error::StoreError,
    port::{
        CommitResponse, Connections, DuePage, DueQueue, LoadResponse, Page, PageOrder, QueueStore, QueueWrite,
        RecordStore, ScanPage, Store,
    },
};

/// A partition without a row: player ids do not contain this character.
const UNUSED_PARTITION: &str = "#";

/// Queues and records in DynamoDB. A process needs only one.
#[derive(Debug)]
pub struct DynamoDbStore {
    tables: Tables,
    settings: DynamoDbSettings,
}

impl DynamoDbStore {
    /// Creates a store. It does not send anything yet.
    ///
    /// Region, credentials and endpoint are taken from `config`, an `&SdkConfig` of `aws_config` or
    /// a builder of the service. Its HTTP client, time-outs and retries are replaced.
    pub fn new(config: impl Into<Builder>, settings: DynamoDbSettings) -> Self {
        Self { tables: Tables::new(config.into(), &settings), settings }
    }

    /// Opens a connection before the first invocation needs it, and checks that the queues table
    /// answers. It takes no longer than the connect time-out. The error is logged too, and need not
    /// stop the caller: the first call tries again.
    ///
    /// # Errors
    /// [`StoreError`], as for a call.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        let timeout = self.settings.connect_timeout;
        let outcome = tokio::time::timeout(timeout, self.ping()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(StoreError::timed_out(timeout)));
        match &outcome {
            Ok(()) => {}
            Err(error) if error.reason().is_passing() => {
                tracing::warn!(%error, "the connection to DynamoDB could not be opened in advance");
            }
            Err(error) => tracing::error!(%error, "DynamoDB refuses calls: no command can be applied"),
        }
        outcome
    }

    async fn page<T: DeserializeOwned>(
        &self,
        table: Table,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<T>, StoreError> {
        let query = PageQuery { table, partition, order: PageOrder::NewestFirst, limit, after };
        read_page(&self.tables, query).await
    }
}

#[async_trait]
impl QueueStore for DynamoDbStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId], stats: &[PlayerId]) -> LoadResponse {
        load(&self.tables, queues, progress, stats).await
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        commit(&self.tables, writes).await
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage {
        read_due(&self.tables, shard, until, after, limit).await
    }

    async fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        scan(&self.tables, after, limit).await
    }
}

#[async_trait]
impl RecordStore for DynamoDbStore {
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError> {
        write_records(&self.tables, self.settings.retention, table, records).await
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

    async fn events(
        &self,
        player: &PlayerId,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError> {
        let query = PageQuery { table: Table::Events, partition: player.as_str(), order, limit, after };
        read_page(&self.tables, query).await
    }
}

#[async_trait]
impl Store for DynamoDbStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.tables.get(Table::Queues, UNUSED_PARTITION).await.map(drop)
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.tables.calls.connections())
    }

    async fn close(&self) {
        self.tables.calls.close();
    }
}
