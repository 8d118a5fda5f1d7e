//! Statistics of writes.

use std::collections::BTreeMap;

use millrace_domain::{Priority, record::Table};
use serde::Serialize;

/// A number of rows and calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Distinct rows written.
    pub items: u64,
    /// Calls to the store, including retries.
    pub calls: u64,
}

/// What a write cost. [`merge`](Self::merge) adds up several writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteStatistics {
    /// Distinct rows written. Records of one key count once, failed rows do not count.
    pub items: u64,
    /// Calls to the store, including retries.
    pub calls: u64,
    /// Rows sent again, once for each time.
    pub retried_items: u64,
    /// Items and calls by table.
    pub by_table: BTreeMap<Table, Count>,
    /// Items and calls by priority.
    pub by_priority: BTreeMap<Priority, Count>,
}

impl WriteStatistics {
    /// Adds the statistics of another write.
    pub fn merge(&mut self, other: &Self) {
        self.items += other.items;
        self.calls += other.calls;
        self.retried_items += other.retried_items;
        for (table, count) in &other.by_table {
            self.by_table.entry(*table).or_default().add(*count);
        }
        for (priority, count) in &other.by_priority {
            self.by_priority.entry(*priority).or_default().add(*count);
        }
    }

    /// The number of calls saved compared to one call a row.
    pub fn round_trips_saved(&self) -> u64 {
        self.items.saturating_sub(self.calls)
    }

    pub(super) fn count(&mut self, priority: Priority, table: Table, count: Count) {
        self.items += count.items;
        self.calls += count.calls;
        self.by_table.entry(table).or_default().add(count);
        self.by_priority.entry(priority).or_default().add(count);
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.calls += other.calls;
    }
}
