//! Reads and writes records on one connection, on a thread that may block.

use millrace_domain::{PlayerId, Record, record::Table};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::de::DeserializeOwned;

use super::{
    error::{from_sqlite, is_row_error},
    tables::Tables,
};
use crate::{
    error::StoreError,
    port::{Page, PageOrder},
    retention::Retention,
    rules,
};

/// The maximum number of expired rows that one write deletes.
const DELETED_ROWS: i64 = 500;

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
        let json = serde_json::to_string(record).map_err(|error| StoreError::InvalidBatch {
            table: name.to_owned(),
            detail: format!("a row cannot be written as JSON: {error}"),
        })?;
        let expires_at = retention.expires_at(record, now_s).map_or(0, saturating_i64);
        Ok(StoredRecord { partition: key.partition, sort: key.sort, json, expires_at })
    });
    stored.collect()
}

/// Writes the rows of one batch in one transaction, and deletes some expired rows of the table.
pub(super) fn put(
    connection: &mut Connection,
    tables: &Tables,
    table: Table,
    records: &[StoredRecord],
    now_s: u64,
) -> rusqlite::Result<()> {
    let name = tables.name(table);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(sort) = table.sort_key() {
        let mut put = transaction.prepare_cached(&format!(
            r#"INSERT INTO "{name}" ("playerId", "{sort}", "document", "expiresAt") VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET "document" = excluded."document", "expiresAt" = excluded."expiresAt"
               WHERE "document" <> excluded."document""#
        ))?;
        for row in records {
            put.execute(params![row.partition, row.sort, row.json, row.expires_at])?;
        }
        let mut delete = transaction.prepare_cached(&format!(
            r#"DELETE FROM "{name}" WHERE ("playerId", "{sort}") IN
               (SELECT "playerId", "{sort}" FROM "{name}" WHERE "expiresAt" <= ?1 ORDER BY "expiresAt" LIMIT ?2)"#
        ))?;
        delete.execute(params![saturating_i64(now_s), DELETED_ROWS])?;
    } else {
        let mut put = transaction.prepare_cached(&format!(
            r#"INSERT INTO "{name}" ("playerId", "document") VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET "document" = excluded."document""#
        ))?;
        for row in records {
            put.execute(params![row.partition, row.json])?;
        }
    }
    transaction.commit()
}

/// Loads the row of a player from a table without a sort key.
pub(super) fn load<T: DeserializeOwned>(
    connection: &Connection,
    tables: &Tables,
    table: Table,
    player: &PlayerId,
) -> Result<Option<T>, StoreError> {
    let name = tables.name(table);
    let document: Option<String> = connection
        .prepare_cached(&format!(r#"SELECT "document" FROM "{name}" WHERE "playerId" = ?1"#))
        .and_then(|mut statement| statement.query_row(params![player.as_str()], |row| row.get(0)).optional())
        .map_err(|error| from_sqlite(&error, &name))?;
    document.map(|document| parse(&document, &name)).transpose()
}

fn parse<T: DeserializeOwned>(document: &str, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(document)
        .map_err(|error| StoreError::Unreadable { table: name.to_owned(), detail: error.to_string() })
}

/// The page to read: at most `limit` rows of a partition, after a cursor.
#[derive(Debug, Clone)]
pub(super) struct PageQuery {
    pub(super) table: Table,
    pub(super) partition: String,
    pub(super) order: PageOrder,
    pub(super) limit: usize,
    pub(super) after: Option<String>,
    pub(super) now_s: u64,
}

/// Reads a page without expired rows. An unreadable row is logged and omitted, so that it does not
/// hide older ones.
pub(super) fn page<T: DeserializeOwned>(
    connection: &Connection,
    tables: &Tables,
    query: &PageQuery,
) -> rusqlite::Result<Page<T>> {
    let PageQuery { table, partition, order, limit, after, now_s } = query;
    let mut page = Page { items: Vec::new(), next: None };
    let (name, sort) = (tables.name(*table), table.sort_key().unwrap_or_default());
    // Every sort key starts with a digit: it is greater than nothing, and less than the greatest
    // character.
    let (compare, direction, start) = match order {
        PageOrder::NewestFirst => ("<", "DESC", "\u{10ffff}"),
        PageOrder::OldestFirst => (">", "ASC", ""),
    };
    let mut statement = connection.prepare_cached(&format!(
        r#"SELECT "{sort}", "document" FROM "{name}"
           WHERE "playerId" = ?1 AND "expiresAt" > ?2 AND "{sort}" {compare} ?3
           ORDER BY "{sort}" {direction} LIMIT ?4"#
    ))?;
    let after = after.as_deref().unwrap_or(start);
    // One more than the limit shows whether more rows follow.
    let sql_limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![partition, saturating_i64(*now_s), after, sql_limit])?;
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

fn saturating_i64(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
