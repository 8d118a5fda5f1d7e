//! A store over other stores, for the conformance suite.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::join_all;
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, StatsRecord, Table},
};
use millrace_store::{
    CommitResponse, DuePage, DueQueue, LoadResponse, Page, QueueStore, QueueWrite, RecordStore, Store, StoreError,
};

/// Uses handles on the same rows alternately, and limits the writes of a commit.
pub struct StoreAdapter {
    handles: Vec<Box<dyn Store>>,
    calls: AtomicUsize,
    max_writes: usize,
}

impl StoreAdapter {
    /// Uses two handles alternately, like two processes: one reads what the other has written.
    pub fn alternating(one: impl Store + 'static, other: impl Store + 'static) -> Self {
        Self { handles: vec![Box::new(one), Box::new(other)], calls: AtomicUsize::new(0), max_writes: usize::MAX }
    }

    /// Commits each queue in a call without others, which is a `PutItem` in DynamoDB. DynamoDB
    /// Local needs this: its version has no PartiQL, which commits of several queues use.
    pub fn one_by_one(store: impl Store + 'static) -> Self {
        Self { handles: vec![Box::new(store)], calls: AtomicUsize::new(0), max_writes: 1 }
    }

    fn next(&self) -> &dyn Store {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.handles[call % self.handles.len()]
    }
}

#[async_trait]
impl QueueStore for StoreAdapter {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        self.next().load(queues, progress).await
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let store = self.next();
        let responses = join_all(writes.chunks(self.max_writes).map(|writes| store.commit(writes))).await;
        let calls = responses.iter().map(|response| response.calls).sum();
        CommitResponse { outcomes: responses.into_iter().flat_map(|response| response.outcomes).collect(), calls }
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage {
        self.next().due(shard, until, after, limit).await
    }
}

#[async_trait]
impl RecordStore for StoreAdapter {
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError> {
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
impl Store for StoreAdapter {
    async fn ping(&self) -> Result<(), StoreError> {
        self.next().ping().await
    }

    async fn close(&self) {
        for handle in &self.handles {
            handle.close().await;
        }
    }
}
