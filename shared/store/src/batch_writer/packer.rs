//! Distributes rows to calls by group, number and bytes.

use std::collections::BTreeMap;

use millrace_domain::record::RecordKey;

use super::{
    call::{Call, PendingRow, PendingRows},
    group::CallGroup,
    record_write::Grouping,
};

/// The maximum size of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallLimits {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// Fills calls with rows, one open call for each group.
#[derive(Debug)]
pub(super) struct CallPacker {
    limits: CallLimits,
    open: BTreeMap<CallGroup, OpenCall>,
    full: Vec<Call>,
}

/// A call that accepts more rows.
#[derive(Debug, Default)]
struct OpenCall {
    rows: PendingRows,
    bytes: usize,
}

impl OpenCall {
    fn into_call(self, group: CallGroup) -> Call {
        Call::new(group, Grouping::Shared, self.rows)
    }
}

impl CallPacker {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self { limits, open: BTreeMap::new(), full: Vec::new() }
    }

    /// Adds a row. It replaces a row of the same key in the open call of its group.
    pub(super) fn add(&mut self, key: RecordKey, row: PendingRow) {
        let group = CallGroup::of(&row.record);
        if row.grouping == Grouping::Single {
            let rows = PendingRows::from_iter([(key, row)]);
            self.full.push(Call::new(group, Grouping::Single, rows));
            return;
        }
        let open = self.open.entry(group).or_default();
        let row = match open.rows.remove(&key) {
            Some(mut older) => {
                open.bytes -= older.record.size();
                older.replace_with(row);
                older
            }
            None => row,
        };
        let bytes = row.record.size();
        if !open.rows.is_empty() && open.bytes + bytes > self.limits.bytes {
            self.full.push(std::mem::take(open).into_call(group));
        }
        open.bytes += bytes;
        open.rows.put(key, row);
        if open.rows.len() >= self.limits.items || open.bytes >= self.limits.bytes {
            self.full.push(std::mem::take(open).into_call(group));
        }
    }

    /// Takes the calls that are full.
    pub(super) fn take_full(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.full)
    }

    /// Takes all calls, full or not.
    pub(super) fn take_all(&mut self) -> Vec<Call> {
        let open = std::mem::take(&mut self.open).into_iter().filter(|(_, open)| !open.rows.is_empty());
        self.full.extend(open.map(|(group, open)| open.into_call(group)));
        self.take_full()
    }
}
