//! A store that counts what its calls cost.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, Table},
};

use crate::{
    error::{CommitError, StoreError},
    port::{
        CommitResponse, Connections, DuePage, DueQueue, LoadResponse, Page, PageOrder, QueueStore, QueueWrite,
        RecordStore, ScanPage, Store,
    },
    store_units::StoreUnits,
    units::{commit_units, due_units, load_units, page_units, record_units, scan_units},
};

/// Counts the calls to a store and their [units](crate::units).
///
/// All stores are counted as if they were DynamoDB, so that costs can be estimated without it.
/// Throttled writes and failed calls cost nothing.
pub struct MeteredStore {
    store: Arc<dyn Store>,
    calls: AtomicU64,
    half_reads: AtomicU64,
    writes: AtomicU64,
}

impl MeteredStore {
    /// Counts the calls to `store` from now on.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, calls: AtomicU64::new(0), half_reads: AtomicU64::new(0), writes: AtomicU64::new(0) }
    }

    fn count(&self, units: StoreUnits) {
        let add = |sum: &AtomicU64, value: u64| sum.fetch_add(value, Ordering::Relaxed);
        add(&self.calls, units.calls);
        add(&self.half_reads, units.half_reads);
        add(&self.writes, units.writes);
    }

    fn count_page<T: Clone>(
        &self,
        page: Result<Page<T>, StoreError>,
        record: fn(T) -> Record,
    ) -> Result<Page<T>, StoreError> {
        let half_reads = page.as_ref().map_or(0, |page| page_units(page.items.iter().cloned().map(record)));
        self.count(StoreUnits { calls: 1, half_reads, writes: 0 });
        page
    }
}

#[async_trait]
impl QueueStore for MeteredStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId], stats: &[PlayerId]) -> LoadResponse {
        let response = self.store.load(queues, progress, stats).await;
        self.count(StoreUnits { calls: response.calls, half_reads: load_units(&response), writes: 0 });
        response
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let response = self.store.commit(writes).await;
        let decided = writes.iter().zip(&response.outcomes);
        let decided = decided.filter(|(_, outcome)| matches!(outcome, Ok(()) | Err(CommitError::Conflict)));
        let writes = decided.map(|(write, _)| commit_units(write)).sum();
        self.count(StoreUnits { calls: response.calls, half_reads: 0, writes });
        response
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage {
        let page = self.store.due(shard, until, after, limit).await;
        self.count(StoreUnits { calls: page.calls, half_reads: due_units(&page), writes: 0 });
        page
    }

    async fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        let page = self.store.scan(after, limit).await;
        let (calls, half_reads) = page.as_ref().map_or((1, 0), |page| (page.calls, scan_units(page)));
        self.count(StoreUnits { calls, half_reads, writes: 0 });
        page
    }
}

#[async_trait]
impl RecordStore for MeteredStore {
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError> {
        let unprocessed = self.store.write(table, records).await;
        let writes = unprocessed.as_ref().map_or(0, |unprocessed| {
            let written = records.iter().enumerate().filter(|(at, _)| !unprocessed.contains(at));
            written.map(|(_, record)| record_units(record)).sum()
        });
        self.count(StoreUnits { calls: 1, half_reads: 0, writes });
        unprocessed
    }

    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError> {
        self.count_page(self.store.history(player, limit, after).await, |row| Record::History(Box::new(row)))
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        self.count_page(self.store.rejections(partition, limit, after).await, Record::Rejection)
    }

    async fn events(
        &self,
        player: &PlayerId,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError> {
        self.count_page(self.store.events(player, order, limit, after).await, Record::Events)
    }
}

#[async_trait]
impl Store for MeteredStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.count(StoreUnits { calls: 1, half_reads: 2, writes: 0 });
        self.store.ping().await
    }

    fn connections(&self) -> Option<Connections> {
        self.store.connections()
    }

    fn units(&self) -> StoreUnits {
        let load = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        StoreUnits { calls: load(&self.calls), half_reads: load(&self.half_reads), writes: load(&self.writes) }
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
