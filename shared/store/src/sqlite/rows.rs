//! Reading and writing rows on one connection, on a thread that may block.

use millrace_domain::{
    PlayerId, Record, Timestamp,
    record::{ProgressRecord, Table},
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    error::{from_sqlite, is_of_a_row},
    statements::Statements,
};
use crate::{
    error::{CommitError, StoreError},
    port::{Due, Page, QueueRow, QueueWrite, due_shard},
    rules,
};

/// A row of a table of records, ready to be put.
pub(super) struct Document {
    partition: String,
    sort: Option<String>,
    json: String,
    expires_at: i64,
}

/// How long rows are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    pub(super) history_s: i64,
    pub(super) rejections_s: i64,
}

impl Document {
    /// The rows of a batch that keeps the rules; `name` is the table's name with its prefix.
    pub(super) fn batch(
        table: Table,
        name: &str,
        records: &[Record],
        retention: Retention,
        now_s: i64,
    ) -> Result<Vec<Self>, StoreError> {
        let keys = rules::check_batch(table, name, records)?;
        let documents = records.iter().zip(keys).map(|(record, key)| {
            let expires_at = match record {
                Record::History(_) => now_s.saturating_add(retention.history_s),
                Record::Rejection(_) => now_s.saturating_add(retention.rejections_s),
                Record::Stats(_) | Record::Progress(_) => 0,
            };
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
            Ok(Self { partition: key.partition, sort: key.sort, json, expires_at })
        });
        documents.collect()
    }
}

/// What does not apply is left out, rather than null.
fn json(row: &impl Serialize) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(row)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    serde_json::to_string(&value)
}

/// Loads one queue.
pub(super) fn load_queue(
    connection: &Connection,
    sql: &Statements,
    player: &PlayerId,
) -> Result<Option<QueueRow>, StoreError> {
    let read = |row: &Row<'_>| {
        let version: i64 = row.get(0)?;
        let version = u64::try_from(version).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, version))?;
        // What is no time is not in the index.
        let due_at = row.get_ref(3)?.as_i64().ok().and_then(|millis| u64::try_from(millis).ok());
        let due_at = due_at.map(Timestamp::from_millis);
        Ok(QueueRow { version, queue: row.get(1)?, outbox: row.get(2)?, due_at })
    };
    let row = connection
        .prepare_cached(&sql.load_queue)
        .and_then(|mut statement| statement.query_row(params![player.as_str()], read).optional());
    row.map_err(|error| from_sqlite(&error, &sql.name(Table::Queues)))
}

/// Loads one progress row.
pub(super) fn load_progress(
    connection: &Connection,
    sql: &Statements,
    player: &PlayerId,
) -> Result<Option<ProgressRecord>, StoreError> {
    load_document(connection, &sql.load_progress, player, &sql.name(Table::Progress))
}

/// Loads the one document of a player that `sql` selects.
pub(super) fn load_document<T: DeserializeOwned>(
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

/// Commits queues in one transaction, each by itself: an outcome for each, or an error of all.
pub(super) fn commit(
    connection: &mut Connection,
    sql: &Statements,
    writes: &[QueueWrite],
) -> rusqlite::Result<Vec<Result<(), CommitError>>> {
    let name = sql.name(Table::Queues);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        outcomes.push(match rules::check_queue(&name, write) {
            Ok(()) if commit_one(&transaction, sql, write)? => Ok(()),
            Ok(()) => Err(CommitError::Conflict),
            Err(error) => Err(error.into()),
        });
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Whether the row had the expected version, and so was written.
fn commit_one(connection: &Connection, sql: &Statements, write: &QueueWrite) -> rusqlite::Result<bool> {
    let player = write.player_id.as_str();
    let (queue, outbox) = (write.queue.as_slice(), write.outbox.as_deref());
    let shard = write.due_at.map(|_| due_shard(&write.player_id));
    let due_at = write.due_at.map(|at| integer(at.as_millis())).transpose()?;
    let version = integer(write.version)?;
    let changed = if write.expected == 0 {
        connection.prepare_cached(&sql.insert_queue)?.execute(params![player, version, queue, outbox, shard, due_at])?
    } else {
        connection.prepare_cached(&sql.update_queue)?.execute(params![
            player,
            version,
            queue,
            outbox,
            shard,
            due_at,
            integer(write.expected)?
        ])?
    };
    Ok(changed == 1)
}

/// SQLite's integers end at 2^63-1.
fn integer(value: u64) -> rusqlite::Result<i64> {
    i64::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Reads a shard of the `due` index, and whether more follows. A row that cannot be read is left out, so
/// that it holds nobody up.
pub(super) fn due(
    connection: &Connection,
    sql: &Statements,
    shard: u8,
    until: Timestamp,
    after: Option<&Due>,
    limit: usize,
) -> rusqlite::Result<(Vec<Due>, bool)> {
    let mut due = Vec::new();
    if limit == 0 {
        return Ok((due, false));
    }
    let mut statement = connection.prepare_cached(&sql.due)?;
    let (after_at, after_player) = match after {
        Some(after) => (integer(after.due_at.as_millis())?, after.player_id.as_str()),
        None => (-1, ""),
    };
    // Rows are read as they are asked for: what lies beyond the limit is not.
    let mut rows = statement.query(params![shard, integer(until.as_millis())?, after_at, after_player])?;
    while let Some(row) = rows.next()? {
        if due.len() == limit {
            return Ok((due, true));
        }
        match read_due(row) {
            Ok(Some(found)) => due.push(found),
            Ok(None) => tracing::warn!(shard, "a queue with something due has no valid player id or time"),
            Err(error) if is_of_a_row(&error) => tracing::warn!(shard, %error, "a row of the due index is unreadable"),
            Err(error) => return Err(error),
        }
    }
    Ok((due, false))
}

fn read_due(row: &Row<'_>) -> rusqlite::Result<Option<Due>> {
    let player: String = row.get(0)?;
    let at: i64 = row.get(1)?;
    Ok(PlayerId::new(&player)
        .ok()
        .zip(u64::try_from(at).ok())
        .map(|(player_id, at)| Due { player_id, due_at: Timestamp::from_millis(at) }))
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Puts the rows of one batch in one transaction.
pub(super) fn put(
    connection: &mut Connection,
    sql: &Statements,
    table: Table,
    documents: &[Document],
) -> rusqlite::Result<()> {
    let Some(put) = sql.put(table) else { return Ok(()) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached(put)?;
        for row in documents {
            match &row.sort {
                Some(sort) => statement.execute(params![row.partition, sort, row.json, row.expires_at])?,
                None => statement.execute(params![row.partition, row.json])?,
            };
        }
    }
    transaction.commit()
}

/// Which page of a partition to read.
pub(super) struct PageOf {
    pub(super) table: Table,
    pub(super) partition: String,
    pub(super) limit: usize,
    pub(super) after: Option<String>,
    pub(super) now_s: i64,
}

/// Reads a page, newest first. A row that cannot be read is left out and logged, so that it does not
/// hide all that are older.
pub(super) fn page<T: DeserializeOwned>(
    connection: &Connection,
    sql: &Statements,
    of: &PageOf,
) -> rusqlite::Result<Page<T>> {
    let mut page = Page { items: Vec::new(), next: None };
    let Some(sorted) = sql.sorted(of.table) else { return Ok(page) };
    let name = sql.name(of.table);
    // One more than asked for tells whether anything follows.
    let limit = rows_limit(of.limit.saturating_add(1));
    let mut statement = connection.prepare_cached(if of.after.is_some() { &sorted.after } else { &sorted.newest })?;
    let mut rows = match &of.after {
        Some(after) => statement.query(params![of.partition, of.now_s, limit, after])?,
        None => statement.query(params![of.partition, of.now_s, limit])?,
    };
    let (mut read, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if read == of.limit {
            page.next = last;
            break;
        }
        read += 1;
        let key: String = row.get(0)?;
        match row.get::<_, String>(1).map(|document| parse(&document, &name)) {
            Ok(Ok(item)) => page.items.push(item),
            Ok(Err(error)) => tracing::error!(partition = of.partition, key, %error, "a row is left out"),
            Err(error) if is_of_a_row(&error) => {
                tracing::error!(table = name, partition = of.partition, key, %error, "a row is left out");
            }
            Err(error) => return Err(error),
        }
        last = Some(key);
    }
    Ok(page)
}

/// Removes at most `limit` expired rows of each table; returns whether more may be left. Takes the
/// write lock only where something has expired.
pub(super) fn purge(connection: &Connection, sql: &Statements, now_s: i64, limit: usize) -> rusqlite::Result<bool> {
    let mut more = false;
    for sorted in [Table::History, Table::Rejections].into_iter().filter_map(|table| sql.sorted(table)) {
        if connection.prepare_cached(&sorted.expired)?.exists(params![now_s])? {
            let removed = connection.prepare_cached(&sorted.purge)?.execute(params![now_s, rows_limit(limit)])?;
            more |= removed == limit;
        }
    }
    Ok(more)
}
