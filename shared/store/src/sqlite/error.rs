//! Errors of SQLite, of the pool and of the file system.

use std::{path::PathBuf, time::Duration};

use deadpool_sqlite::{HookError, InteractError, PoolError};
use rusqlite::ErrorCode;

use crate::error::StoreError;

/// The error of a file that was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting has a value that is not allowed.
    #[error("{setting}: `{value}` is not allowed; allowed: {allowed}")]
    Setting {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// The folder of the file does not exist and cannot be created.
    #[error("the folder {} cannot be created: {detail}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The message of the system.
        detail: String,
    },
    /// The file is a database of another program.
    #[error("{} is a database of another program (application id {found:#010x}); nothing was changed", path.display())]
    OtherProgram {
        /// The file.
        path: PathBuf,
        /// The application id in the file.
        found: i32,
    },
    /// The file was written by a newer version of Millrace.
    #[error(
        "{} has schema {found}, and this version supports schemas up to {supported}: deploy the newer version again; \
         nothing was changed",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: i64,
        /// The newest schema that this version supports.
        supported: i64,
    },
    /// SQLite failed.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// The error.
        source: StoreError,
    },
}

/// The error of a statement on `table`.
pub(super) fn from_sqlite(error: &rusqlite::Error, table: &str) -> StoreError {
    let table = table.to_owned();
    let detail = error.to_string();
    if let Some(found) = detail.strip_prefix("no such table: ") {
        // "main.name", and " in <the statement> at offset <n>" if the library adds it.
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
        None if is_row_error(error) => StoreError::Unreadable { table, detail },
        None => StoreError::Unavailable { detail },
    }
}

/// Whether another process holds a lock.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether a value of a row has an unexpected type.
pub(super) fn is_row_error(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// An error of the pool, whose time-outs are `timeout`.
pub(super) fn from_pool(error: &PoolError, table: &str, timeout: Duration) -> StoreError {
    match error {
        PoolError::Timeout(_) => StoreError::timed_out(timeout),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => from_sqlite(error, table),
        PoolError::PostCreateHook(HookError::Message(detail)) => StoreError::unavailable(detail.to_string()),
        PoolError::Closed => StoreError::unavailable("the store is closed"),
        PoolError::NoRuntimeSpecified => StoreError::unavailable(error.to_string()),
    }
}

/// An error of the thread that runs the work.
pub(super) fn from_interact(error: &InteractError) -> StoreError {
    StoreError::unavailable(format!("the work on the connection was aborted: {error}"))
}

fn unavailable(cause: &str, detail: &str) -> StoreError {
    StoreError::unavailable(format!("{cause} ({detail})"))
}
