//! The rules that calls must keep, the same in every store: DynamoDB's.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use millrace_domain::{
    Record,
    record::{RecordKey, Table},
};

use crate::{
    error::StoreError,
    port::{MAX_BATCH_ITEMS, MAX_ROW_BYTES, QueueWrite},
};

/// Most keys of one call that loads rows, as in DynamoDB's `BatchGetItem`.
pub const MAX_LOAD_KEYS: usize = 100;

/// Checks a batch as DynamoDB does, which refuses it as a whole: at most [`MAX_BATCH_ITEMS`] rows, all
/// of one table, no two of one key, none over [`MAX_ROW_BYTES`]. Returns the keys, in the order of the
/// records. `name` is the table's name with its prefix, for messages.
///
/// # Errors
/// [`StoreError::InvalidBatch`] and [`StoreError::TooLarge`].
pub fn check_batch(table: Table, name: &str, records: &[Record]) -> Result<Vec<RecordKey>, StoreError> {
    let invalid = |detail: String| StoreError::InvalidBatch { table: name.to_owned(), detail };
    if records.len() > MAX_BATCH_ITEMS {
        return Err(invalid(format!("{} rows; allowed: {MAX_BATCH_ITEMS}", records.len())));
    }
    for record in records {
        if record.table() != table {
            return Err(invalid(format!("it holds a row of the {} table", record.table().as_str())));
        }
        check_size(name, record.size())?;
    }
    let keys: Vec<RecordKey> = records.iter().map(Record::key).collect();
    let mut seen = HashSet::with_capacity_and_hasher(keys.len(), RandomState::default());
    if let Some(twice) = keys.iter().find(|key| !seen.insert(*key)) {
        let sort = twice.sort.as_deref().unwrap_or_default();
        let separator = if twice.sort.is_some() { " / " } else { "" };
        return Err(invalid(format!("two rows have the key {}{separator}{sort}", twice.partition)));
    }
    Ok(keys)
}

/// Checks that a queue's row is not over [`MAX_ROW_BYTES`].
///
/// # Errors
/// [`StoreError::TooLarge`].
pub fn check_queue(name: &str, write: &QueueWrite) -> Result<(), StoreError> {
    check_size(name, write.size())
}

fn check_size(name: &str, bytes: usize) -> Result<(), StoreError> {
    if bytes > MAX_ROW_BYTES {
        return Err(StoreError::TooLarge { table: name.to_owned(), bytes, max: MAX_ROW_BYTES });
    }
    Ok(())
}
