//! Rows to write, and the records that become them.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, map::Entry};
use millrace_domain::{Record, record::RecordKey};
use smallvec::SmallVec;

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
    /// Most rows have one waiter. Records of the same key add more.
    waiters: SmallVec<[Waiter; 1]>,
}

impl PendingRow {
    pub(super) fn new(record: Record, grouping: Grouping, waiter: Waiter) -> Self {
        Self { record, grouping, waiters: SmallVec::from([waiter]) }
    }

    /// Replaces the record with that of a newer row, and takes over its waiters.
    fn replace_with(&mut self, newer: Self) {
        self.record = newer.record;
        self.waiters.extend(newer.waiters);
        if newer.grouping == Grouping::Single {
            self.grouping = Grouping::Single;
        }
    }

    /// Whether a write waits for this row.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiters.iter().any(Waiter::is_waiting)
    }

    /// The first write that still waits for this row. Statistics count a row for this write.
    pub(super) fn first_write(&self) -> Option<Arc<PendingWrite>> {
        self.waiters.iter().find_map(Waiter::write)
    }

    pub(super) fn written(&self, group: CallGroup) {
        let mut is_counted = false;
        for waiter in &self.waiters {
            is_counted |= waiter.written((!is_counted).then_some(group));
        }
    }

    pub(super) fn attempt_failed(&self, error: &StoreError) {
        self.waiters.iter().for_each(|waiter| waiter.attempt_failed(error));
    }

    pub(super) fn failed(&self, error: &StoreError) {
        self.waiters.iter().for_each(|waiter| waiter.failed(error));
    }
}

/// Rows without duplicate keys, in the order in which the keys were added.
#[derive(Debug, Default)]
pub(super) struct PendingRows(IndexMap<RecordKey, PendingRow, RandomState>);

impl PendingRows {
    /// Adds a row. It replaces the record of a row of the same key.
    pub(super) fn add(&mut self, key: RecordKey, row: PendingRow) {
        match self.0.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(row)),
            Entry::Occupied(mut entry) => entry.get_mut().replace_with(row),
        }
    }
}

impl IntoIterator for PendingRows {
    type Item = (RecordKey, PendingRow);
    type IntoIter = indexmap::map::IntoIter<RecordKey, PendingRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<(RecordKey, PendingRow)> for PendingRows {
    fn extend<I: IntoIterator<Item = (RecordKey, PendingRow)>>(&mut self, rows: I) {
        rows.into_iter().for_each(|(key, row)| self.add(key, row));
    }
}
