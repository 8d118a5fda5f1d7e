//! Units of DynamoDB, counted from the sizes of rows: what calls cost where the table is billed by
//! use.
//!
//! The count is an estimate. Sizes of records are estimates, and a write is billed for the larger
//! one of the old and the new row, of which only the new one is known.

use millrace_domain::{Record, Timestamp};

use crate::port::{DuePage, LoadResponse, QueueRow, QueueWrite, ScanPage};

/// Bytes that a write unit covers.
const WRITE_UNIT_BYTES: usize = 1024;
/// Bytes that a read unit covers with strong consistency, and half a unit without.
const READ_UNIT_BYTES: usize = 4096;
/// Bytes of a row of the due index without the player id.
const DUE_ENTRY_BYTES: usize = 140;
/// Bytes of a queue row without the player id, the queue and the outbox.
const QUEUE_ROW_BYTES: usize = 100;

/// The write units of a commit, the due index included. A refused commit costs as much.
pub fn commit_units(write: &QueueWrite) -> u64 {
    let removed = |before: Option<Timestamp>, after: Option<Timestamp>| u64::from(before.is_some() && before != after);
    units(write.size(), WRITE_UNIT_BYTES)
        + removed(write.due_before, write.due_at)
        + removed(write.due_at, write.due_before)
}

/// The write units of a record.
pub fn record_units(record: &Record) -> u64 {
    units(record.size(), WRITE_UNIT_BYTES)
}

/// The halves of read units of a load. Each row is rounded up, and a missing one costs a unit.
pub fn load_units(response: &LoadResponse) -> u64 {
    let queues = response.queues.iter().filter_map(|(player, row)| {
        let row = row.as_ref().ok()?;
        Some(row.as_ref().map_or(0, |row| row_size(row) + player.as_str().len()))
    });
    let progress = response.progress.values().filter_map(|row| {
        let row = row.as_ref().ok()?.as_ref();
        Some(row.map_or(0, |row| Record::Progress(row.clone()).size()))
    });
    let stats = response.stats.values().filter_map(|row| {
        let row = row.as_ref().ok()?.as_ref();
        Some(row.map_or(0, |row| Record::Stats(row.clone()).size()))
    });
    2 * queues.chain(progress).chain(stats).map(|bytes| units(bytes, READ_UNIT_BYTES)).sum::<u64>()
}

/// The halves of read units of a page of the due index, which is read without strong consistency.
pub fn due_units(page: &DuePage) -> u64 {
    let Ok(queues) = &page.queues else { return 0 };
    let bytes = queues.iter().map(|due| DUE_ENTRY_BYTES + due.player_id.as_str().len()).sum();
    units(bytes, READ_UNIT_BYTES)
}

/// The halves of read units of a scan, which reads without strong consistency. Outboxes, which it
/// reads and does not return, are not counted.
pub fn scan_units(page: &ScanPage) -> u64 {
    let bytes = page.queues.iter().map(|queue| queue.player_id.as_str().len() + queue.row.as_ref().map_or(0, row_size));
    units(bytes.sum(), READ_UNIT_BYTES)
}

/// The halves of read units of a page of records: their sizes are added up first.
pub fn page_units(records: impl Iterator<Item = Record>) -> u64 {
    2 * units(records.map(|record| record.size()).sum(), READ_UNIT_BYTES)
}

fn row_size(row: &QueueRow) -> usize {
    QUEUE_ROW_BYTES + row.queue.len() + row.outbox.as_ref().map_or(0, Vec::len)
}

fn units(bytes: usize, unit: usize) -> u64 {
    bytes.div_ceil(unit).max(1) as u64
}

#[cfg(test)]
mod tests {
    use millrace_domain::PlayerId;

    use super::*;
    use crate::{error::StoreError, port::DueQueue};

    fn player() -> PlayerId {
        PlayerId::new("p").unwrap()
    }

    fn at(millis: u64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    fn commit(bytes: usize, due_before: Option<Timestamp>, due_at: Option<Timestamp>) -> u64 {
        let queue = vec![0; bytes];
        commit_units(&QueueWrite {
            player_id: player(),
            expected: 1,
            version: 2,
            queue,
            outbox: None,
            due_at,
            due_before,
        })
    }

    #[test]
    fn a_commit_costs_a_unit_for_each_kilobyte_and_each_change_of_the_due_index() {
        assert_eq!([0, 1024 - 101, 1024 - 100].map(|bytes| commit(bytes, None, None)), [1, 1, 2]);
        for (before, after, units) in
            [(None, at(1), 2), (at(1), None, 2), (at(1), at(2), 3), (at(1), at(1), 1), (None, None, 1)]
        {
            assert_eq!(commit(10, before, after), units, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn a_load_costs_a_unit_for_each_row_and_each_four_kilobytes() {
        let row = |bytes| Some(QueueRow { version: 1, queue: vec![0; bytes], outbox: None, due_at: None });
        let mut response = LoadResponse::default();
        assert_eq!(load_units(&response), 0);
        for (name, row) in [("a", Ok(row(10))), ("b", Ok(row(5000))), ("c", Ok(None))] {
            response.queues.insert(PlayerId::new(name).unwrap(), row);
        }
        response.queues.insert(player(), Err(StoreError::unavailable("it is not there")));
        response.progress.insert(player(), Ok(None));
        assert_eq!(load_units(&response), 2 * (1 + 2 + 1 + 1));
    }

    #[test]
    fn a_page_of_the_due_index_costs_half_a_unit_for_each_four_kilobytes() {
        let page = |rows: usize| {
            let queues = (0..rows).map(|_| DueQueue { player_id: player(), due_at: Timestamp::default() }).collect();
            DuePage { queues: Ok(queues), more: false, calls: 1 }
        };
        assert_eq!([0, 29, 30].map(|rows| due_units(&page(rows))), [1, 1, 2]);
    }
}
