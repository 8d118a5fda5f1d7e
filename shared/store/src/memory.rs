//! A store in memory, for benches, simulations and tests of what is above.
//!
//! It keeps the rules of the other stores (conditional commits, limits of batches and rows) and the
//! bytes of queues as they were given, so that whoever loads one pays for decoding it. Nothing expires,
//! and nothing outlives the process.
//!
//! Several processes are played by several handles on the same rows ([`MemoryStore::handle`]). Each
//! handle has faults of its own ([`MemoryStore::set_faults`]), so one of them can crash while the
//! others go on. Without a fault hook every call is done when its future is first polled.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, ProgressRecord, RecordKey, RejectionRecord, StatsRecord, Table},
};

use crate::{
    error::{CommitError, StoreError},
    port::{
        CommitResponse, DUE_SHARDS, Due, DuePage, LoadResponse, MAX_BATCH_ITEMS, Page, QueueRow, QueueStore,
        QueueWrite, RecordStore, Store, due_shard,
    },
    rules::{self, MAX_LOAD_KEYS},
};

/// What a handle is about to do, as a fault hook sees it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Load one row, of the queues or the progress table. Asked for each id of a call.
    Load {
        /// [`Table::Queues`] or [`Table::Progress`].
        table: Table,
        /// Whose row.
        player: &'a PlayerId,
    },
    /// Commit one queue. Asked for each write of a call.
    Commit {
        /// What is to be written.
        write: &'a QueueWrite,
    },
    /// Put records: one call.
    Write {
        /// The table.
        table: Table,
        /// The keys, in the order of the records.
        keys: &'a [RecordKey],
    },
    /// Read rows of one partition of the history, stats or rejections table.
    Read {
        /// The table.
        table: Table,
        /// The partition.
        partition: &'a str,
    },
    /// Read a shard of the `due` index.
    Due {
        /// The shard.
        shard: u8,
    },
    /// Give a sign of life.
    Ping,
}

/// What goes wrong with an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails and has no effect.
    Error(StoreError),
    /// It has its effect and fails all the same, as when a time-out hides a success.
    FailAfterEffect(StoreError),
    /// A commit meets a conflict and has no effect; nothing else is touched by it.
    Conflict,
    /// The records at these positions of a write are not put and are handed back; nothing else is
    /// touched by it.
    Unprocessed(Vec<usize>),
    /// It takes so long, by tokio's clock, and then goes well.
    Delay(Duration),
}

/// Decides what goes wrong with each operation of a handle.
///
/// It is called before the operation takes place and without any lock held, so it may itself change
/// the rows through another handle: that is how somebody else commits at the worst moment.
pub type Faults = Arc<dyn Fn(&Operation<'_>) -> Fault + Send + Sync>;

/// Rows in memory. Dropping the last handle drops them.
#[derive(Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    faults: RwLock<Option<Faults>>,
}

/// Rows of one partition by sort key, by partition.
type Sorted<T> = HashMap<String, BTreeMap<String, T>, RandomState>;

#[derive(Default)]
struct Rows {
    queues: HashMap<PlayerId, QueueRow, RandomState>,
    /// The `due` index, by shard.
    due: [BTreeSet<(Timestamp, PlayerId)>; DUE_SHARDS as usize],
    progress: HashMap<PlayerId, ProgressRecord, RandomState>,
    stats: HashMap<PlayerId, StatsRecord, RandomState>,
    /// Boxed, for a map keeps room for eleven rows in each node.
    history: Sorted<Box<HistoryRecord>>,
    rejections: Sorted<RejectionRecord>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("queues", &self.rows().queues.len()).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// A store without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another handle on the same rows, without faults: another process.
    pub fn handle(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), faults: RwLock::default() }
    }

    /// From now on, asks `faults` before each operation of this handle.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Some(faults);
    }

    /// From now on, nothing goes wrong with this handle.
    pub fn clear_faults(&self) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All queues, by player.
    pub fn queues(&self) -> Vec<(PlayerId, QueueRow)> {
        let mut queues: Vec<_> = self.rows().queues.iter().map(|(player, row)| (player.clone(), row.clone())).collect();
        queues.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        queues
    }

    /// A player's queue.
    pub fn queue(&self, player: &PlayerId) -> Option<QueueRow> {
        self.rows().queues.get(player).cloned()
    }

    /// When something is due in a player's queue, as the `due` index has it.
    pub fn due_at(&self, player: &PlayerId) -> Option<Timestamp> {
        self.rows().queues.get(player).and_then(|row| row.due_at)
    }

    /// All rows of a table of records, by key. The queues table has none.
    pub fn records(&self, table: Table) -> Vec<Record> {
        let rows = self.rows();
        let mut records: Vec<Record> = match table {
            Table::Queues => Vec::new(),
            Table::Progress => rows.progress.values().cloned().map(Record::Progress).collect(),
            Table::Stats => rows.stats.values().cloned().map(Record::Stats).collect(),
            Table::History => rows.history.values().flat_map(BTreeMap::values).cloned().map(Record::History).collect(),
            Table::Rejections => {
                rows.rejections.values().flat_map(BTreeMap::values).cloned().map(Record::Rejection).collect()
            }
        };
        records.sort_by_cached_key(Record::key);
        records
    }

    /// Puts a queue's row whatever was there, and takes it out of the `due` index: a row that somebody
    /// else has written, or damaged bytes.
    pub fn plant_queue(&self, player: &PlayerId, row: QueueRow) {
        self.rows().put_queue(player, QueueRow { due_at: None, ..row });
    }

    /// Removes a queue's row; returns whether there was one.
    pub fn remove_queue(&self, player: &PlayerId) -> bool {
        let mut rows = self.rows();
        let Some(row) = rows.queues.remove(player) else { return false };
        if let Some(at) = row.due_at {
            rows.due[usize::from(due_shard(player))].remove(&(at, player.clone()));
        }
        true
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A row is put in one step: a panic elsewhere leaves none half written.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

/// Lets an operation take place as far as its fault allows.
fn with_fault<T, E: From<StoreError>>(fault: Fault, effect: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    match fault {
        Fault::Error(error) => Err(error.into()),
        Fault::FailAfterEffect(error) => {
            drop(effect());
            Err(error.into())
        }
        _ => effect(),
    }
}

impl Rows {
    fn put_queue(&mut self, player: &PlayerId, row: QueueRow) {
        let due_at = row.due_at;
        let before = match self.queues.get_mut(player) {
            Some(known) => std::mem::replace(known, row).due_at,
            None => {
                self.queues.insert(player.clone(), row);
                None
            }
        };
        if before == due_at {
            return;
        }
        let shard = &mut self.due[usize::from(due_shard(player))];
        if let Some(at) = before {
            shard.remove(&(at, player.clone()));
        }
        if let Some(at) = due_at {
            shard.insert((at, player.clone()));
        }
    }

    fn commit(&mut self, write: &QueueWrite) -> Result<(), CommitError> {
        rules::check_queue(Table::Queues.as_str(), write)?;
        let found = self.queues.get(&write.player_id).map_or(0, |row| row.version);
        if found != write.expected {
            return Err(CommitError::Conflict);
        }
        let row = QueueRow {
            version: write.version,
            queue: write.queue.clone(),
            outbox: write.outbox.clone(),
            due_at: write.due_at,
        };
        self.put_queue(&write.player_id, row);
        Ok(())
    }

    fn put(&mut self, record: &Record, key: RecordKey) {
        let sort = key.sort.unwrap_or_default();
        match record {
            Record::History(row) => drop(self.history.entry(key.partition).or_default().insert(sort, row.clone())),
            Record::Rejection(row) => drop(self.rejections.entry(key.partition).or_default().insert(sort, row.clone())),
            Record::Stats(row) => drop(self.stats.insert(row.player_id.clone(), row.clone())),
            Record::Progress(row) => drop(self.progress.insert(row.player_id.clone(), row.clone())),
        }
    }
}

fn page<R, T: Borrow<R>>(sorted: &Sorted<T>, partition: &str, limit: usize, after: Option<&str>) -> Page<R>
where
    R: Clone,
{
    let Some(rows) = sorted.get(partition) else { return Page { items: Vec::new(), next: None } };
    let end = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut newest_first = rows.range::<str, _>((Bound::Unbounded, end)).rev();
    let mut last = None;
    let items = newest_first
        .by_ref()
        .take(limit)
        .map(|(key, row)| {
            last = Some(key);
            row.borrow().clone()
        })
        .collect();
    Page { items, next: newest_first.next().and(last.cloned()) }
}

#[async_trait]
impl QueueStore for MemoryStore {
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse {
        let mut loaded = LoadResponse {
            queues: Vec::with_capacity(queues.len()),
            progress: Vec::with_capacity(progress.len()),
            calls: (queues.len() + progress.len()).div_ceil(MAX_LOAD_KEYS) as u64,
        };
        for player in queues {
            let fault = self.fault(Operation::Load { table: Table::Queues, player }).await;
            loaded.queues.push(with_fault(fault, || Ok(self.queue(player))));
        }
        for player in progress {
            let fault = self.fault(Operation::Load { table: Table::Progress, player }).await;
            loaded.progress.push(with_fault(fault, || Ok(self.rows().progress.get(player).cloned())));
        }
        loaded
    }

    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(match self.fault(Operation::Commit { write }).await {
                Fault::Conflict => Err(CommitError::Conflict),
                fault => with_fault(fault, || self.rows().commit(write)),
            });
        }
        CommitResponse { outcomes, calls: writes.len().div_ceil(MAX_BATCH_ITEMS) as u64 }
    }

    async fn due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage {
        let fault = self.fault(Operation::Due { shard }).await;
        let mut more = false;
        let queues = with_fault(fault, || {
            let rows = self.rows();
            let after = after.map_or(Bound::Unbounded, |due| Bound::Excluded((due.due_at, due.player_id.clone())));
            let shard = rows.due.get(usize::from(shard)).into_iter();
            let mut due = shard
                .flat_map(|shard| shard.range((after.clone(), Bound::Unbounded)))
                .take_while(|(at, _)| *at <= until);
            let found = due.by_ref().take(limit).map(|(at, player)| Due { player_id: player.clone(), due_at: *at });
            let found = found.collect();
            more = limit > 0 && due.next().is_some();
            Ok(found)
        });
        DuePage { more: more && queues.is_ok(), queues, calls: 1 }
    }
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn write(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError> {
        let keys = rules::check_batch(table, table.as_str(), records)?;
        let fault = self.fault(Operation::Write { table, keys: &keys }).await;
        let unprocessed = match &fault {
            Fault::Unprocessed(positions) => positions.iter().copied().filter(|at| *at < records.len()).collect(),
            _ => Vec::new(),
        };
        with_fault(fault, || {
            let mut rows = self.rows();
            for (at, (record, key)) in records.iter().zip(keys).enumerate() {
                if !unprocessed.contains(&at) {
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
        with_fault(fault, || Ok(page(&self.rows().history, partition, limit, after)))
    }

    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError> {
        let fault = self.fault(Operation::Read { table: Table::Rejections, partition }).await;
        with_fault(fault, || Ok(page(&self.rows().rejections, partition, limit, after)))
    }

    async fn stats(&self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError> {
        let fault = self.fault(Operation::Read { table: Table::Stats, partition: player.as_str() }).await;
        with_fault(fault, || Ok(self.rows().stats.get(player).cloned()))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let fault = self.fault(Operation::Ping).await;
        with_fault(fault, || Ok(()))
    }

    async fn close(&self) {}
}
