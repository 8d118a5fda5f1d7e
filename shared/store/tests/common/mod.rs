//! What the tests of stores in this crate share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use millrace_store::sqlite::{SqliteSettings, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

/// The name of the database file.
pub const FILE: &str = "millrace.db";

/// An empty folder.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A connection of another program to the file in `folder`.
pub fn other_connection(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join(FILE)).unwrap()
}

/// Opens the file in `folder`.
pub async fn open(folder: &TempDir, settings: SqliteSettings) -> SqliteStore {
    SqliteStore::open(folder.path().join(FILE), settings).await.unwrap()
}
