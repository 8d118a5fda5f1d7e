//! Rows to write, and the records that become them.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use millrace_domain::{Record, record::RecordKey};
use smallvec::SmallVec;

use super::{
    pending_write::{Outcome, PendingWrite, Waiter},
    record_write::Grouping,
};

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
    pub(super) fn replace_with(&mut self, newer: Self) {
        self.record = newer.record;
        self.waiters.extend(newer.waiters);
        if newer.grouping == Grouping::Single {
            self.grouping = Grouping::Single;
        }
    }

    /// The first write that still waits for this row. Statistics count a row for this write.
    pub(super) fn first_write(&self) -> Option<Arc<PendingWrite>> {
        self.waiters.iter().find_map(Waiter::write)
    }

    /// Reports an outcome to the records that become this row.
    pub(super) fn report(&self, outcome: &Outcome) {
        self.waiters.iter().for_each(|waiter| waiter.report(outcome.clone()));
    }
}

/// Rows without duplicate keys, in the order in which the keys were added.
pub(super) type PendingRows = IndexMap<RecordKey, PendingRow, RandomState>;
