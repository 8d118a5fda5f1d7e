//! What every store can do.

use async_trait::async_trait;
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{HistoryRecord, ProgressRecord, RejectionRecord, StatsRecord, Table},
};

use crate::error::{CommitError, StoreError};

/// Most rows of one [`RecordStore::write`], as in DynamoDB's `BatchWriteItem`.
pub const MAX_BATCH_ITEMS: usize = 25;
/// Most bytes of one row, as in DynamoDB: 400 KB.
pub const MAX_ROW_BYTES: usize = 400 * 1024;
/// Over how many shards the queues with something due are spread.
pub const DUE_SHARDS: u8 = 16;

/// The shard of the `due` index that a player's queue belongs to: the same in every process and for ever.
pub fn due_shard(player: &PlayerId) -> u8 {
    (player.stable_hash(0) % u64::from(DUE_SHARDS)) as u8
}

/// A row of the queues table as it is stored; its bytes are the domain's (`millrace_domain::codec`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// The version that the next commit must expect.
    pub version: u64,
    /// The encoded queue.
    pub queue: Vec<u8>,
    /// The encoded records of the last commit, where it led to any.
    pub outbox: Option<Vec<u8>>,
    /// Where the row stands in the `due` index; none where it is not in it.
    pub due_at: Option<Timestamp>,
}

/// The answer to [`QueueStore::load`]: one entry for each id asked for, in the order of asking.
#[derive(Debug)]
pub struct LoadResponse {
    /// The queues; `Ok(None)` where there is no row.
    pub queues: Vec<Result<Option<QueueRow>, StoreError>>,
    /// Progress between milestones; `Ok(None)` where there is no row.
    pub progress: Vec<Result<Option<ProgressRecord>, StoreError>>,
    /// Round trips made.
    pub calls: u64,
}

/// A conditional write of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueWrite {
    /// Whose queue.
    pub player_id: PlayerId,
    /// The version that the row must have; 0: there must be no row.
    pub expected: u64,
    /// The version that it will have.
    pub version: u64,
    /// The encoded queue.
    pub queue: Vec<u8>,
    /// The encoded records of this commit; none clears those of the last one.
    pub outbox: Option<Vec<u8>>,
    /// When something is due next; none takes the queue out of the `due` index.
    pub due_at: Option<Timestamp>,
}

impl QueueWrite {
    /// About how many bytes the row takes.
    pub fn size(&self) -> usize {
        100 + self.player_id.as_str().len() + self.queue.len() + self.outbox.as_ref().map_or(0, Vec::len)
    }
}

/// The answer to [`QueueStore::commit`].
#[derive(Debug)]
pub struct CommitResponse {
    /// One outcome for each write, in their order.
    pub outcomes: Vec<Result<(), CommitError>>,
    /// Round trips made.
    pub calls: u64,
}

/// A queue with something due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose queue.
    pub player_id: PlayerId,
    /// Since when, or when.
    pub due_at: Timestamp,
}

/// The answer to [`QueueStore::due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// The queues, earliest first.
    pub queues: Result<Vec<Due>, StoreError>,
    /// Whether some may follow, after the last of these.
    pub more: bool,
    /// Round trips made.
    pub calls: u64,
}

/// Some rows, newest first, and where the next ones begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The sort key of the last row, to go on after it; none where nothing follows.
    pub next: Option<String>,
}

/// Calls of a store that are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Most at once; what comes beyond waits.
    pub max: usize,
    /// Now.
    pub current: usize,
    /// Most at once since the start of the process.
    pub peak: usize,
}

/// Queues: loaded whole, committed conditionally.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Loads queues, and progress rows, by player. Strongly consistent. Never fails as a whole:
    /// each id has a result of its own.
    async fn load(&self, queues: &[PlayerId], progress: &[PlayerId]) -> LoadResponse;

    /// Writes each queue if its row has the expected version. The writes stand alone: one that fails
    /// harms no other. No two of them are of one player.
    async fn commit(&self, writes: &[QueueWrite]) -> CommitResponse;

    /// Queues of one shard with something due at or before `until`, earliest first, at most `limit`, after
    /// the row `after` of an earlier page. That row may have moved or left the index since.
    async fn due(&self, shard: u8, until: Timestamp, after: Option<&Due>, limit: usize) -> DuePage;
}

/// Records: put in batches, read by partition.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Puts rows of one table, at most [`MAX_BATCH_ITEMS`], no two of one key. Returns the positions
    /// of those that the store did not process and that should be sent again a little later.
    ///
    /// # Errors
    /// [`StoreError`] where the call failed: none, some or all of the rows may have been put.
    async fn write(&self, table: Table, records: &[Record]) -> Result<Vec<usize>, StoreError>;

    /// A player's finished tasks, newest first, after the sort key `after`; expired ones left out.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    async fn history(
        &self,
        player: &PlayerId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<HistoryRecord>, StoreError>;

    /// Refused commands of a partition (a player id or `unknown#<hex digit>`), likewise.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    async fn rejections(
        &self,
        partition: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<RejectionRecord>, StoreError>;

    /// A player's totals as last recorded.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    async fn stats(&self, player: &PlayerId) -> Result<Option<StatsRecord>, StoreError>;
}

/// A whole store.
#[async_trait]
pub trait Store: QueueStore + RecordStore {
    /// Asks the store for a sign of life.
    ///
    /// # Errors
    /// [`StoreError`] where it gives none.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Its calls on their way; none where there is no connection to count.
    fn connections(&self) -> Option<Connections> {
        None
    }

    /// Ends what is open; the process is about to end.
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
