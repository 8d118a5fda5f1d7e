//! Distributes rows to calls.

use std::collections::BTreeMap;

use indexmap::map::Entry;
use millrace_domain::record::RecordKey;

use super::{
    call::Call,
    group::CallGroup,
    record_write::Grouping,
    rows::{PendingRow, PendingRows},
};

/// Collects rows until their calls are full.
#[derive(Debug)]
pub(super) struct CallPacker {
    /// The maximum number of rows in one call. The size of a call needs no limit: 25 rows of
    /// the maximum size are smaller than the 16 MB that DynamoDB allows.
    max_items: usize,
    rows: BTreeMap<CallGroup, PendingRows>,
}

impl CallPacker {
    pub(super) fn new(max_items: usize) -> Self {
        Self { max_items, rows: BTreeMap::new() }
    }

    /// Adds a row. It replaces the record of a row of the same key that is not in a call yet.
    pub(super) fn add(&mut self, key: RecordKey, row: PendingRow) {
        match self.rows.entry(CallGroup::of(&row.record)).or_default().entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(row)),
            Entry::Occupied(mut entry) => entry.get_mut().replace_with(row),
        }
    }

    /// Takes the calls that cannot take more rows.
    pub(super) fn take_full(&mut self) -> Vec<Call> {
        let calls = self.take_all();
        let is_full = |call: &Call| call.rows.len() >= self.max_items || call.is_single();
        let (full, partial): (Vec<_>, Vec<_>) = calls.into_iter().partition(is_full);
        for call in partial {
            self.rows.entry(call.group).or_default().extend(call.rows);
        }
        full
    }

    /// Takes all calls, full or not.
    pub(super) fn take_all(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        for (group, rows) in std::mem::take(&mut self.rows) {
            let mut shared = Vec::with_capacity(self.max_items);
            for (key, row) in rows {
                if row.grouping == Grouping::Single {
                    calls.push(Call::new(group, vec![(key, row)]));
                    continue;
                }
                shared.push((key, row));
                if shared.len() == self.max_items {
                    let full = std::mem::replace(&mut shared, Vec::with_capacity(self.max_items));
                    calls.push(Call::new(group, full));
                }
            }
            if !shared.is_empty() {
                calls.push(Call::new(group, shared));
            }
        }
        calls
    }
}
