//! One call to the store: rows of one table and priority.

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::RandomState;
use indexmap::{IndexMap, map::Entry};
use millrace_domain::{Record, record::RecordKey};

use super::{
    group::CallGroup,
    pending_write::{PendingWrite, Waiter},
    record_write::Grouping,
};
use crate::error::StoreError;

/// A row to write, and the records that become this row.
#[derive(Debug)]
pub(super) struct PendingRow {
    pub(super) record: Record,
    pub(super) grouping: Grouping,
    pub(super) waiters: Vec<Waiter>,
}

impl PendingRow {
    /// Replaces the record with that of a newer row, and takes over its waiters.
    pub(super) fn replace_with(&mut self, newer: Self) {
        self.record = newer.record;
        self.waiters.extend(newer.waiters);
        if newer.grouping == Grouping::Single {
            self.grouping = Grouping::Single;
        }
    }

    /// The first write that still waits for this row. Statistics count a row for this write.
    fn first_write(&self) -> Option<Arc<PendingWrite>> {
        self.waiters.iter().find_map(Waiter::write)
    }
}

/// Rows without duplicate keys, in the order in which the keys were added.
#[derive(Debug, Default)]
pub(super) struct PendingRows(IndexMap<RecordKey, PendingRow, RandomState>);

impl PendingRows {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self(IndexMap::with_capacity_and_hasher(rows, RandomState::default()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn records(&self) -> Vec<&Record> {
        self.0.values().map(|row| &row.record).collect()
    }

    /// Adds a row. It replaces the record of a row of the same key.
    pub(super) fn put(&mut self, key: RecordKey, row: PendingRow) {
        match self.0.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(row)),
            Entry::Occupied(mut entry) => entry.get_mut().replace_with(row),
        }
    }

    pub(super) fn remove(&mut self, key: &RecordKey) -> Option<PendingRow> {
        self.0.shift_remove(key)
    }

    fn iter(&self) -> impl Iterator<Item = &PendingRow> {
        self.0.values()
    }
}

impl IntoIterator for PendingRows {
    type Item = (RecordKey, PendingRow);
    type IntoIter = indexmap::map::IntoIter<RecordKey, PendingRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(RecordKey, PendingRow)> for PendingRows {
    fn from_iter<I: IntoIterator<Item = (RecordKey, PendingRow)>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

/// One call to the store.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) group: CallGroup,
    /// The grouping of its rows: a [`Single`](Grouping::Single) row has a call without other rows.
    pub(super) grouping: Grouping,
    pub(super) rows: PendingRows,
    pub(super) attempts: Attempts,
}

/// Earlier attempts to write the rows of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempts {
    /// Whether the rows were sent before.
    pub(super) is_retry: bool,
    /// The number of attempts that failed for a passing reason.
    pub(super) passing_failures: u32,
}

impl Call {
    pub(super) fn new(group: CallGroup, grouping: Grouping, rows: PendingRows) -> Self {
        Self { group, grouping, rows, attempts: Attempts::default() }
    }

    /// Removes rows that no write waits for.
    pub(super) fn drop_abandoned_rows(&mut self) {
        self.rows.0.retain(|_, row| row.first_write().is_some());
    }

    /// Counts an attempt: a call that writes share counts for the first of them.
    pub(super) fn count_attempt(&self) {
        if let Some(write) = self.rows.iter().find_map(PendingRow::first_write) {
            write.count_call(self.group);
        }
        if self.attempts.is_retry {
            self.rows.iter().filter_map(PendingRow::first_write).for_each(|write| write.count_retried_item());
        }
    }

    /// Marks the rows at all other positions as written, and returns those at `unprocessed`.
    pub(super) fn keep_unprocessed(self, unprocessed: &[usize]) -> Self {
        let unprocessed: HashSet<usize> = unprocessed.iter().copied().collect();
        let mut rows = PendingRows::default();
        for (position, (key, row)) in self.rows.into_iter().enumerate() {
            if unprocessed.contains(&position) {
                rows.put(key, row);
                continue;
            }
            if let Some(write) = row.first_write() {
                write.count_item(self.group);
            }
            row.waiters.iter().for_each(Waiter::written);
        }
        Self { rows, ..self }
    }

    pub(super) fn attempt_failed(&self, error: &StoreError) {
        self.rows.iter().flat_map(|row| &row.waiters).for_each(|waiter| waiter.attempt_failed(error));
    }

    pub(super) fn failed(&self, error: &StoreError) {
        self.rows.iter().flat_map(|row| &row.waiters).for_each(|waiter| waiter.failed(error));
    }

    /// Halves the call, to find the row that the store refuses.
    pub(super) fn halves(mut self) -> [Self; 2] {
        self.attempts.is_retry = true;
        let half = self.rows.len() / 2;
        let rest = Self { rows: PendingRows(self.rows.0.split_off(half)), ..self };
        [self, rest]
    }
}
