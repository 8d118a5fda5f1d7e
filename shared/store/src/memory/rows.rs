//! The tables of the store in memory.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use foldhash::fast::RandomState;
use millrace_domain::{
    EventsRecord, PlayerId, Record, Timestamp,
    record::{HistoryRecord, ProgressRecord, RecordKey, RejectionRecord, StatsRecord, Table},
};

use crate::{
    error::CommitError,
    port::{DUE_SHARDS, DueQueue, Page, PageOrder, QueueRow, QueueWrite, due_shard},
    rules,
};

/// Rows by partition and sort key.
pub(super) type SortedRows<T> = HashMap<String, BTreeMap<String, T>, RandomState>;

#[derive(Default)]
pub(super) struct Rows {
    pub(super) queues: HashMap<PlayerId, QueueRow, RandomState>,
    /// The due index by shard.
    due: [BTreeSet<(Timestamp, PlayerId)>; DUE_SHARDS as usize],
    pub(super) progress: HashMap<PlayerId, ProgressRecord, RandomState>,
    pub(super) stats: HashMap<PlayerId, StatsRecord, RandomState>,
    /// Boxed, because a map reserves space for eleven rows in each node.
    pub(super) history: SortedRows<Box<HistoryRecord>>,
    pub(super) rejections: SortedRows<RejectionRecord>,
    pub(super) events: SortedRows<EventsRecord>,
}

impl Rows {
    /// Puts a queue row and moves it in the due index.
    pub(super) fn put_queue(&mut self, player: &PlayerId, row: QueueRow) {
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

    pub(super) fn commit(&mut self, write: &QueueWrite) -> Result<(), CommitError> {
        rules::check_queue(Table::Queues.as_str(), write)?;
        let found = self.queues.get(&write.player_id).map_or(0, |row| row.version);
        if found != write.expected {
            return Err(CommitError::Conflict);
        }
        self.put_queue(&write.player_id, write.row());
        Ok(())
    }

    /// Reads a shard of the due index, and whether more queues follow.
    pub(super) fn due(
        &self,
        shard: u8,
        until: Timestamp,
        after: Option<&DueQueue>,
        limit: usize,
    ) -> (Vec<DueQueue>, bool) {
        let after = after.map_or(Bound::Unbounded, |due| Bound::Excluded((due.due_at, due.player_id.clone())));
        let Some(shard) = self.due.get(usize::from(shard)) else { return (Vec::new(), false) };
        let mut due = shard.range((after, Bound::Unbounded)).take_while(|(at, _)| *at <= until);
        let page = due.by_ref().take(limit).map(|(at, player)| DueQueue { player_id: player.clone(), due_at: *at });
        let page = page.collect();
        (page, limit > 0 && due.next().is_some())
    }

    pub(super) fn put(&mut self, record: &Record, key: RecordKey) {
        let sort = key.sort.unwrap_or_default();
        match record {
            Record::History(row) => drop(self.history.entry(key.partition).or_default().insert(sort, row.clone())),
            Record::Rejection(row) => drop(self.rejections.entry(key.partition).or_default().insert(sort, row.clone())),
            Record::Events(row) => drop(self.events.entry(key.partition).or_default().insert(sort, row.clone())),
            Record::Stats(row) => drop(self.stats.insert(row.player_id.clone(), row.clone())),
            Record::Progress(row) => drop(self.progress.insert(row.player_id.clone(), row.clone())),
        }
    }

    /// All rows of a table of records, by key.
    pub(super) fn records(&self, table: Table) -> Vec<Record> {
        let mut records: Vec<Record> = match table {
            Table::Queues => Vec::new(),
            Table::Progress => self.progress.values().cloned().map(Record::Progress).collect(),
            Table::Stats => self.stats.values().cloned().map(Record::Stats).collect(),
            Table::History => all(&self.history).cloned().map(Record::History).collect(),
            Table::Rejections => all(&self.rejections).cloned().map(Record::Rejection).collect(),
            Table::Events => all(&self.events).cloned().map(Record::Events).collect(),
        };
        records.sort_by_cached_key(Record::key);
        records
    }
}

fn all<T>(rows: &SortedRows<T>) -> impl Iterator<Item = &T> {
    rows.values().flat_map(BTreeMap::values)
}

/// The page to read: at most `limit` rows of a partition, after a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageQuery<'a> {
    pub(super) partition: &'a str,
    pub(super) order: PageOrder,
    pub(super) limit: usize,
    pub(super) after: Option<&'a str>,
}

/// Reads a page.
pub(super) fn page<R, T>(rows: &SortedRows<T>, query: PageQuery<'_>) -> Page<R>
where
    R: Clone,
    T: Borrow<R>,
{
    let Some(rows) = rows.get(query.partition) else { return Page { items: Vec::new(), next: None } };
    let cursor = query.after.map_or(Bound::Unbounded, Bound::Excluded);
    match query.order {
        PageOrder::NewestFirst => page_of(rows.range::<str, _>((Bound::Unbounded, cursor)).rev(), query.limit),
        PageOrder::OldestFirst => page_of(rows.range::<str, _>((cursor, Bound::Unbounded)), query.limit),
    }
}

fn page_of<'a, R, T>(mut rows: impl Iterator<Item = (&'a String, &'a T)>, limit: usize) -> Page<R>
where
    R: Clone,
    T: Borrow<R> + 'a,
{
    let mut last = None;
    let items = rows
        .by_ref()
        .take(limit)
        .map(|(key, row)| {
            last = Some(key);
            row.borrow().clone()
        })
        .collect();
    Page { items, next: rows.next().and(last.cloned()) }
}
