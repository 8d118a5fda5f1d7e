//! Reads and writes queues on one connection, on a thread that may block.

use millrace_domain::{PlayerId, Timestamp, record::Table};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    error::{from_sqlite, is_row_error},
    tables::Tables,
};
use crate::{
    error::{CommitError, StoreError},
    port::{DueQueue, QueueRow, QueueWrite, ScanPage, ScannedQueue, due_shard},
    rules,
};

/// Loads one queue row.
pub(super) fn load_queue(
    connection: &Connection,
    tables: &Tables,
    player: &PlayerId,
) -> Result<Option<QueueRow>, StoreError> {
    let name = tables.name(Table::Queues);
    let sql = format!(r#"SELECT "version", "queue", "outbox", "dueAt" FROM "{name}" WHERE "playerId" = ?1"#);
    let row = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row(params![player.as_str()], read_row).optional());
    row.map_err(|error| from_sqlite(&error, &name))
}

/// Reads the columns version, queue, outbox and due moment.
fn read_row(row: &Row<'_>) -> rusqlite::Result<QueueRow> {
    let version: i64 = row.get(0)?;
    let version = u64::try_from(version).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, version))?;
    // A row whose `dueAt` is not a number is not in the index.
    let due_at = row.get_ref(3)?.as_i64().ok().and_then(|millis| u64::try_from(millis).ok());
    let due_at = due_at.map(Timestamp::from_millis);
    Ok(QueueRow { version, queue: row.get(1)?, outbox: row.get(2)?, due_at })
}

/// Reads some rows in the order of the players, and where the next ones begin.
pub(super) fn scan(connection: &Connection, tables: &Tables, after: &str, limit: usize) -> rusqlite::Result<ScanPage> {
    let name = tables.name(Table::Queues);
    let mut statement = connection.prepare_cached(&format!(
        r#"SELECT "version", "queue", NULL, "dueAt", "playerId" FROM "{name}"
           WHERE "playerId" > ?1 ORDER BY "playerId""#
    ))?;
    let mut rows = statement.query([after])?;
    let mut page = ScanPage { queues: Vec::new(), next: None, calls: 1 };
    let (mut read, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if read == limit {
            page.next = last;
            return Ok(page);
        }
        read += 1;
        let player: String = row.get(4)?;
        match PlayerId::new(&player) {
            Ok(player_id) => {
                page.queues
                    .push(ScannedQueue { player_id, row: read_row(row).map_err(|error| from_sqlite(&error, &name)) });
            }
            Err(error) => tracing::error!(table = name, %error, "a row with an invalid player id is omitted"),
        }
        last = Some(player);
    }
    Ok(page)
}

/// Commits queues in one transaction. Returns the outcome of each write, or the error of the whole
/// transaction.
pub(super) fn commit(
    connection: &mut Connection,
    tables: &Tables,
    writes: &[QueueWrite],
) -> rusqlite::Result<Vec<Result<(), CommitError>>> {
    let name = tables.name(Table::Queues);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        outcomes.push(match rules::check_queue(&name, write) {
            Ok(()) if commit_one(&transaction, &name, write)? => Ok(()),
            Ok(()) => Err(CommitError::Conflict),
            Err(error) => Err(error.into()),
        });
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Writes a queue if its row has the expected version; returns whether it had. `name` is the name
/// of the table with its prefix.
fn commit_one(connection: &Connection, name: &str, write: &QueueWrite) -> rusqlite::Result<bool> {
    let player = write.player_id.as_str();
    let (queue, outbox) = (write.queue.as_slice(), write.outbox.as_deref());
    let shard = write.due_at.map(|_| due_shard(&write.player_id));
    let due_at = write.due_at.map(|at| integer(at.as_millis())).transpose()?;
    let version = integer(write.version)?;
    let changed = if write.expected == 0 {
        let sql = format!(
            r#"INSERT INTO "{name}" ("playerId", "version", "queue", "outbox", "dueShard", "dueAt")
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"#
        );
        connection.prepare_cached(&sql)?.execute(params![player, version, queue, outbox, shard, due_at])?
    } else {
        let sql = format!(
            r#"UPDATE "{name}" SET "version" = ?2, "queue" = ?3, "outbox" = ?4, "dueShard" = ?5, "dueAt" = ?6
               WHERE "playerId" = ?1 AND "version" = ?7"#
        );
        let expected = integer(write.expected)?;
        connection.prepare_cached(&sql)?.execute(params![player, version, queue, outbox, shard, due_at, expected])?
    };
    Ok(changed == 1)
}

/// Converts to SQLite's integers, which end at 2^63-1.
fn integer(value: u64) -> rusqlite::Result<i64> {
    i64::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The page of the due index to read.
#[derive(Debug, Clone)]
pub(super) struct DueQuery {
    pub(super) shard: u8,
    pub(super) until: Timestamp,
    pub(super) after: Option<DueQueue>,
    pub(super) limit: usize,
}

/// Reads a shard of the due index, and whether more queues follow. An unreadable row is logged and
/// omitted, so that it does not block the others.
pub(super) fn due(
    connection: &Connection,
    tables: &Tables,
    query: &DueQuery,
) -> rusqlite::Result<(Vec<DueQueue>, bool)> {
    let DueQuery { shard, until, after, limit } = query;
    let mut due = Vec::new();
    if *limit == 0 {
        return Ok((due, false));
    }
    // Rows are read one by one, so the statement needs no limit.
    let mut statement = connection.prepare_cached(&format!(
        r#"SELECT "playerId", "dueAt" FROM "{}"
           WHERE "dueShard" = ?1 AND "dueAt" IS NOT NULL AND "dueAt" <= ?2
           AND ("dueAt", "playerId") > (?3, ?4) ORDER BY "dueAt", "playerId""#,
        tables.name(Table::Queues)
    ))?;
    let (after_at, after_player) = match after {
        Some(after) => (integer(after.due_at.as_millis())?, after.player_id.as_str()),
        None => (-1, ""),
    };
    let mut rows = statement.query(params![shard, integer(until.as_millis())?, after_at, after_player])?;
    while let Some(row) = rows.next()? {
        if due.len() == *limit {
            return Ok((due, true));
        }
        match read_due(row) {
            Ok(Some(queue)) => due.push(queue),
            Ok(None) => tracing::warn!(shard, "a row of the due index has an invalid player id or time"),
            Err(error) if is_row_error(&error) => tracing::warn!(shard, %error, "a row of the due index is unreadable"),
            Err(error) => return Err(error),
        }
    }
    Ok((due, false))
}

fn read_due(row: &Row<'_>) -> rusqlite::Result<Option<DueQueue>> {
    let player: String = row.get(0)?;
    let at: i64 = row.get(1)?;
    Ok(PlayerId::new(&player)
        .ok()
        .zip(u64::try_from(at).ok())
        .map(|(player_id, at)| DueQueue { player_id, due_at: Timestamp::from_millis(at) }))
}
