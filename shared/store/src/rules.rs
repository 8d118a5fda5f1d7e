//! The limits that every store enforces. They are those of DynamoDB.

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

/// The maximum number of keys in one call that loads rows, as in DynamoDB's `BatchGetItem`.
pub const MAX_LOAD_KEYS: usize = 100;

/// Checks a batch of records: at most [`MAX_BATCH_ITEMS`] rows, all of one table, no duplicate
/// keys, and no row larger than [`MAX_ROW_BYTES`]. DynamoDB refuses the whole batch otherwise.
///
/// Returns the keys in the order of the records. `name` is the name of the table with its prefix,
/// for error messages.
///
/// # Errors
/// [`StoreError::InvalidBatch`] and [`StoreError::TooLarge`].
pub fn check_batch(table: Table, name: &str, records: &[&Record]) -> Result<Vec<RecordKey>, StoreError> {
    let invalid = |detail: String| StoreError::InvalidBatch { table: name.to_owned(), detail };
    if records.len() > MAX_BATCH_ITEMS {
        return Err(invalid(format!("{} rows; allowed: {MAX_BATCH_ITEMS}", records.len())));
    }
    for record in records {
        if record.table() != table {
            return Err(invalid(format!("a row belongs to the {} table", record.table().as_str())));
        }
        check_size(name, record.size())?;
    }
    let keys: Vec<RecordKey> = records.iter().map(|record| record.key()).collect();
    let mut distinct = HashSet::with_capacity_and_hasher(keys.len(), RandomState::default());
    if let Some(duplicate) = keys.iter().find(|key| !distinct.insert(*key)) {
        let sort = duplicate.sort.as_deref().unwrap_or_default();
        let separator = if duplicate.sort.is_some() { " / " } else { "" };
        return Err(invalid(format!("two rows have the key {}{separator}{sort}", duplicate.partition)));
    }
    Ok(keys)
}

/// Checks that a queue row is not larger than [`MAX_ROW_BYTES`].
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
