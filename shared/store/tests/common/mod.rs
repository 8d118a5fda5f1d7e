//! What the tests of stores share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, StatsRecord, Table},
};
use millrace_store::{
    CommitResponse, Due, DuePage, LoadResponse, Page, QueueStore, QueueWrite, RecordStore, Store, StoreError,
    sqlite::{SqliteSettings, SqliteStore},
};
use rusqlite::Connection;
use tempfile::TempDir;

/// The name of the file in its folder.
pub const FILE: &str = "millrace.db";

/// An empty folder.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A connection of somebody else on the file in `folder`.
pub fn other(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join(FILE)).unwrap()
}

/// Opens the file in `folder`.
pub async fn open(folder: &TempDir, settings: SqliteSettings) -> SqliteStore {
    SqliteStore::open(folder.path().join(FILE), settings).await.unwrap()
}

/// Two handles on the same rows, used in turns: what one writes, the other reads.
pub struct InTurns<S> {
    handles: [S; 2],
    turn: AtomicUsize,
}

impl<S> InTurns<S> {
    pub fn new(one: S, other: S) -> Self {
        Self { handles: [one, other], turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &S {
        &self.handles[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl<S: Store> QueueStore for InTurns<S> {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        self.next().load(queues, progress).await
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        self.next().commit(writes).await
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage {
        self.next().due(shard, until, after, limit).await
    }
}

#[async_trait]
impl<S: Store> RecordStore for InTurns<S> {
    async fn write(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError> {
        self.next().write(table, records).await
    }

    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError> {
        self.next().history(player, limit, after).await
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        self.next().rejections(partition, limit, after).await
    }

    async fn stats(&self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError> {
        self.next().stats(player).await
    }
}

#[async_trait]
impl<S: Store> Store for InTurns<S> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.next().ping().await
    }

    async fn close(&self) {
        for handle in &self.handles {
            handle.close().await;
        }
    }
}
