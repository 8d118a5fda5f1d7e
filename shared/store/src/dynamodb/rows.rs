//! Rows as DynamoDB's items, and back.
//!
//! | table | attributes |
//! |---|---|
//! | queues | `playerId` S, `version` N, `queue` B, `outbox` B; `dueShard` N and `dueAt` N (milliseconds since 1970), both only where something is due |
//! | progress, stats | the record's fields by their JSON names |
//! | history, rejections | likewise, with the sort key and `expiresAt` N (seconds since 1970) |
//!
//! Fields that do not apply are left out. Everything but a queue's own bytes can be read in the console.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{RecordKey, Table},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

use crate::{
    error::StoreError,
    port::{Due, QueueRow, QueueWrite, due_shard},
};

/// A row.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The names of attributes that are used apart from records' own fields.
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

/// The values of a queue's row, in the order of the table above; the last ones where they apply.
pub(super) struct QueueValues {
    pub(super) player_id: AttributeValue,
    pub(super) version: AttributeValue,
    pub(super) queue: AttributeValue,
    pub(super) outbox: Option<AttributeValue>,
    pub(super) due: Option<(AttributeValue, AttributeValue)>,
}

impl QueueValues {
    pub(super) fn of(write: &QueueWrite) -> Self {
        let binary = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
        let due = write.due_at.map(|at| (number(due_shard(&write.player_id)), number(at.as_millis())));
        Self {
            player_id: string(write.player_id.as_str()),
            version: number(write.version),
            queue: binary(&write.queue),
            outbox: write.outbox.as_deref().map(binary),
            due,
        }
    }

    pub(super) fn into_item(self) -> Item {
        let mut item = Item::from([
            (attribute::PLAYER_ID.to_owned(), self.player_id),
            (attribute::VERSION.to_owned(), self.version),
            (attribute::QUEUE.to_owned(), self.queue),
        ]);
        item.extend(self.outbox.map(|outbox| (attribute::OUTBOX.to_owned(), outbox)));
        if let Some((shard, at)) = self.due {
            item.extend([(attribute::DUE_SHARD.to_owned(), shard), (attribute::DUE_AT.to_owned(), at)]);
        }
        item
    }
}

/// Reads a queue's row; `name` is the table's name with its prefix.
pub(super) fn read_queue(mut item: Item, name: &str, player: &str) -> Result<QueueRow, StoreError> {
    queue(&mut item).map_err(|detail| unreadable(name, player, &detail))
}

fn queue(item: &mut Item) -> Result<QueueRow, String> {
    let queue = binary(item, attribute::QUEUE)?.ok_or_else(|| format!("`{}` is missing", attribute::QUEUE))?;
    let outbox = binary(item, attribute::OUTBOX)?;
    // What is no time is not in the index.
    let due_at = whole(item, attribute::DUE_AT).ok().map(Timestamp::from_millis);
    Ok(QueueRow { version: whole(item, attribute::VERSION)?, queue, outbox, due_at })
}

fn binary(item: &mut Item, attribute: &str) -> Result<Option<Vec<u8>>, String> {
    match item.remove(attribute) {
        Some(AttributeValue::B(bytes)) => Ok(Some(bytes.into_inner())),
        Some(_) => Err(format!("`{attribute}` is no binary")),
        None => Ok(None),
    }
}

/// Reads a row of the `due` index.
pub(super) fn read_due(item: &Item) -> Result<Due, String> {
    let player = text(item, attribute::PLAYER_ID)?;
    let player_id = PlayerId::new(player).map_err(|error| error.to_string())?;
    Ok(Due { player_id, due_at: Timestamp::from_millis(whole(item, attribute::DUE_AT)?) })
}

/// The key of a row of the `due` index, to go on after it.
pub(super) fn due_key(due: &Due) -> Item {
    Item::from([
        (attribute::PLAYER_ID.to_owned(), string(due.player_id.as_str())),
        (attribute::DUE_SHARD.to_owned(), number(due_shard(&due.player_id))),
        (attribute::DUE_AT.to_owned(), number(due.due_at.as_millis())),
    ])
}

/// A record's row; `expires_at` where it has an end.
pub(super) fn record(
    record: &Record,
    key: &RecordKey,
    expires_at: Option<u64>,
    name: &str,
) -> Result<Item, StoreError> {
    let fields = match record {
        Record::History(row) => fields(row),
        Record::Rejection(row) => fields(row),
        Record::Stats(row) => fields(row),
        Record::Progress(row) => fields(row),
    };
    let fields = fields.map_err(|error| StoreError::InvalidBatch {
        table: name.to_owned(),
        detail: format!("a row has no fields: {error}"),
    })?;
    let mut item: Item = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field, to_attribute(value)))
        .collect();
    if let (Some(attribute), Some(sort)) = (key.table.sort_key(), &key.sort) {
        item.insert(attribute.to_owned(), string(sort));
    }
    item.extend(expires_at.map(|at| (attribute::EXPIRES_AT.to_owned(), number(at))));
    Ok(item)
}

/// Reads a record's row.
pub(super) fn read_record<T: DeserializeOwned>(item: Item, name: &str, key: &str) -> Result<T, StoreError> {
    let fields = item.into_iter().map(|(field, value)| (field, from_attribute(value))).collect();
    serde_json::from_value(Value::Object(fields)).map_err(|error| unreadable(name, key, &error.to_string()))
}

/// The key that a row of records has, as (partition, sort key).
pub(super) fn key_of(item: &Item, table: Table) -> Result<(&str, Option<&str>), String> {
    let sort = table.sort_key().map(|attribute| text(item, attribute)).transpose()?;
    Ok((text(item, attribute::PLAYER_ID)?, sort))
}

/// Whether a row has expired: DynamoDB removes it within days.
pub(super) fn is_expired(item: &Item, now_s: u64) -> bool {
    // A row without an end was put there by somebody else, and has none.
    whole(item, attribute::EXPIRES_AT).is_ok_and(|at| at <= now_s)
}

fn text<'a>(item: &'a Item, attribute: &str) -> Result<&'a str, String> {
    match item.get(attribute) {
        Some(AttributeValue::S(text)) => Ok(text),
        Some(_) => Err(format!("`{attribute}` is no string")),
        None => Err(format!("`{attribute}` is missing")),
    }
}

fn whole(item: &Item, attribute: &str) -> Result<u64, String> {
    match item.get(attribute) {
        Some(AttributeValue::N(digits)) => {
            digits.parse().map_err(|_| format!("`{attribute}` is {digits}; allowed: a whole number"))
        }
        Some(_) => Err(format!("`{attribute}` is no number")),
        None => Err(format!("`{attribute}` is missing")),
    }
}

fn unreadable(name: &str, key: &str, detail: &str) -> StoreError {
    StoreError::Unreadable { table: name.to_owned(), detail: format!("{key}: {detail}") }
}

fn fields(row: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_value(serde_json::to_value(row)?)
}

fn to_attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(value) => AttributeValue::N(value.to_string()),
        Value::String(value) => AttributeValue::S(value),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(to_attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.into_iter().map(|(field, value)| (field, to_attribute(value))).collect())
        }
    }
}

/// What records never consist of becomes null: where it stands in a field's place, the field is
/// unreadable; elsewhere it is somebody's note.
fn from_attribute(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(digits) => parse_number(&digits).map_or(Value::Null, Value::Number),
        AttributeValue::S(value) => Value::String(value),
        AttributeValue::L(values) => values.into_iter().map(from_attribute).collect(),
        AttributeValue::M(fields) => {
            Value::Object(fields.into_iter().map(|(field, value)| (field, from_attribute(value))).collect())
        }
        _ => Value::Null,
    }
}

fn parse_number(digits: &str) -> Option<Number> {
    let whole = digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from));
    whole.ok().or_else(|| Number::from_f64(digits.parse().ok()?))
}
