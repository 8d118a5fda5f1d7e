//! Opening the file: its folder, its journal, its schema. Several processes may do so at once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    error::{OpenError, from_sqlite, is_busy},
    statements::{OBJECTS, Statements},
};
use crate::error::StoreError;

/// The schema that this build writes, and the newest that it knows: SQLite's `user_version`.
pub const SCHEMA_VERSION: i64 = 1;
/// Marks a file as one of Millrace: SQLite's `application_id`, "Mill" in ASCII.
pub const APPLICATION_ID: i32 = 0x4d69_6c6c;

/// Longest prefix, in characters.
const MAX_PREFIX_LENGTH: usize = 128;
/// How many statements a connection keeps prepared: all there are.
const CACHED_STATEMENTS: usize = 32;

/// What an attempt to prepare a file came to, unless it went well.
enum Failure {
    Sqlite(rusqlite::Error),
    Refused(OpenError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks that the tables' names can be quoted, and that SQLite does not keep them for itself.
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

/// Makes the file ready: its folder, the file, the WAL journal, the tables. Waits for other processes
/// that do the same, up to `timeout`. Does nothing to a file that is ready.
pub(super) fn prepare(path: &Path, sql: &Statements, timeout: Duration) -> Result<(), OpenError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| OpenError::Folder { path: folder.to_owned(), detail: error.to_string() })?;
    }
    let deadline = Instant::now() + timeout;
    loop {
        match attempt(path, sql, timeout) {
            Ok(()) => return Ok(()),
            // Switching the journal and recovering it after a crash fail at once where another process
            // does the same, however long the busy time-out.
            Err(Failure::Sqlite(error)) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(fastrand::u64(2..20)));
            }
            Err(Failure::Sqlite(error)) => {
                return Err(OpenError::Store { path: path.to_owned(), source: from_sqlite(&error, "sqlite_master") });
            }
            Err(Failure::Refused(error)) => return Err(error),
        }
    }
}

fn attempt(path: &Path, sql: &Statements, timeout: Duration) -> Result<(), Failure> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(timeout)?;
    // In one transaction: another process may be creating the tables.
    let ready = check_schema(&*connection.transaction()?, path)?;
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let journal = match journal.as_str() {
        "wal" => journal,
        _ => connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?,
    };
    if journal != "wal" {
        let detail = format!("no write-ahead log is possible there (journal mode {journal}); allowed: a local disk");
        let source = StoreError::Unavailable { detail };
        return Err(Failure::Refused(OpenError::Store { path: path.to_owned(), source }));
    }
    if ready && connection.query_row(&sql.count_objects, [], |row| row.get::<_, i64>(0))? == OBJECTS {
        return Ok(());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first, and may have been of a newer version.
    check_schema(&transaction, path)?;
    transaction.execute_batch(&sql.create)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

/// Whether the file has this schema; false for an empty file.
fn check_schema(connection: &Connection, path: &Path) -> Result<bool, Failure> {
    let (application, version, objects) = read_schema(connection)?;
    match application {
        APPLICATION_ID if version <= SCHEMA_VERSION => Ok(version == SCHEMA_VERSION),
        APPLICATION_ID => Err(Failure::Refused(OpenError::NewerSchema {
            path: path.to_owned(),
            found: version,
            known: SCHEMA_VERSION,
        })),
        0 if version == 0 && objects == 0 => Ok(false),
        found => Err(Failure::Refused(OpenError::NotOurs { path: path.to_owned(), found })),
    }
}

fn read_schema(connection: &Connection) -> rusqlite::Result<(i32, i64, i64)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let objects = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok((application, version, objects))
}

/// Makes a connection of the pool ready. The text says why the file must not be used (any more): a
/// newer process may have changed its schema, or somebody may have taken it away.
pub(super) fn configure(connection: &Connection, timeout: Duration) -> rusqlite::Result<Result<(), String>> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.busy_timeout(timeout)?;
    // A commit returns when the log is on the disk: what is acknowledged survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let (application, version, _) = read_schema(connection)?;
    Ok(match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(()),
        (APPLICATION_ID, version) => {
            Err(format!("the file has schema {version} now, and this version knows schema {SCHEMA_VERSION}"))
        }
        _ => Err("the file is no database of Millrace any more".to_owned()),
    })
}
