//! Groups of rows that may share a call.

use std::cmp::Reverse;

use millrace_domain::{Priority, Record, record::Table};

/// The rows that may share a call. The most urgent group is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallGroup {
    priority: Reverse<Priority>,
    table: Table,
}

impl CallGroup {
    pub(super) fn of(record: &Record) -> Self {
        Self { priority: Reverse(record.priority()), table: record.table() }
    }

    pub(super) fn priority(self) -> Priority {
        self.priority.0
    }

    pub(super) fn table(self) -> Table {
        self.table
    }
}
