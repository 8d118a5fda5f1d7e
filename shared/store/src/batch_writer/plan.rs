//! From rows to calls: one row a key, grouped by priority and table, split by number and bytes.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    mem,
};

use foldhash::fast::RandomState;
use millrace_domain::{Priority, Record, Timestamp, record::Table};

use super::Row;

/// What shares a call. Sorts by urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    priority: Reverse<Priority>,
    table: Table,
}

impl Group {
    fn of(record: &Record) -> Self {
        Self { priority: Reverse(record.priority()), table: record.table() }
    }

    pub(super) fn priority(self) -> Priority {
        self.priority.0
    }

    pub(super) fn table(self) -> Table {
        self.table
    }
}

/// Rows for one call to the store. Each has a tag that says whose it is.
#[derive(Debug)]
pub(super) struct Call<T> {
    pub(super) group: Group,
    pub(super) records: Vec<Record>,
    pub(super) tags: Vec<T>,
    bytes: usize,
    /// Of a row that shares no call.
    pub(super) alone: bool,
    /// How often it failed for a passing reason.
    pub(super) failures: u32,
    /// Its rows have been sent before.
    pub(super) again: bool,
}

impl<T> Call<T> {
    fn new(group: Group, capacity: usize) -> Self {
        let (records, tags) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { group, records, tags, bytes: 0, alone: false, failures: 0, again: false }
    }

    /// A call without rows that is in all else like this one.
    pub(super) fn emptied(&self) -> Self {
        Self { alone: self.alone, failures: self.failures, again: self.again, ..Self::new(self.group, 0) }
    }

    /// This call, after so many failures of its rows.
    pub(super) fn after(self, failures: u32) -> Self {
        Self { failures, again: true, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn push(&mut self, record: Record, bytes: usize, tag: T) {
        self.bytes += bytes;
        self.records.push(record);
        self.tags.push(tag);
    }

    /// Adds the rows of another call of the same group.
    pub(super) fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.records.append(&mut other.records);
        self.tags.append(&mut other.tags);
    }

    /// Splits off the rows from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let (records, tags) = (self.records.split_off(at), self.tags.split_off(at));
        let bytes = records.iter().map(Record::size).sum();
        self.bytes -= bytes;
        Self { records, tags, bytes, ..self.emptied() }
    }

    /// Keeps the rows whose tag is wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        if self.tags.iter().all(&wanted) {
            return;
        }
        let mut kept = self.emptied();
        for (record, tag) in mem::take(&mut self.records).into_iter().zip(mem::take(&mut self.tags)) {
            if wanted(&tag) {
                let bytes = record.size();
                kept.push(record, bytes, tag);
            }
        }
        *self = kept;
    }

    /// The same call under other tags.
    pub(super) fn retag<U>(self, tag: impl FnMut(T) -> U) -> Call<U> {
        let Self { group, records, tags, bytes, alone, failures, again } = self;
        Call { group, records, tags: tags.into_iter().map(tag).collect(), bytes, alone, failures, again }
    }
}

/// How much goes into one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// Fills calls, of each group one at a time.
#[derive(Debug)]
pub(super) struct Filler<T> {
    limits: Limits,
    /// Room to reserve for a new call.
    capacity: usize,
    /// Calls that take more rows; at most one a group.
    pub(super) open: Vec<Call<T>>,
    /// Calls that take no more.
    pub(super) full: Vec<Call<T>>,
}

impl<T> Filler<T> {
    pub(super) fn new(limits: Limits, rows: usize) -> Self {
        Self { limits, capacity: limits.items.min(rows), open: Vec::new(), full: Vec::new() }
    }

    pub(super) fn push(&mut self, record: Record, tag: T) {
        let (group, bytes) = (Group::of(&record), record.size());
        let at = match self.open.iter().position(|call| call.group == group) {
            Some(at) => {
                if self.open[at].bytes + bytes > self.limits.bytes {
                    let call = mem::replace(&mut self.open[at], Call::new(group, self.capacity));
                    self.full.push(call);
                }
                at
            }
            None => {
                self.open.push(Call::new(group, self.capacity));
                self.open.len() - 1
            }
        };
        let call = &mut self.open[at];
        call.push(record, bytes, tag);
        if call.len() >= self.limits.items || call.bytes >= self.limits.bytes {
            let call = self.open.swap_remove(at);
            self.full.push(call);
        }
    }

    fn push_alone(&mut self, record: Record, tag: T) {
        let mut call = Call { alone: true, ..Call::new(Group::of(&record), 1) };
        let bytes = record.size();
        call.push(record, bytes, tag);
        self.full.push(call);
    }

    /// Takes out the row of the same key from the open call that has one. A call is short: a search
    /// costs less than an index.
    pub(super) fn take_same(&mut self, record: &Record) -> Option<T> {
        let identity = Identity::of(record);
        let call = self.open.iter_mut().find(|call| call.group.table == identity.table)?;
        let at = call.records.iter().position(|other| Identity::of(other) == identity)?;
        call.bytes -= call.records.swap_remove(at).size();
        Some(call.tags.swap_remove(at))
    }

    /// Closes the open call that has a row of the same key: no call may have two of them.
    pub(super) fn close_same(&mut self, record: &Record) {
        let identity = Identity::of(record);
        let same = |call: &Call<T>| call.records.iter().any(|other| Identity::of(other) == identity);
        if let Some(at) = self.open.iter().position(same) {
            let call = self.open.swap_remove(at);
            self.full.push(call);
        }
    }

    /// All calls that have rows, full or not.
    pub(super) fn finish(self) -> impl Iterator<Item = Call<T>> {
        self.full.into_iter().chain(self.open).filter(|call| call.len() > 0)
    }
}

/// The rows of one write, by slots: a slot is a distinct row, and several origins may share it.
pub(super) struct Plan<O> {
    pub(super) calls: Filler<u32>,
    pub(super) slots: usize,
    /// Each origin with the slot of its row, in the order given.
    pub(super) origins: Vec<(u32, O)>,
}

/// Coalesces rows of one key (the last one wins) and fills calls. Rows are moved, never cloned.
pub(super) fn plan<O>(rows: Vec<Row<O>>, limits: Limits) -> Plan<O> {
    let slots = Slots::of(&rows);
    let mut calls = Filler::new(limits, rows.len());
    let mut origins = Vec::with_capacity(rows.len());
    for (at, (row, &slot)) in rows.into_iter().zip(&slots.of_row).enumerate() {
        origins.push((slot, row.origin));
        let (last, alone) = slots.last[slot as usize];
        if last != at {
            continue;
        }
        match alone {
            true => calls.push_alone(row.record, slot),
            false => calls.push(row.record, slot),
        }
    }
    Plan { calls, slots: slots.last.len(), origins }
}

struct Slots {
    /// Of each row, its slot.
    of_row: Vec<u32>,
    /// Of each slot, the position of its last row, and whether any of its rows is to be alone.
    last: Vec<(usize, bool)>,
}

impl Slots {
    fn of<O>(rows: &[Row<O>]) -> Self {
        let mut slots = Self { of_row: Vec::with_capacity(rows.len()), last: Vec::with_capacity(rows.len()) };
        if let [row] = rows {
            return Self { of_row: vec![0], last: vec![(0, row.alone)] };
        }
        let mut known: HashMap<Identity<'_>, u32, RandomState> =
            HashMap::with_capacity_and_hasher(rows.len(), RandomState::default());
        for (at, row) in rows.iter().enumerate() {
            let slot = match known.entry(Identity::of(&row.record)) {
                Entry::Occupied(entry) => {
                    let slot = *entry.get();
                    let (last, alone) = &mut slots.last[slot as usize];
                    *last = at;
                    *alone |= row.alone;
                    slot
                }
                Entry::Vacant(entry) => {
                    slots.last.push((at, row.alone));
                    *entry.insert((slots.last.len() - 1) as u32)
                }
            };
            slots.of_row.push(slot);
        }
        slots
    }
}

/// What [`Record::key`] says, borrowed: nothing is formatted or copied to compare two rows.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity<'a> {
    table: Table,
    partition: &'a str,
    sort: Option<(Timestamp, &'a str)>,
}

impl<'a> Identity<'a> {
    fn of(record: &'a Record) -> Self {
        let (partition, sort) = match record {
            Record::History(row) => (row.player_id.as_str(), Some((row.finished_at, row.task_id.as_str()))),
            Record::Rejection(row) => (row.partition.as_str(), Some((row.received_at, row.command_id.as_str()))),
            Record::Stats(row) => (row.player_id.as_str(), None),
            Record::Progress(row) => (row.player_id.as_str(), None),
        };
        Self { table: record.table(), partition, sort }
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{
        CommandId, PlayerId, RejectionReason, Resources, TaskId, TaskKind, Work,
        queue::Totals,
        record::{HistoryRecord, ProgressRecord, RejectionRecord, StatsRecord},
        task::Outcome,
    };
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        (0..4, "[ab#]{1,2}", "[ab]{1,2}", 0_u64..3).prop_map(|(kind, partition, id, at)| {
            let at = Timestamp::from_millis(at * 999);
            let player_id = PlayerId::new(&partition.replace('#', ".")).unwrap();
            match kind {
                0 => Record::History(Box::new(HistoryRecord {
                    player_id,
                    task_id: TaskId::new(&id).unwrap(),
                    kind: TaskKind::new("k").unwrap(),
                    priority: Priority::Normal,
                    outcome: Outcome::Completed,
                    reason: None,
                    attempts: 0,
                    work: Work::Units(1),
                    units_done: 1,
                    enqueued_at: at,
                    started_at: None,
                    finished_at: at,
                    time_spent_ms: 0,
                    costs: Resources::default(),
                    refunded: Resources::default(),
                    rewards: Resources::default(),
                    lost: Resources::default(),
                })),
                1 => Record::Rejection(RejectionRecord {
                    partition,
                    received_at: at,
                    command_id: CommandId::new(&id).unwrap(),
                    reason: RejectionReason::UnknownTask,
                    detail: String::new(),
                    command_type: None,
                    task_id: None,
                    body: None,
                }),
                2 => Record::Stats(StatsRecord { player_id, version: 1, as_of: at, totals: Totals::default() }),
                _ => Record::Progress(ProgressRecord { player_id, version: 1, tasks: Vec::new() }),
            }
        })
    }

    proptest! {
        #[test]
        fn identities_agree_with_keys(a in record(), b in record()) {
            prop_assert_eq!(Identity::of(&a) == Identity::of(&b), a.key() == b.key());
        }
    }
}
