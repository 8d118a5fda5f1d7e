//! The store in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use async_trait::async_trait;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, RejectionRecord, Table},
};

use super::{
    faults::{Fault, FaultHook, Operation},
    rows::{PageQuery, Rows, page},
};
use crate::{
    error::{CommitError, StoreError},
    port::{
        CommitResponse, DuePage, DueQueue, LoadResponse, MAX_BATCH_ITEMS, Page, PageOrder, QueueRow, QueueStore,
        QueueWrite, RecordStore, ScanPage, ScannedQueue, Store,
    },
    rules::{self, MAX_LOAD_KEYS},
};

/// Rows in memory, shared by all handles.
///
/// Handles simulate processes: each has a fault hook ([`set_faults`](Self::set_faults)), so one of
/// them can crash while the others continue. Without a hook, each call completes when its future is
/// first polled.
#[derive(Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    faults: RwLock<Option<FaultHook>>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("queues", &self.rows().queues.len()).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another handle on the same rows, without faults.
    pub fn handle(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), faults: RwLock::default() }
    }

    /// Calls `faults` before each operation of this handle from now on.
    pub fn set_faults(&self, faults: FaultHook) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Some(faults);
    }

    /// Removes the fault hook of this handle.
    pub fn clear_faults(&self) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All queue rows, sorted by player.
    pub fn queues(&self) -> Vec<(PlayerId, QueueRow)> {
        let mut queues: Vec<_> = self.rows().queues.iter().map(|(player, row)| (player.clone(), row.clone())).collect();
        queues.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        queues
    }

    /// The queue row of a player.
    pub fn queue(&self, player: &PlayerId) -> Option<QueueRow> {
        self.rows().queues.get(player).cloned()
    }

    /// The due moment of a player's queue in the due index.
    pub fn due_at(&self, player: &PlayerId) -> Option<Timestamp> {
        self.rows().queues.get(player).and_then(|row| row.due_at)
    }

    /// All rows of a table of records, sorted by key; none for the queues table.
    pub fn records(&self, table: Table) -> Vec<Record> {
        self.rows().records(table)
    }

    /// Overwrites a queue row unconditionally and removes it from the due index, to simulate a row
    /// of another process or damaged bytes.
    pub fn overwrite_queue(&self, player: &PlayerId, row: QueueRow) {
        self.rows().put_queue(player, QueueRow { due_at: None, ..row });
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A row is put in one step, so a panic elsewhere leaves no row half written.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of an operation, after its delay.
    async fn fault(&self, operation: Operation<'_>) -> Fault {
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner).clone();
        match faults.map_or(Fault::None, |faults| faults(&operation)) {
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Fault::None
            }
            fault => fault,
        }
    }
}

#[async_trait]
impl QueueStore for MemoryStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId], stats: &[PlayerId]) -> LoadResponse {
        let calls = (queues.len() + progress.len() + stats.len()).div_ceil(MAX_LOAD_KEYS) as u64;
        let mut response = LoadResponse { calls, ..LoadResponse::default() };
        for player in queues {
            let fault = self.fault(Operation::Load { table: Table::Queues, player }).await;
            response.queues.insert(player.clone(), fault.apply(|| Ok(self.queue(player))));
        }
        for player in progress {
            let fault = self.fault(Operation::Load { table: Table::Progress, player }).await;
            let row = fault.apply(|| Ok(self.rows().progress.get(player).cloned()));
            response.progress.insert(player.clone(), row);
        }
        for player in stats {
            let fault = self.fault(Operation::Load { table: Table::Stats, player }).await;
            let row = fault.apply(|| Ok(self.rows().stats.get(player).cloned()));
            response.stats.insert(player.clone(), row);
        }
        response
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(match self.fault(Operation::Commit { write }).await {
                Fault::Conflict => Err(CommitError::Conflict),
                fault => fault.apply(|| self.rows().commit(write)),
            });
        }
        CommitResponse { outcomes, calls: writes.len().div_ceil(MAX_BATCH_ITEMS) as u64 }
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage {
        let fault = self.fault(Operation::Due { shard }).await;
        match fault.apply(|| Ok(self.rows().due(shard, until, after, limit))) {
            Ok((queues, more)) => DuePage { queues: Ok(queues), more, calls: 1 },
            Err(error) => DuePage { queues: Err(error), more: false, calls: 1 },
        }
    }

    async fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError> {
        let fault = self.fault(Operation::Scan).await;
        fault.apply(|| {
            let mut rest = self.queues();
            rest.retain(|(player, _)| after.is_none_or(|after| player.as_str() > after));
            let more = rest.len() > limit;
            rest.truncate(limit);
            let next = rest.last().filter(|_| more).map(|(player, _)| player.as_str().to_owned());
            let queue = |(player_id, row)| ScannedQueue { player_id, row: Ok(QueueRow { outbox: None, ..row }) };
            Ok(ScanPage { queues: rest.into_iter().map(queue).collect(), next, calls: 1 })
        })
    }
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError> {
        let keys = rules::check_batch(table, table.as_str(), records)?;
        let fault = self.fault(Operation::Write { table, keys: &keys }).await;
        let unprocessed = match &fault {
            Fault::Unprocessed(positions) => positions.iter().copied().filter(|at| *at < records.len()).collect(),
            _ => Vec::new(),
        };
        fault.apply(|| {
            let mut rows = self.rows();
            for (position, (record, key)) in records.iter().zip(keys).enumerate() {
                if !unprocessed.contains(&position) {
                    rows.put(record, key);
                }
            }
            Ok(unprocessed)
        })
    }

    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError> {
        let partition = player.as_str();
        let fault = self.fault(Operation::Read { table: Table::History, partition }).await;
        let query = PageQuery { partition, order: PageOrder::NewestFirst, limit, after };
        fault.apply(|| Ok(page(&self.rows().history, query)))
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        let fault = self.fault(Operation::Read { table: Table::Rejections, partition }).await;
        let query = PageQuery { partition, order: PageOrder::NewestFirst, limit, after };
        fault.apply(|| Ok(page(&self.rows().rejections, query)))
    }

    async fn events(
        &self,
        player: &PlayerId,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError> {
        let partition = player.as_str();
        let fault = self.fault(Operation::Read { table: Table::Events, partition }).await;
        fault.apply(|| Ok(page(&self.rows().events, PageQuery { partition, order, limit, after })))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.fault(Operation::Ping).await.apply(|| Ok(()))
    }

    async fn close(&self) {}
}
