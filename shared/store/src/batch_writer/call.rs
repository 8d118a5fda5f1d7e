//! One call to the store.

use std::collections::HashSet;

use millrace_domain::{Record, record::RecordKey};

use super::{group::CallGroup, pending_write::Outcome, record_write::Grouping, rows::PendingRow, statistics::Count};

/// One call to the store: rows of one table and priority, without duplicate keys.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) group: CallGroup,
    pub(super) rows: Vec<(RecordKey, PendingRow)>,
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
    /// A call of rows that were not sent before.
    pub(super) fn new(group: CallGroup, rows: Vec<(RecordKey, PendingRow)>) -> Self {
        Self { group, rows, attempts: Attempts::default() }
    }

    /// Whether the call has a row that must not share it.
    pub(super) fn is_single(&self) -> bool {
        self.rows().any(|row| row.grouping == Grouping::Single)
    }

    fn rows(&self) -> impl Iterator<Item = &PendingRow> {
        self.rows.iter().map(|(_, row)| row)
    }

    pub(super) fn records(&self) -> Vec<&Record> {
        self.rows().map(|row| &row.record).collect()
    }

    /// Removes rows that no write waits for.
    pub(super) fn drop_abandoned_rows(&mut self) {
        self.rows.retain(|(_, row)| row.first_write().is_some());
    }

    /// Counts an attempt: a call that writes share counts for the first of them.
    pub(super) fn count_attempt(&self) {
        if let Some(write) = self.rows().find_map(PendingRow::first_write) {
            write.count(self.group, Count { items: 0, calls: 1 });
        }
        if self.attempts.is_retry {
            self.rows().filter_map(PendingRow::first_write).for_each(|write| write.count_retried_item());
        }
    }

    /// Marks the rows at all other positions as written, and returns those at `unprocessed`.
    pub(super) fn keep_unprocessed(self, unprocessed: &[usize]) -> Self {
        let unprocessed: HashSet<usize> = unprocessed.iter().copied().collect();
        let mut rest = Vec::new();
        for (position, (key, row)) in self.rows.into_iter().enumerate() {
            if unprocessed.contains(&position) {
                rest.push((key, row));
            } else {
                if let Some(write) = row.first_write() {
                    write.count(self.group, Count { items: 1, calls: 0 });
                }
                row.report(&Outcome::Written);
            }
        }
        Self { rows: rest, ..self }
    }

    /// Reports an outcome to the records of all rows.
    pub(super) fn report(&self, outcome: &Outcome) {
        self.rows().for_each(|row| row.report(outcome));
    }

    /// Halves the call, to find the row that the store refuses.
    pub(super) fn halves(mut self) -> [Self; 2] {
        self.attempts.is_retry = true;
        let half = self.rows.len() / 2;
        let rest = Self { rows: self.rows.split_off(half), ..self };
        [self, rest]
    }
}
