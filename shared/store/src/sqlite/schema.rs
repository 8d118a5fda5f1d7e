//! Opens the file: its folder, its journal, its schema. Several processes may do so concurrently.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use millrace_domain::record::Table;
use rusqlite::Connection;

use super::{
    error::{OpenError, from_sqlite, is_busy},
    tables::Tables,
};
use crate::error::StoreError;

/// The newest schema that this version supports, and the one that it writes: SQLite's
/// `user_version`.
pub const SCHEMA_VERSION: i64 = 1;
/// Identifies a file of Millrace: SQLite's `application_id`, "Mill" in ASCII.
pub const APPLICATION_ID: i32 = 0x4d69_6c6c;

/// The maximum length of a prefix in characters.
const MAX_PREFIX_LENGTH: usize = 128;
/// The number of statements that a connection keeps prepared; more than there are.
const CACHED_STATEMENTS: usize = 48;

/// The outcome of an attempt to prepare a file: an error of SQLite, or why the file is refused.
type Prepared<T> = rusqlite::Result<Result<T, OpenError>>;

/// Checks that table names with this prefix can be quoted and are not reserved by SQLite.
pub(super) fn check_prefix(prefix: &str) -> Result<(), OpenError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let reserved = prefix.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"));
    if prefix.len() > MAX_PREFIX_LENGTH || !prefix.chars().all(allowed) || reserved {
        return Err(OpenError::Setting {
            setting: "table prefix",
            value: millrace_domain::ids::clip(prefix, MAX_PREFIX_LENGTH),
            allowed: "0 to 128 characters of A-Z a-z 0-9 _ . -, not starting with sqlite_",
        });
    }
    Ok(())
}

/// Creates the folder, the file, the write-ahead log and the tables if they are missing. Waits up
/// to `timeout` for other processes that do the same.
pub(super) fn prepare(path: &Path, tables: &Tables, timeout: Duration) -> Result<(), OpenError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| OpenError::Folder { path: folder.to_owned(), detail: error.to_string() })?;
    }
    let deadline = Instant::now() + timeout;
    loop {
        match try_prepare(path, tables, timeout) {
            Ok(outcome) => return outcome,
            // The busy time-out does not apply to three steps: changing the journal mode,
            // recovering the log after a crash, and writing in a transaction that has read. They
            // fail at once if another process does the same.
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(fastrand::u64(2..20)));
            }
            Err(error) => {
                return Err(OpenError::Store { path: path.to_owned(), source: from_sqlite(&error, "sqlite_master") });
            }
        }
    }
}

fn try_prepare(path: &Path, tables: &Tables, timeout: Duration) -> Prepared<()> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(timeout)?;
    // In one transaction, because another process may be creating the tables.
    if let Err(refused) = check_schema(&*connection.transaction()?, path)? {
        return Ok(Err(refused));
    }
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let journal = match journal.as_str() {
        "wal" => journal,
        _ => connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?,
    };
    if journal != "wal" {
        let detail = format!(
            "the file system does not support a write-ahead log (journal mode {journal}); allowed: a local disk"
        );
        let source = StoreError::Unavailable { detail };
        return Ok(Err(OpenError::Store { path: path.to_owned(), source }));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The transaction takes the write lock only if something is missing.
    let transaction = connection.transaction()?;
    // Another process may have created the tables meanwhile, also with a newer schema.
    let is_ready = match check_schema(&transaction, path)? {
        Ok(is_ready) => is_ready,
        Err(refused) => return Ok(Err(refused)),
    };
    transaction.execute_batch(&create_sql(tables))?;
    if !is_ready {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit().map(Ok)
}

/// The statements that create the tables.
///
/// Queue rows have kilobytes, so the table has a rowid and a small index of the keys. Without a
/// rowid, rows of 1.5 KB took twice the pages and several times as long to insert and read. The
/// other rows are small, so they are stored in the order of their keys: a lookup needs one search,
/// and the rows of a page are adjacent.
fn create_sql(tables: &Tables) -> String {
    let queues = tables.name(Table::Queues);
    let mut sql = format!(
        r#"CREATE TABLE IF NOT EXISTS "{queues}" (
            "playerId" TEXT NOT NULL PRIMARY KEY,
            "version" INTEGER NOT NULL,
            "dueShard" INTEGER,
            "dueAt" INTEGER,
            "queue" BLOB NOT NULL,
            "outbox" BLOB);
        CREATE INDEX IF NOT EXISTS "{queues}.due" ON "{queues}" ("dueShard", "dueAt", "playerId")
            WHERE "dueAt" IS NOT NULL;"#
    );
    let (performance, thresholds) = (tables.performance(), tables.thresholds());
    sql += &format!(
        r#"CREATE TABLE IF NOT EXISTS "{performance}" (
            "minute" INTEGER NOT NULL,
            "slot" INTEGER NOT NULL,
            "amount" INTEGER NOT NULL,
            PRIMARY KEY ("minute", "slot")) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS "{thresholds}" (
            "threshold" TEXT NOT NULL PRIMARY KEY,
            "state" TEXT NOT NULL) WITHOUT ROWID;"#
    );
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Queues) {
        let name = tables.name(table);
        sql += &match table.sort_key() {
            Some(sort) => format!(
                r#"CREATE TABLE IF NOT EXISTS "{name}" (
                    "playerId" TEXT NOT NULL,
                    "{sort}" TEXT NOT NULL,
                    "expiresAt" INTEGER NOT NULL,
                    "document" TEXT NOT NULL,
                    PRIMARY KEY ("playerId", "{sort}")) WITHOUT ROWID;
                CREATE INDEX IF NOT EXISTS "{name}.expiry" ON "{name}" ("expiresAt");"#
            ),
            None => format!(
                r#"CREATE TABLE IF NOT EXISTS "{name}" (
                    "playerId" TEXT NOT NULL PRIMARY KEY,
                    "document" TEXT NOT NULL) WITHOUT ROWID;"#
            ),
        };
    }
    sql
}

/// Returns whether the file has the current schema; false for an empty file.
fn check_schema(connection: &Connection, path: &Path) -> Prepared<bool> {
    let (application, version, objects) = read_schema(connection)?;
    let path = path.to_owned();
    Ok(match application {
        APPLICATION_ID if version <= SCHEMA_VERSION => Ok(version == SCHEMA_VERSION),
        APPLICATION_ID => Err(OpenError::NewerSchema { path, found: version, supported: SCHEMA_VERSION }),
        0 if version == 0 && objects == 0 => Ok(false),
        found => Err(OpenError::OtherProgram { path, found }),
    })
}

fn read_schema(connection: &Connection) -> rusqlite::Result<(i32, i64, i64)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let objects = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok((application, version, objects))
}

/// Prepares a new connection of the pool. The text says why the file must not be used any more:
/// a newer process may have changed its schema, or the file may have been replaced.
pub(super) fn configure(connection: &Connection, timeout: Duration) -> rusqlite::Result<Result<(), String>> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.busy_timeout(timeout)?;
    // A commit returns after the log is on the disk, so that it survives a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let (application, version, _) = read_schema(connection)?;
    Ok(match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(()),
        (APPLICATION_ID, version) => {
            Err(format!("the file has schema {version} now, and this version supports schema {SCHEMA_VERSION}"))
        }
        _ => Err("the file is not a database of Millrace any more".to_owned()),
    })
}
