//! Files of the embedded store: opening, schemas, damage, closing.

mod common;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use millrace_domain::{Record, Timestamp, record::Table};
use millrace_store::{
    CommitError, QueueStore, QueueWrite, RecordStore, Retention, Store, StoreError,
    conformance::{load_queue, sample, write_records},
    sqlite::{APPLICATION_ID, OpenError, SCHEMA_VERSION, SqliteSettings, SqliteStore},
};
use rusqlite::Connection;

use common::{FILE, folder, open, other_connection};

fn prefixed(prefix: &str) -> SqliteSettings {
    SqliteSettings { prefix: prefix.to_owned(), ..SqliteSettings::default() }
}

fn header(connection: &Connection) -> (i32, i64, String) {
    let get = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap();
    let journal = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    (get("application_id") as i32, get("user_version"), journal)
}

#[tokio::test]
async fn file_and_its_folder_are_created() {
    let folder = folder();
    let path = folder.path().join("a/b/store.db");
    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
    assert_eq!(store.ping().await, Ok(()));
    let connection = Connection::open(&path).unwrap();
    assert_eq!(header(&connection), (APPLICATION_ID, SCHEMA_VERSION, "wal".to_owned()));
}

#[tokio::test]
async fn error_names_a_folder_that_cannot_be_created() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let path = folder.path().join("file/sub/store.db");
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");

    // The path is that of a folder.
    let error = SqliteStore::open(folder.path(), SqliteSettings::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(folder.path().to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

#[tokio::test]
async fn error_names_a_setting_that_is_not_allowed() {
    let folder = folder();
    let path = folder.path().join(FILE);
    for prefix in ["a\"b", "a b", "sqlite_x", "SQLite_", "ä", "a;b", &"x".repeat(129)] {
        let error = SqliteStore::open(&path, prefixed(prefix)).await.unwrap_err();
        assert!(matches!(error, OpenError::Setting { setting: "table prefix", .. }), "{prefix}: {error:?}");
    }
    assert!(SqliteStore::open(Path::new(""), SqliteSettings::default()).await.is_err());
    assert!(!path.exists(), "no file is created");
}

#[tokio::test]
async fn file_of_a_newer_schema_is_refused_and_unchanged() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    store.close().await;
    other_connection(&folder).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let before = std::fs::read(folder.path().join(FILE)).unwrap();
    let error = SqliteStore::open(folder.path().join(FILE), prefixed("new.")).await.unwrap_err();
    match &error {
        OpenError::NewerSchema { found, supported, .. } => assert_eq!((*found, *supported), (2, 1)),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("deploy the newer version again"), "{error}");
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), before);
}

#[tokio::test]
async fn new_connection_detects_a_newer_schema() {
    let folder = folder();
    let settings = SqliteSettings { idle_timeout: Duration::ZERO, ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    other_connection(&folder).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
}

#[tokio::test]
async fn database_of_another_program_is_refused_and_unchanged() {
    let folder = folder();
    let path = folder.path().join(FILE);
    other_connection(&folder).execute_batch("CREATE TABLE accounts (id INTEGER PRIMARY KEY)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherProgram { found: 0, .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    other_connection(&folder).pragma_update(None, "application_id", 42).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherProgram { found: 42, .. }), "{error:?}");
}

#[tokio::test]
async fn error_names_a_file_that_is_not_a_database() {
    let folder = folder();
    let path = folder.path().join(FILE);
    std::fs::write(&path, "this is not a database. ".repeat(100)).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err().to_string();
    assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    assert!(error.contains("the file is not an SQLite database"), "{error}");
}

#[tokio::test]
async fn error_says_that_a_file_is_damaged() {
    let folder = folder();
    let path = folder.path().join(FILE);
    let player = sample::player();
    let store = open(&folder, SqliteSettings::default()).await;
    let write = QueueWrite { queue: vec![7; 100_000], ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    store.close().await;
    drop(store);
    // Overwrites all pages but the first, which has the header and the schema.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = match SqliteStore::open(&path, SqliteSettings::default()).await {
        Err(error) => error.to_string(),
        Ok(store) => load_queue(&store, &player).await.unwrap_err().to_string(),
    };
    assert!(error.contains("the file is damaged"), "{error}");
}

#[tokio::test]
async fn error_names_a_missing_table() {
    let folder = folder();
    let store = open(&folder, prefixed("p-")).await;
    let player = sample::player();
    other_connection(&folder).execute_batch(r#"DROP TABLE "p-queues"; DROP TABLE "p-history""#).unwrap();
    let missing = |table: &str| StoreError::NoSuchTable { table: table.to_owned() };
    let ids = [player.clone()];
    let mut loaded = store.load(&ids, &ids, &[]).await;
    assert_eq!(loaded.take_queue(&player), Err(missing("p-queues")));
    assert_eq!(loaded.take_progress(&player), Ok(None));
    let outcomes = store.commit(&[sample::write(&player, 0)]).await.outcomes;
    assert_eq!(outcomes, vec![Err(CommitError::Store(missing("p-queues")))]);
    assert_eq!(store.history(&player, 1, None).await, Err(missing("p-history")));
    let record = Record::History(Box::new(sample::history(&player, "t-1", sample::now())));
    assert_eq!(write_records(&store, Table::History, &[record]).await, Err(missing("p-history")));
    // Opening the file creates missing tables.
    let reopened = open(&folder, prefixed("p-")).await;
    assert_eq!(reopened.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn tables_of_different_prefixes_are_independent() {
    let folder = folder();
    let (one, two) = (open(&folder, prefixed("one-")).await, open(&folder, prefixed("two.")).await);
    let player = sample::player();
    assert_eq!(one.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
    assert_eq!(write_records(&one, Table::Stats, &[Record::Stats(sample::stats(&player, 1))]).await, Ok(vec![]));
    assert_eq!(load_queue(&two, &player).await, Ok(None));
    assert_eq!(two.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player), Ok(None));
    assert_eq!(two.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn closing_keeps_rows_and_empties_the_log() {
    let folder = folder();
    let player = sample::player();
    let write = QueueWrite { outbox: Some(b"outbox".to_vec()), ..sample::write(&player, 0) };
    let store = open(&folder, SqliteSettings::default()).await;
    assert_eq!(store.commit(std::slice::from_ref(&write)).await.outcomes, vec![Ok(())]);
    store.close().await;
    let log = std::fs::metadata(folder.path().join(format!("{FILE}-wal"))).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the log is not moved into the file");
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");

    let store = open(&folder, SqliteSettings::default()).await;
    let row = load_queue(&store, &player).await.unwrap().unwrap();
    assert_eq!((row.version, row.queue, row.outbox), (1, write.queue, write.outbox));
}

#[test]
fn store_can_be_dropped_after_its_runtime() {
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(open(&folder, SqliteSettings::default()));
    drop(runtime);
    drop(store);
}

#[tokio::test]
async fn opening_does_not_wait_for_the_lock_of_another_process() {
    let folder = folder();
    let retention = Retention { history: Duration::from_secs(1), ..Retention::default() };
    let settings = SqliteSettings { retention, ..SqliteSettings::default() };
    let store = open(&folder, settings.clone()).await;
    let expired = sample::history(&sample::player(), "t-1", Timestamp::from_millis(1000));
    assert_eq!(write_records(&store, Table::History, &[Record::History(Box::new(expired))]).await, Ok(vec![]));
    let lock = other_connection(&folder);
    lock.execute(r#"UPDATE history SET "expiresAt" = 1"#, []).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    open(&folder, settings).await;
    assert!(started.elapsed() < Duration::from_secs(2), "opening waited for the lock: {:?}", started.elapsed());
}
