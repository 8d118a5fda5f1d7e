//! The store in an SQLite file.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, Table},
};
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    connections::Connections,
    error::OpenError,
    queues::{self, DueQuery},
    records::{self, PageQuery},
    schema,
    settings::SqliteSettings,
    tables::Tables,
    unsent_figures::UnsentFigures,
};
use crate::{
    error::{CommitError, StoreError},
    port::{
        CommitResponse, DuePage, DueQueue, LoadResponse, MAX_BATCH_ITEMS, Page, PageOrder, QueueStore, QueueWrite,
        RecordStore, ScanPage, Store,
    },
    retention::{Retention, now_s},
    rules::MAX_LOAD_KEYS,
};

/// How long closing waits for the lock of another process.
const CLOSE_LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// Queues and records in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) connections: Connections,
    retention: Retention,
    /// Orders the writers of this process. SQLite itself waits by sleeping, which is unfair.
    write_lock: Mutex<()>,
    pub(super) unsent: UnsentFigures,
}

impl SqliteStore {
    /// Opens the file. The file, its folder and its tables are created if they are missing.
    ///
    /// # Errors
    /// [`OpenError`], which names the setting, the folder or the file. A file of a newer schema or
    /// of another program is not changed.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(path: impl AsRef<Path>, settings: SqliteSettings) -> Result<Self, OpenError> {
        schema::check_prefix(&settings.prefix)?;
        // Some relative names, such as `:memory:`, have a special meaning for SQLite.
        let path = std::path::absolute(path.as_ref()).map_err(|_| OpenError::Setting {
            setting: "database file",
            value: path.as_ref().display().to_string(),
            allowed: "a path",
        })?;
        let tables = Tables::new(&settings.prefix);
        let timeout = settings.connect_timeout;
        let failed = |source| OpenError::Store { path: path.clone(), source };

        let prepare = {
            let (path, tables) = (path.clone(), tables.clone());
            tokio::task::spawn_blocking(move || schema::prepare(&path, &tables, timeout))
        };
        prepare.await.map_err(|error| failed(StoreError::unavailable(error.to_string())))??;

        let store = Self {
            connections: Connections::new(&path, tables, &settings).map_err(failed)?,
            retention: settings.retention,
            write_lock: Mutex::new(()),
            unsent: UnsentFigures::default(),
        };
        // Opens the first connection before the first invocation needs it.
        store.ping().await.map_err(failed)?;
        Ok(store)
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Waits until no other call of this process writes.
    pub(super) async fn lock_writes(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let timeout = self.connections.timeout();
        tokio::time::timeout(timeout, self.write_lock.lock()).await.map_err(|_| StoreError::timed_out(timeout))
    }

    async fn page<T: DeserializeOwned + Send + 'static>(
        &self,
        table: Table,
        partition: &str,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<T>, StoreError> {
        let (partition, after) = (partition.to_owned(), after.map(str::to_owned));
        let query = PageQuery { table, partition, order, limit, after, now_s: now_s() };
        self.connections.run(table, move |connection, tables| records::page(connection, tables, &query)).await
    }

    async fn commit_chunk(&self, writes: Vec<QueueWrite>) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        let _write_lock = self.lock_writes().await?;
        let commit = move |connection: &mut _, tables: &_| queues::commit(connection, tables, &writes);
        self.connections.run(Table::Queues, commit).await
    }
}

#[async_trait]
impl QueueStore for SqliteStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId], stats: &[PlayerId]) -> LoadResponse {
        let calls = (queues.len() + progress.len() + stats.len()).div_ceil(MAX_LOAD_KEYS) as u64;
        let (queue_ids, progress_ids, stats_ids) = (queues.to_vec(), progress.to_vec(), stats.to_vec());
        let load = move |connection: &mut Connection, tables: &Tables| {
            // One transaction, so that all rows are of one state of the file.
            let transaction = connection.transaction()?;
            let queue = |player: PlayerId| (player.clone(), queues::load_queue(&transaction, tables, &player));
            let progress =
                |player: PlayerId| (player.clone(), records::load(&transaction, tables, Table::Progress, &player));
            let stats = |player: PlayerId| (player.clone(), records::load(&transaction, tables, Table::Stats, &player));
            Ok(LoadResponse {
                queues: queue_ids.into_iter().map(queue).collect(),
                progress: progress_ids.into_iter().map(progress).collect(),
                stats: stats_ids.into_iter().map(stats).collect(),
                calls,
            })
        };
        self.connections.run(Table::Queues, load).await.unwrap_or_else(|error| LoadResponse {
            queues: queues.iter().map(|player| (player.clone(), Err(error.clone()))).collect(),
            progress: progress.iter().map(|player| (player.clone(), Err(error.clone()))).collect(),
            stats: stats.iter().map(|player| (player.clone(), Err(error.clone()))).collect(),
            calls,
        })
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let mut response = CommitResponse { outcomes: Vec::with_capacity(writes.len()), calls: 0 };
        for chunk in writes.chunks(MAX_BATCH_ITEMS) {
            response.calls += 1;
            match self.commit_chunk(chunk.to_vec()).await {
                Ok(outcomes) => response.outcomes.extend(outcomes),
                Err(error) => response.outcomes.extend(chunk.iter().map(|_| Err(error.clone().into()))),
            }
        }
        response
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage {
        let query = DueQuery { shard, until, after: after.cloned(), limit };
        let read = move |connection: &mut _, tables: &_| queues::due(connection, tables, &query);
        match self.connections.run(Table::Queues, read).await {
            Ok((queues, more)) => DuePage { queues: Ok(queues), more, calls: 1 },
            Err(error) => DuePage { queues: Err(error), more: false, calls: 1 },
        }
    }

    async fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        let after = after.unwrap_or_default().to_owned();
        let scan = move |connection: &mut Connection, tables: &Tables| queues::scan(connection, tables, &after, limit);
        self.connections.run(Table::Queues, scan).await
    }
}

#[async_trait]
impl RecordStore for SqliteStore {
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError> {
        let now_s = now_s();
        let stored = records::encode_batch(table, &self.connections.name(table), records, self.retention, now_s)?;
        if stored.is_empty() {
            return Ok(Vec::new());
        }
        let _write_lock = self.lock_writes().await?;
        let put = move |connection: &mut _, tables: &_| records::put(connection, tables, table, &stored, now_s);
        self.connections.run(table, put).await?;
        Ok(Vec::new())
    }

    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError> {
        self.page(Table::History, player.as_str(), PageOrder::NewestFirst, limit, after).await
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        self.page(Table::Rejections, partition, PageOrder::NewestFirst, limit, after).await
    }

    async fn events(
        &self,
        player: &PlayerId,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError> {
        self.page(Table::Events, player.as_str(), order, limit, after).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let read = |connection: &mut Connection, _: &Tables| {
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        };
        self.connections.run(Table::Queues, read).await.map(drop)
    }

    /// Moves the log into the file if no other process uses it, and closes the connections.
    async fn close(&self) {
        let checkpoint = |connection: &mut Connection, _: &Tables| {
            connection.busy_timeout(CLOSE_LOCK_TIMEOUT)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        };
        if let Err(error) = self.connections.run(Table::Queues, checkpoint).await {
            tracing::debug!(%error, "the log is not moved into the file");
        }
        self.connections.close();
    }
}
