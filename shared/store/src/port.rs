//! The interface of every store.

use std::collections::HashMap;

use async_trait::async_trait;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, ProgressRecord, RejectionRecord, StatsRecord, Table},
};
use serde::Serialize;

use crate::{
    error::{CommitError, StoreError},
    store_units::StoreUnits,
};

/// The maximum number of rows in one [`RecordStore::write`], as in DynamoDB's `BatchWriteItem`.
pub const MAX_BATCH_ITEMS: usize = 25;
/// The maximum size of one row in bytes, as in DynamoDB: 400 KB.
pub const MAX_ROW_BYTES: usize = 400 * 1024;
/// The number of shards of the due index.
pub const DUE_SHARDS: u8 = 16;

/// The shard of the due index for the queue of a player.
///
/// It is stored in the table, so it must never change.
pub fn due_shard(player: &PlayerId) -> u8 {
    (player.stable_hash(0) % u64::from(DUE_SHARDS)) as u8
}

/// A row of the queues table. The bytes are encoded by `millrace_domain::codec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// The version that the next commit must expect.
    pub version: u64,
    /// The encoded queue.
    pub queue: Vec<u8>,
    /// The encoded outbox: the records of the last commit, if it had any.
    pub outbox: Option<Vec<u8>>,
    /// The sort key of the row in the due index; `None` if the row is not in the index.
    pub due_at: Option<Timestamp>,
}

/// The answer to [`QueueStore::load`]: one entry for each distinct player of the request.
#[derive(Debug, Default)]
pub struct LoadResponse {
    /// The queue rows by player; `Ok(None)` if there is no row.
    pub queues: HashMap<PlayerId, Result<Option<QueueRow>, StoreError>>,
    /// The progress rows by player; `Ok(None)` if there is no row.
    pub progress: HashMap<PlayerId, Result<Option<ProgressRecord>, StoreError>>,
    /// The stats rows by player; `Ok(None)` if there is no row.
    pub stats: HashMap<PlayerId, Result<Option<StatsRecord>, StoreError>>,
    /// The number of round trips.
    pub calls: u64,
}

impl LoadResponse {
    /// Takes the queue row of a player out of the response.
    ///
    /// # Errors
    /// The [`StoreError`] of this row; [`StoreError::Unavailable`] if the response has no entry for
    /// the player.
    pub fn take_queue(&mut self, player: &PlayerId) -> Result<Option<QueueRow>, StoreError> {
        self.queues.remove(player).unwrap_or_else(|| Err(missing_entry(player)))
    }

    /// Takes the progress row of a player out of the response.
    ///
    /// # Errors
    /// As for [`take_queue`](Self::take_queue).
    pub fn take_progress(&mut self, player: &PlayerId) -> Result<Option<ProgressRecord>, StoreError> {
        self.progress.remove(player).unwrap_or_else(|| Err(missing_entry(player)))
    }

    /// Takes the stats row of a player out of the response.
    ///
    /// # Errors
    /// As for [`take_queue`](Self::take_queue).
    pub fn take_stats(&mut self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError> {
        self.stats.remove(player).unwrap_or_else(|| Err(missing_entry(player)))
    }
}

fn missing_entry(player: &PlayerId) -> StoreError {
    StoreError::unavailable(format!("the response has no entry for player {player}"))
}

/// A conditional write of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueWrite {
    /// The player.
    pub player_id: PlayerId,
    /// The version that the row must have; 0 if there must be no row.
    pub expected: u64,
    /// The version of the row after the commit.
    pub version: u64,
    /// The encoded queue.
    pub queue: Vec<u8>,
    /// The encoded outbox of this commit; `None` removes the outbox of the last commit.
    pub outbox: Option<Vec<u8>>,
    /// The next due moment; `None` removes the row from the due index.
    pub due_at: Option<Timestamp>,
    /// The sort key of the row in the due index so far, for [`units`](crate::units) alone.
    pub due_before: Option<Timestamp>,
}

impl QueueWrite {
    /// The row after the commit.
    pub fn row(&self) -> QueueRow {
        QueueRow { version: self.version, queue: self.queue.clone(), outbox: self.outbox.clone(), due_at: self.due_at }
    }

    /// The approximate size of the row in bytes.
    pub fn size(&self) -> usize {
        100 + self.player_id.as_str().len() + self.queue.len() + self.outbox.as_ref().map_or(0, Vec::len)
    }
}

/// The answer to [`QueueStore::commit`].
#[derive(Debug)]
pub struct CommitResponse {
    /// The outcome of each write, in the order of the request.
    pub outcomes: Vec<Result<(), CommitError>>,
    /// The number of round trips.
    pub calls: u64,
}

/// A queue that is due: an entry of the due index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQueue {
    /// The player.
    pub player_id: PlayerId,
    /// The due moment.
    pub due_at: Timestamp,
}

/// The answer to [`QueueStore::due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// The queues, earliest due moment first.
    pub queues: Result<Vec<DueQueue>, StoreError>,
    /// Whether more queues may follow the last one.
    pub more: bool,
    /// The number of round trips.
    pub calls: u64,
}

/// A queue row that a scan has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedQueue {
    /// The player.
    pub player_id: PlayerId,
    /// The row without its outbox, or why it is unreadable.
    pub row: Result<QueueRow, StoreError>,
}

/// The answer to [`QueueStore::scan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPage {
    /// The rows, in the order of the store.
    pub queues: Vec<ScannedQueue>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<String>,
    /// The number of round trips.
    pub calls: u64,
}

/// The order of the rows of a page, by their sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOrder {
    /// The rows before the cursor, the last one first.
    NewestFirst,
    /// The rows after the cursor, the first one first.
    OldestFirst,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page: the sort key of the last row. `None` on the last page.
    pub next: Option<String>,
}

/// The calls of a store in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// The maximum number of concurrent calls; further calls wait.
    pub max: usize,
    /// The current number of calls.
    pub current: usize,
    /// The largest number of concurrent calls since the start of the process.
    pub peak: usize,
}

/// Stores queues: one row a player, loaded whole and committed conditionally.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Loads queue rows, progress rows and stats rows by player, strongly consistent.
    ///
    /// The call does not fail as a whole: each row has its result.
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId], stats: &[PlayerId]) -> LoadResponse;

    /// Writes each queue if its row has the expected version.
    ///
    /// The writes are independent: a failed write does not affect the others. A player must not
    /// occur twice.
    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse;

    /// Reads a shard of the due index: queues that are due at or before `until`, earliest first, at
    /// most `limit`.
    ///
    /// `after` is the last queue of the previous page. It may have moved or left the index since.
    async fn due(&self, shard: u8, until: Timestamp, after: Option<&DueQueue>, limit: usize) -> DuePage;

    /// Reads some rows of the queues table, at most `limit`, in an order that the store chooses.
    /// `after` is the [`ScanPage::next`] of the previous page, or the id of any player.
    ///
    /// A scan of a whole table contains each row that existed at its beginning, once. Rows may be
    /// as they were shortly before the call.
    ///
    /// # Errors
    /// [`StoreError`] if the table cannot be read.
    async fn scan(&self, after: Option<&str>, limit: usize) -> Result<ScanPage, StoreError>;
}

/// Stores records: written in batches, read by partition.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Puts at most [`MAX_BATCH_ITEMS`] rows of one table without duplicate keys.
    ///
    /// Returns the positions of the rows that the store did not process. The caller should send
    /// them again after a delay.
    ///
    /// # Errors
    /// [`StoreError`] if the call failed: none, some or all rows may have been written.
    async fn write(&self, table: Table, records: &[&Record]) -> Result<Vec<usize>, StoreError>;

    /// Reads the finished tasks of a player, newest first, without expired ones. `after` is the
    /// cursor of the previous page.
    ///
    /// # Errors
    /// [`StoreError`] if the rows cannot be read.
    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError>;

    /// Reads the rejections of a partition (a player id or `unknown#<hex digit>`), newest first,
    /// without expired ones. `after` is the cursor of the previous page.
    ///
    /// # Errors
    /// [`StoreError`] if the rows cannot be read.
    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError>;

    /// Reads the events of a player, one row a commit, without expired ones. `after` is the cursor
    /// of the previous page, or any other [`EventsRecord::sort_key`].
    ///
    /// [`events_after`](crate::events_after()) reads single events.
    ///
    /// # Errors
    /// [`StoreError`] if the rows cannot be read.
    async fn events(
        &self,
        player: &PlayerId,
        order: PageOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<EventsRecord>, StoreError>;
}

/// A complete store.
#[async_trait]
pub trait Store: QueueStore + RecordStore {
    /// Checks that the store is reachable.
    ///
    /// # Errors
    /// [`StoreError`] if it is not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The calls in progress; `None` if the store has no connections.
    fn connections(&self) -> Option<Connections> {
        None
    }

    /// What the calls since the start of the process have cost; nothing if the store does not count
    /// ([`MeteredStore`](crate::MeteredStore)).
    fn units(&self) -> StoreUnits {
        StoreUnits::default()
    }

    /// Closes all connections, before the process ends.
    async fn close(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_stable_and_even() {
        let mut counts = [0_u32; DUE_SHARDS as usize];
        for n in 0..16_000 {
            counts[usize::from(due_shard(&PlayerId::new(&format!("player-{n}")).unwrap()))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
