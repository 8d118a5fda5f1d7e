//! What SQLite, the pool and the file system report, as errors of the store.

use std::{path::PathBuf, time::Duration};

use deadpool_sqlite::{HookError, InteractError, PoolError};
use rusqlite::ErrorCode;

use crate::error::StoreError;

/// A file that was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting that is not allowed.
    #[error("{setting}: `{value}` is not allowed; allowed: {allowed}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What would be allowed.
        allowed: &'static str,
    },
    /// The folder of the file does not exist and cannot be made.
    #[error("the folder {} cannot be made: {detail}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Another program's database.
    #[error("{} is a database of another program (application id {found:#010x}); nothing was changed", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The application id that it carries.
        found: i32,
    },
    /// WriteResponse by a newer version of Millrace.
    #[error(
        "{} has schema {found}, and this version knows schemas up to {known}: deploy the newer version again; nothing was changed",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// SQLite failed.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: StoreError,
    },
}

/// An error of SQLite in a statement on `table`.
pub(super) fn from_sqlite(error: &rusqlite::Error, table: &str) -> StoreError {
    let table = table.to_owned();
    let detail = error.to_string();
    if let Some(found) = detail.strip_prefix("no such table: ") {
        // "main.name", and " in <the statement> at offset <n>" where the library adds it.
        let found = found.split(" in ").next().unwrap_or(found);
        return StoreError::NoSuchTable { table: found.strip_prefix("main.").unwrap_or(found).to_owned() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Throttled { table },
        Some(ErrorCode::NotADatabase) => unavailable("the file is not an SQLite database", &detail),
        Some(ErrorCode::DatabaseCorrupt) => unavailable("the file is damaged", &detail),
        Some(ErrorCode::DiskFull) => unavailable("no space is left on the disk", &detail),
        Some(ErrorCode::ReadOnly) => unavailable("the file cannot be written", &detail),
        Some(ErrorCode::CannotOpen) => unavailable("the file cannot be opened", &detail),
        Some(ErrorCode::PermissionDenied) => StoreError::AccessDenied { detail },
        Some(_) => StoreError::Unavailable { detail },
        None if is_of_a_row(error) => StoreError::Unreadable { table, detail },
        None => StoreError::Unavailable { detail },
    }
}

/// Whether waiting a little may help.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether the error says that a value of a row has another shape than it should.
pub(super) fn is_of_a_row(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// An error of the pool; `wait` is the longest that it waits.
pub(super) fn from_pool(error: &PoolError, table: &str, wait: Duration) -> StoreError {
    match error {
        PoolError::Timeout(_) => timed_out(wait),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => from_sqlite(error, table),
        PoolError::PostCreateHook(HookError::Message(detail)) => StoreError::Unavailable { detail: detail.to_string() },
        PoolError::Closed => StoreError::Unavailable { detail: "the store is closed".to_owned() },
        PoolError::NoRuntimeSpecified => StoreError::Unavailable { detail: error.to_string() },
    }
}

/// An error of the thread that does the work.
pub(super) fn from_interact(error: &InteractError) -> StoreError {
    StoreError::Unavailable { detail: format!("the work on the connection was cut short: {error}") }
}

/// No answer within `wait`.
pub(super) fn timed_out(wait: Duration) -> StoreError {
    StoreError::TimedOut { millis: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }
}

fn unavailable(what: &str, detail: &str) -> StoreError {
    StoreError::Unavailable { detail: format!("{what} ({detail})") }
}
