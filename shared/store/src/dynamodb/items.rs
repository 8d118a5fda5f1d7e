//! Rows as items of DynamoDB.
//!
//! | table | attributes |
//! |---|---|
//! | queues | `playerId` S, `version` N, `queue` B, `outbox` B, `dueShard` N, `dueAt` N |
//! | progress, stats | the fields of the record by their JSON names |
//! | history, rejections, events | the same, with the sort key and `expiresAt` N |
//!
//! `dueAt` is in milliseconds since 1970, `expiresAt` in seconds. Attributes that do not apply are
//! left out. Records are native attributes, so that an operator can read them in the console.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{RecordKey, Table},
};
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1 as serde_item;

use crate::{
    error::StoreError,
    port::{DueQueue, QueueRow, QueueWrite, due_shard},
};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The names of attributes that are not fields of records.
pub(super) mod attribute {
    pub(crate) const PLAYER_ID: &str = "playerId";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const QUEUE: &str = "queue";
    pub(crate) const OUTBOX: &str = "outbox";
    pub(crate) const DUE_SHARD: &str = "dueShard";
    pub(crate) const DUE_AT: &str = "dueAt";
    pub(crate) const EXPIRES_AT: &str = "expiresAt";
}

pub(super) fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The attributes of a queue row by name, the key first; `None` if one does not apply.
pub(super) fn queue_attributes(write: &QueueWrite) -> [(&'static str, Option<AttributeValue>); 6] {
    let binary = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    [
        (attribute::PLAYER_ID, Some(string(write.player_id.as_str()))),
        (attribute::VERSION, Some(number(write.version))),
        (attribute::QUEUE, Some(binary(&write.queue))),
        (attribute::OUTBOX, write.outbox.as_deref().map(binary)),
        (attribute::DUE_SHARD, write.due_at.map(|_| number(due_shard(&write.player_id)))),
        (attribute::DUE_AT, write.due_at.map(|at| number(at.as_millis()))),
    ]
}

/// The item of a queue row.
pub(super) fn queue(write: &QueueWrite) -> Item {
    queue_attributes(write).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Reads a queue row. `name` is the name of the table with its prefix.
pub(super) fn read_queue(mut item: Item, name: &str, player: &PlayerId) -> Result<QueueRow, StoreError> {
    queue_row(&mut item).map_err(|detail| unreadable(name, player.as_str(), &detail))
}

fn queue_row(item: &mut Item) -> Result<QueueRow, String> {
    let queue = take_binary(item, attribute::QUEUE)?.ok_or_else(|| missing(attribute::QUEUE))?;
    let outbox = take_binary(item, attribute::OUTBOX)?;
    // A row whose `dueAt` is not a number is not in the index.
    let due_at = whole_number(item, attribute::DUE_AT).ok().map(Timestamp::from_millis);
    Ok(QueueRow { version: whole_number(item, attribute::VERSION)?, queue, outbox, due_at })
}

/// Reads a row of the due index.
pub(super) fn read_due(item: &Item) -> Result<DueQueue, String> {
    let player_id = PlayerId::new(text(item, attribute::PLAYER_ID)?).map_err(|error| error.to_string())?;
    Ok(DueQueue { player_id, due_at: Timestamp::from_millis(whole_number(item, attribute::DUE_AT)?) })
}

/// The key of a row of the due index, to continue after it.
pub(super) fn due_key(due: &DueQueue) -> Item {
    Item::from([
        (attribute::PLAYER_ID.to_owned(), string(due.player_id.as_str())),
        (attribute::DUE_SHARD.to_owned(), number(due_shard(&due.player_id))),
        (attribute::DUE_AT.to_owned(), number(due.due_at.as_millis())),
    ])
}

/// The item of a record. `name` is the name of the table with its prefix.
pub(super) fn record(
    record: &Record,
    key: &RecordKey,
    expires_at: Option<u64>,
    name: &str,
) -> Result<Item, StoreError> {
    let mut item: Item = serde_item::to_item(record).map_err(|error| StoreError::InvalidBatch {
        table: name.to_owned(),
        detail: format!("a row cannot be written as an item: {error}"),
    })?;
    if let (Some(attribute), Some(sort)) = (key.table.sort_key(), &key.sort) {
        item.insert(attribute.to_owned(), string(sort));
    }
    item.extend(expires_at.map(|at| (attribute::EXPIRES_AT.to_owned(), number(at))));
    Ok(item)
}

/// Reads the item of a record. `name` is the name of the table with its prefix.
pub(super) fn read_record<T: DeserializeOwned>(item: Item, name: &str, key: &str) -> Result<T, StoreError> {
    serde_item::from_item(item).map_err(|error| unreadable(name, key, &error.to_string()))
}

/// The partition and the sort key of a record.
pub(super) fn key_of(item: &Item, table: Table) -> Result<(&str, Option<&str>), String> {
    let sort = table.sort_key().map(|attribute| text(item, attribute)).transpose()?;
    Ok((text(item, attribute::PLAYER_ID)?, sort))
}

/// Whether a row has expired. DynamoDB deletes it within a few days. Rows without an expiry were
/// written by another program and do not expire.
pub(super) fn is_expired(item: &Item, now_s: u64) -> bool {
    whole_number(item, attribute::EXPIRES_AT).is_ok_and(|at| at <= now_s)
}

fn take_binary(item: &mut Item, attribute: &str) -> Result<Option<Vec<u8>>, String> {
    match item.remove(attribute) {
        Some(AttributeValue::B(bytes)) => Ok(Some(bytes.into_inner())),
        Some(_) => Err(format!("`{attribute}` is not binary")),
        None => Ok(None),
    }
}

fn text<'a>(item: &'a Item, attribute: &str) -> Result<&'a str, String> {
    match item.get(attribute) {
        Some(AttributeValue::S(text)) => Ok(text),
        Some(_) => Err(format!("`{attribute}` is not a string")),
        None => Err(missing(attribute)),
    }
}

fn whole_number(item: &Item, attribute: &str) -> Result<u64, String> {
    match item.get(attribute) {
        Some(AttributeValue::N(digits)) => {
            digits.parse().map_err(|_| format!("`{attribute}` is {digits}; allowed: a whole number"))
        }
        Some(_) => Err(format!("`{attribute}` is not a number")),
        None => Err(missing(attribute)),
    }
}

fn missing(attribute: &str) -> String {
    format!("`{attribute}` is missing")
}

fn unreadable(name: &str, key: &str, detail: &str) -> StoreError {
    StoreError::Unreadable { table: name.to_owned(), detail: format!("{key}: {detail}") }
}
