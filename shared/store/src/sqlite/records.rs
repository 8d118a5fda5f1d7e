//! Reads and writes records on one connection, on a thread that may block.

use millrace_domain::{PlayerId, Record, record::Table};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    error::{from_sqlite, is_row_error},
    statements::Statements,
};
use crate::{error::StoreError, port::Page, retention::Retention, rules};

/// A record in the form in which it is stored.
#[derive(Debug)]
pub(super) struct StoredRecord {
    partition: String,
    sort: Option<String>,
    json: String,
    /// In seconds since 1970; 0 for records that do not expire.
    expires_at: i64,
}

/// Checks and encodes a batch of records. `name` is the name of the table with its prefix.
pub(super) fn encode_batch(
    table: Table,
    name: &str,
    records: &[&Record],
    retention: Retention,
    now_s: u64,
) -> Result<Vec<StoredRecord>, StoreError> {
    let keys = rules::check_batch(table, name, records)?;
    let stored = records.iter().zip(keys).map(|(record, key)| {
        let json = match record {
            Record::History(row) => json(row),
            Record::Rejection(row) => json(row),
            Record::Stats(row) => json(row),
            Record::Progress(row) => json(row),
        };
        let json = json.map_err(|error| StoreError::InvalidBatch {
            table: name.to_owned(),
            detail: format!("a row cannot be written as JSON: {error}"),
        })?;
        let expires_at = retention.expires_at(record, now_s).map_or(0, saturating_i64);
        Ok(StoredRecord { partition: key.partition, sort: key.sort, json, expires_at })
    });
    stored.collect()
}

/// The JSON of a row, without the fields that are null.
fn json(row: &impl Serialize) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(row)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    serde_json::to_string(&value)
}

/// Writes the rows of one batch in one transaction.
pub(super) fn put(
    connection: &mut Connection,
    statements: &Statements,
    table: Table,
    records: &[StoredRecord],
) -> rusqlite::Result<()> {
    let Some(put) = statements.put(table) else { return Ok(()) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached(put)?;
        for row in records {
            match &row.sort {
                Some(sort) => statement.execute(params![row.partition, sort, row.json, row.expires_at])?,
                None => statement.execute(params![row.partition, row.json])?,
            };
        }
    }
    transaction.commit()
}

/// Loads the progress row of a player.
pub(super) fn load_progress<T: DeserializeOwned>(
    connection: &Connection,
    statements: &Statements,
    player: &PlayerId,
) -> Result<Option<T>, StoreError> {
    load_document(connection, &statements.load_progress, player, &statements.name(Table::Progress))
}

/// Loads the totals of a player.
pub(super) fn load_stats<T: DeserializeOwned>(
    connection: &Connection,
    statements: &Statements,
    player: &PlayerId,
) -> Result<Option<T>, StoreError> {
    load_document(connection, &statements.load_stats, player, &statements.name(Table::Stats))
}

fn load_document<T: DeserializeOwned>(
    connection: &Connection,
    sql: &str,
    player: &PlayerId,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let document: Option<String> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params![player.as_str()], |row| row.get(0)).optional())
        .map_err(|error| from_sqlite(&error, name))?;
    document.map(|document| parse(&document, name)).transpose()
}

fn parse<T: DeserializeOwned>(document: &str, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(document)
        .map_err(|error| StoreError::Unreadable { table: name.to_owned(), detail: error.to_string() })
}

/// The page to read: at most `limit` rows of a partition, newest first, after a cursor.
#[derive(Debug, Clone)]
pub(super) struct PageQuery {
    pub(super) table: Table,
    pub(super) partition: String,
    pub(super) limit: usize,
    pub(super) after: Option<String>,
    pub(super) now_s: u64,
}

/// Reads a page without expired rows. An unreadable row is logged and omitted, so that it does not
/// hide older ones.
pub(super) fn page<T: DeserializeOwned>(
    connection: &Connection,
    statements: &Statements,
    query: &PageQuery,
) -> rusqlite::Result<Page<T>> {
    let PageQuery { table, partition, limit, after, now_s } = query;
    let mut page = Page { items: Vec::new(), next: None };
    let Some(sorted) = statements.sorted(*table) else { return Ok(page) };
    let name = statements.name(*table);
    let now_s = saturating_i64(*now_s);
    // One more than the limit shows whether more rows follow.
    let sql_limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(if after.is_some() { &sorted.after } else { &sorted.newest })?;
    let mut rows = match after {
        Some(after) => statement.query(params![partition, now_s, sql_limit, after])?,
        None => statement.query(params![partition, now_s, sql_limit])?,
    };
    let (mut read, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if read == *limit {
            page.next = last;
            break;
        }
        read += 1;
        let key: String = row.get(0)?;
        match row.get::<_, String>(1).map(|document| parse(&document, &name)) {
            Ok(Ok(item)) => page.items.push(item),
            Ok(Err(error)) => tracing::error!(partition, key, %error, "an unreadable row is omitted"),
            Err(error) if is_row_error(&error) => {
                tracing::error!(table = name, partition, key, %error, "an unreadable row is omitted");
            }
            Err(error) => return Err(error),
        }
        last = Some(key);
    }
    Ok(page)
}

/// Deletes at most `limit` expired rows of each table; returns whether more may be left. It takes
/// the write lock only if a row has expired.
pub(super) fn delete_expired(
    connection: &Connection,
    statements: &Statements,
    now_s: u64,
    limit: usize,
) -> rusqlite::Result<bool> {
    let now_s = saturating_i64(now_s);
    let sql_limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut more = false;
    for sorted in [Table::History, Table::Rejections].into_iter().filter_map(|table| statements.sorted(table)) {
        if connection.prepare_cached(&sorted.find_expired)?.exists(params![now_s])? {
            let deleted = connection.prepare_cached(&sorted.delete_expired)?.execute(params![now_s, sql_limit])?;
            more |= deleted == limit;
        }
    }
    Ok(more)
}

fn saturating_i64(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
