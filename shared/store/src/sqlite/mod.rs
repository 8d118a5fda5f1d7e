//! The embedded store: SQLite, in a file that several processes on one machine share.
//!
//! | module | what lives in it |
//! |---|---|
//! | `mod` | [`SqliteStore`], its settings, and the traits of the port |
//! | `schema` | opening the file: journal, tables, versions |
//! | `statements` | the SQL of one set of tables |
//! | `rows` | reading and writing rows on one connection |
//! | `error` | what SQLite and the pool report, as errors of the store |
//!
//! The file is in WAL mode: readers and the one writer do not wait for each other. A commit returns
//! when it is on the disk (`synchronous = FULL`). Writers of one process take turns in memory, in the
//! order in which they came; between processes SQLite's lock decides. All tables are readable with the
//! `sqlite3` tool: records are JSON, times are milliseconds since 1970, `expiresAt` is in seconds.
//!
//! Expired rows are told by the machine's clock, which decides nothing else here. They are never
//! answered, and are removed a few hundred at a time: when the file is opened, and with writes.
//!
//! A call that is dropped before its answer may still take effect, as with any store at the other end
//! of a wire.

mod error;
mod rows;
mod schema;
mod statements;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use deadpool_sqlite::{Config, Hook, HookError, Manager, Pool, QueueMode, Runtime};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, StatsRecord, Table},
};
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard},
};

pub use self::{
    error::OpenError,
    schema::{APPLICATION_ID, SCHEMA_VERSION},
};
use self::{
    error::{from_interact, from_pool, from_sqlite, timed_out},
    rows::{Document, PageOf, Retention},
    statements::Statements,
};
use crate::{
    error::{CommitError, StoreError},
    port::{
        CommitResponse, Due, DuePage, LoadResponse, MAX_BATCH_ITEMS, Page, QueueStore, QueueWrite, RecordStore, Store,
    },
    rules::MAX_LOAD_KEYS,
};

/// How often expired rows are looked for, in seconds.
const PURGE_EVERY_S: i64 = 60;
/// How many expired rows of one table are removed at a time.
const PURGE_ROWS: usize = 500;
/// How long removing expired rows waits for other processes before it is left for later.
const PURGE_TIMEOUT: Duration = Duration::from_millis(20);
/// How long closing waits for others before it leaves the log as it is.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// How a file is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// What the tables' names begin with; sets of tables with different prefixes share a file. Names
    /// differ by more than the case of their letters.
    pub prefix: String,
    /// Most connections at once.
    pub max_connections: usize,
    /// How long to wait for a connection, for this process's turn to write, and for other processes.
    pub connect_timeout: Duration,
    /// Connections unused for so long are closed, at the next use of the store: nothing runs in between.
    pub idle_timeout: Duration,
    /// How long a finished task's row is kept after it was written. Not after the task's end: a player
    /// who comes back after a long time finds what was completed meanwhile.
    pub history_retention: Duration,
    /// How long a refused command's row is kept after it was written.
    pub rejections_retention: Duration,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            max_connections: 20,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            history_retention: Duration::from_secs(90 * 24 * 3600),
            rejections_retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Queues and records in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    pool: Pool,
    sql: Arc<Statements>,
    timeout: Duration,
    idle_timeout: Duration,
    retention: Retention,
    /// Writers of this process take turns: SQLite's own waiting is by sleeping, and unfair.
    turn: Mutex<()>,
    opened: Instant,
    /// When unused connections are looked for next, in milliseconds since `opened`.
    next_sweep: AtomicU64,
    /// When expired rows are looked for next, in seconds since 1970.
    next_purge: AtomicI64,
    /// Connections are closed on the runtime's threads, wherever the store is dropped.
    runtime: Handle,
}

impl SqliteStore {
    /// Opens the file, and makes it, its folder and its tables where they are missing.
    ///
    /// # Errors
    /// [`OpenError`], which names the setting, folder or file. A file of a newer schema or of another
    /// program is left as it is.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(path: impl AsRef<Path>, settings: SqliteSettings) -> Result<Self, OpenError> {
        schema::check_prefix(&settings.prefix)?;
        if settings.max_connections == 0 {
            let value = settings.max_connections.to_string();
            return Err(OpenError::Setting { setting: "database connections", value, allowed: "1 or more" });
        }
        // An absolute path is never one of the names to which SQLite gives a meaning of its own.
        let path = std::path::absolute(path.as_ref()).map_err(|_| OpenError::Setting {
            setting: "database file",
            value: path.as_ref().display().to_string(),
            allowed: "a path",
        })?;
        let sql = Arc::new(Statements::new(&settings.prefix));
        let timeout = settings.connect_timeout;
        let failed = |source| OpenError::Store { path: path.clone(), source };

        let prepare = {
            let (path, sql) = (path.clone(), Arc::clone(&sql));
            tokio::task::spawn_blocking(move || schema::prepare(&path, &sql, timeout))
        };
        prepare.await.map_err(|error| failed(StoreError::Unavailable { detail: error.to_string() }))??;

        let pool = pool(&path, &settings).map_err(|detail| failed(StoreError::Unavailable { detail }))?;
        let store = Self {
            pool,
            sql,
            timeout,
            idle_timeout: settings.idle_timeout,
            retention: Retention {
                history_s: seconds(settings.history_retention),
                rejections_s: seconds(settings.rejections_retention),
            },
            turn: Mutex::new(()),
            opened: Instant::now(),
            next_sweep: AtomicU64::new(0),
            next_purge: AtomicI64::new(0),
            runtime: Handle::current(),
        };
        // Opens the first connection, so that the first event finds one.
        store.ping().await.map_err(failed)?;
        store.purge().await;
        Ok(store)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.pool.status().size
    }

    /// Does `work` on a connection, on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        table: Table,
        work: impl FnOnce(&mut Connection, &Statements) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.sweep();
        let name = self.sql.name(table);
        let connection = self.pool.get().await.map_err(|error| from_pool(&error, &name, self.timeout))?;
        let sql = Arc::clone(&self.sql);
        let done = connection.interact(move |connection| work(connection, &sql)).await;
        done.map_err(|error| from_interact(&error))?.map_err(|error| from_sqlite(&error, &name))
    }

    /// Waits for this process's turn to write.
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        tokio::time::timeout(self.timeout, self.turn.lock()).await.map_err(|_| timed_out(self.timeout))
    }

    /// Closes connections that have not been used for long, now and then.
    fn sweep(&self) {
        let now = millis(self.opened.elapsed());
        let next = self.next_sweep.load(Ordering::Relaxed);
        let following = now.saturating_add(millis(self.idle_timeout) / 2);
        if now >= next
            && self.next_sweep.compare_exchange(next, following, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.pool.retain(|_, metrics| metrics.last_used() < self.idle_timeout);
        }
    }

    /// Removes some expired rows, now and then. What fails is left for the next time.
    async fn purge(&self) {
        let now = now_s();
        let due = self.next_purge.load(Ordering::Relaxed);
        let following = now + PURGE_EVERY_S;
        let mine = now >= due
            && self.next_purge.compare_exchange(due, following, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !mine {
            return;
        }
        // Nobody waits for this: where others are writing, it is left to them, or for later.
        let Ok(_turn) = self.turn.try_lock() else { return };
        let timeout = self.timeout;
        let work = move |connection: &mut Connection, sql: &Statements| {
            connection.busy_timeout(PURGE_TIMEOUT)?;
            let purged = rows::purge(connection, sql, now, PURGE_ROWS);
            connection.busy_timeout(timeout)?;
            purged
        };
        match self.run(Table::History, work).await {
            Ok(true) => self.next_purge.store(now, Ordering::Relaxed),
            Ok(false) => {}
            Err(StoreError::Throttled { .. }) => tracing::debug!("expired rows are left for later: others are writing"),
            Err(error) => tracing::warn!(%error, "expired rows could not be removed"),
        }
    }

    async fn page<T: DeserializeOwned + Send + 'static>(
        &self,
        table: Table,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<T>, StoreError> {
        let (partition, after) = (partition.to_owned(), after.map(str::to_owned));
        let of = PageOf { table, partition, limit, after, now_s: now_s() };
        self.run(table, move |connection, sql| rows::page(connection, sql, &of)).await
    }

    async fn commit_chunk(&self, writes: Vec<QueueWrite>) -> Result<Vec<Result<(), CommitError>>, StoreError> {
        let _turn = self.turn().await?;
        self.run(Table::Queues, move |connection, sql| rows::commit(connection, sql, &writes)).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.pool.close();
    }
}

fn pool(path: &Path, settings: &SqliteSettings) -> Result<Pool, String> {
    let timeout = settings.connect_timeout;
    let manager = Manager::from_config(&Config::new(path), Runtime::Tokio1);
    Pool::builder(manager)
        .max_size(settings.max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(timeout))
        .create_timeout(Some(timeout))
        .recycle_timeout(Some(timeout))
        // The one used last is used first, so that those above the need become idle.
        .queue_mode(QueueMode::Lifo)
        .post_create(Hook::async_fn(move |connection, _| {
            Box::pin(async move {
                match connection.interact(move |connection| schema::configure(connection, timeout)).await {
                    Ok(Ok(Ok(()))) => Ok(()),
                    Ok(Ok(Err(refused))) => Err(HookError::message(refused)),
                    Ok(Err(error)) => Err(HookError::Backend(error)),
                    Err(error) => Err(HookError::message(error.to_string())),
                }
            })
        }))
        .build()
        .map_err(|error| error.to_string())
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, seconds)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl QueueStore for SqliteStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        let calls = (queues.len() + progress.len()).div_ceil(MAX_LOAD_KEYS) as u64;
        let (wanted_queues, wanted_progress) = (queues.to_vec(), progress.to_vec());
        let work = move |connection: &mut Connection, sql: &Statements| {
            // One transaction: one lock, and one state of the file for all rows.
            let transaction = connection.transaction()?;
            Ok((
                wanted_queues.iter().map(|player| rows::load_queue(&transaction, sql, player)).collect(),
                wanted_progress.iter().map(|player| rows::load_progress(&transaction, sql, player)).collect(),
            ))
        };
        match self.run(Table::Queues, work).await {
            Ok((queues, progress)) => LoadResponse { queues, progress, calls },
            Err(error) => LoadResponse {
                queues: queues.iter().map(|_| Err(error.clone())).collect(),
                progress: progress.iter().map(|_| Err(error.clone())).collect(),
                calls,
            },
        }
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let mut committed = CommitResponse { outcomes: Vec::with_capacity(writes.len()), calls: 0 };
        for chunk in writes.chunks(MAX_BATCH_ITEMS) {
            committed.calls += 1;
            match self.commit_chunk(chunk.to_vec()).await {
                Ok(outcomes) => committed.outcomes.extend(outcomes),
                Err(error) => committed.outcomes.extend(chunk.iter().map(|_| Err(error.clone().into()))),
            }
        }
        committed
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage {
        let after = after.cloned();
        let read = move |connection: &mut _, sql: &_| rows::due(connection, sql, shard, until, after.as_ref(), limit);
        match self.run(Table::Queues, read).await {
            Ok((queues, more)) => DuePage { queues: Ok(queues), more, calls: 1 },
            Err(error) => DuePage { queues: Err(error), more: false, calls: 1 },
        }
    }
}

#[async_trait]
impl RecordStore for SqliteStore {
    async fn write(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError> {
        let documents = Document::batch(table, &self.sql.name(table), records, self.retention, now_s())?;
        if !documents.is_empty() {
            {
                let _turn = self.turn().await?;
                self.run(table, move |connection, sql| rows::put(connection, sql, table, &documents)).await?;
            }
            if table.sort_key().is_some() {
                self.purge().await;
            }
        }
        Ok(Vec::new())
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
        let (player, name) = (player.clone(), self.sql.name(Table::Stats));
        let work = move |connection: &mut Connection, sql: &Statements| {
            Ok(rows::load_document(connection, &sql.load_stats, &player, &name))
        };
        self.run(Table::Stats, work).await?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let read = |connection: &mut Connection, _: &Statements| {
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        };
        self.run(Table::Queues, read).await.map(drop)
    }

    /// Moves the log into the file as far as other processes let it, and closes the connections.
    async fn close(&self) {
        let checkpoint = |connection: &mut Connection, _: &Statements| {
            connection.busy_timeout(CLOSE_TIMEOUT)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        };
        if let Err(error) = self.run(Table::Queues, checkpoint).await {
            tracing::debug!(%error, "the log stays beside the file");
        }
        self.pool.close();
    }
}
