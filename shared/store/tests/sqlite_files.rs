//! Files of the embedded store: opening, schemas, damage, closing.

mod common;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use millrace_domain::{Record, Timestamp, record::Table};
use millrace_store::{
    CommitError, QueueStore, QueueWrite, RecordStore, Store, StoreError,
    conformance::sample,
    sqlite::{APPLICATION_ID, OpenError, SCHEMA_VERSION, SqliteSettings, SqliteStore},
};
use rusqlite::Connection;

use common::{FILE, folder, open, other};

fn prefixed(prefix: &str) -> SqliteSettings {
    SqliteSettings { prefix: prefix.to_owned(), ..SqliteSettings::default() }
}

fn header(connection: &Connection) -> (i32, i64, String) {
    let get = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap();
    let journal = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    (get("application_id") as i32, get("user_version"), journal)
}

#[tokio::test]
async fn a_file_and_its_folder_are_made() {
    let folder = folder();
    let path = folder.path().join("a/b/store.db");
    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
    assert_eq!(store.ping().await, Ok(()));
    let connection = Connection::open(&path).unwrap();
    assert_eq!(header(&connection), (APPLICATION_ID, SCHEMA_VERSION, "wal".to_owned()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let path = folder.path().join("file/sub/store.db");
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");

    // A folder in the place of the file.
    let error = SqliteStore::open(folder.path(), SqliteSettings::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(folder.path().to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

#[tokio::test]
async fn settings_that_are_not_allowed_are_named() {
    let folder = folder();
    let path = folder.path().join(FILE);
    for prefix in ["a\"b", "a b", "sqlite_x", "SQLite_", "ä", "a;b", &"x".repeat(129)] {
        let error = SqliteStore::open(&path, prefixed(prefix)).await.unwrap_err();
        assert!(matches!(error, OpenError::Setting { setting: "table prefix", .. }), "{prefix}: {error:?}");
    }
    let none = SqliteSettings { max_connections: 0, ..SqliteSettings::default() };
    let error = SqliteStore::open(&path, none).await.unwrap_err();
    assert_eq!(error.to_string(), "database connections: `0` is not allowed; allowed: 1 or more");
    assert!(SqliteStore::open(Path::new(""), SqliteSettings::default()).await.is_err());
    assert!(!path.exists(), "a refused setting makes no file");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    store.close().await;
    other(&folder).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let before = std::fs::read(folder.path().join(FILE)).unwrap();
    let error = SqliteStore::open(folder.path().join(FILE), prefixed("new.")).await.unwrap_err();
    match &error {
        OpenError::NewerSchema { found, known, .. } => assert_eq!((*found, *known), (2, 1)),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("deploy the newer version again"), "{error}");
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), before);
}

#[tokio::test]
async fn a_process_that_is_running_notices_a_newer_schema_with_its_next_connection() {
    let folder = folder();
    let settings = SqliteSettings { idle_timeout: Duration::ZERO, ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    other(&folder).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join(FILE);
    other(&folder).execute_batch("CREATE TABLE accounts (id INTEGER PRIMARY KEY)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { found: 0, .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    other(&folder).pragma_update(None, "application_id", 42).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { found: 42, .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_gives_a_clear_error() {
    let folder = folder();
    let path = folder.path().join(FILE);
    std::fs::write(&path, "this is no database, however long it may be. ".repeat(100)).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err().to_string();
    assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    assert!(error.contains("the file is not an SQLite database"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_gives_a_clear_error() {
    let folder = folder();
    let path = folder.path().join(FILE);
    let player = sample::player();
    let store = open(&folder, SqliteSettings::default()).await;
    let write = QueueWrite { queue: vec![7; 100_000], ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    store.close().await;
    drop(store);
    // The header and the schema stay, all other pages are overwritten.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = match SqliteStore::open(&path, SqliteSettings::default()).await {
        Err(error) => error.to_string(),
        Ok(store) => store.load(&[player], &[]).await.queues.remove(0).unwrap_err().to_string(),
    };
    assert!(error.contains("the file is damaged"), "{error}");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let folder = folder();
    let store = open(&folder, prefixed("p-")).await;
    let player = sample::player();
    other(&folder).execute_batch(r#"DROP TABLE "p-queues"; DROP TABLE "p-history""#).unwrap();
    let missing = |table: &str| StoreError::NoSuchTable { table: table.to_owned() };
    let ids = [player.clone()];
    let loaded = store.load(&ids, &ids).await;
    assert_eq!((&loaded.queues[0], &loaded.progress[0]), (&Err(missing("p-queues")), &Ok(None)));
    let outcomes = store.commit(&[sample::write(&player, 0)]).await.outcomes;
    assert_eq!(outcomes, vec![Err(CommitError::Store(missing("p-queues")))]);
    assert_eq!(store.history(&player, 1, None).await, Err(missing("p-history")));
    let record = Record::History(Box::new(sample::history(&player, "t-1", sample::now())));
    assert_eq!(store.write(Table::History, &[record]).await, Err(missing("p-history")));
    // Opening makes what is missing, and leaves the rest.
    let reopened = open(&folder, prefixed("p-")).await;
    assert_eq!(reopened.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn a_prefix_keeps_two_sets_of_tables_apart() {
    let folder = folder();
    let (one, two) = (open(&folder, prefixed("one-")).await, open(&folder, prefixed("two.")).await);
    let player = sample::player();
    let ids = [player.clone()];
    assert_eq!(one.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
    assert_eq!(one.write(Table::Stats, &[Record::Stats(sample::stats(&player, 1))]).await, Ok(vec![]));
    assert_eq!(two.load(&ids, &[]).await.queues, vec![Ok(None)]);
    assert_eq!(two.stats(&player).await, Ok(None));
    assert_eq!(two.commit(&[sample::write(&player, 0)]).await.outcomes, vec![Ok(())]);
}

#[tokio::test]
async fn rows_survive_closing_and_closing_empties_the_log() {
    let folder = folder();
    let player = sample::player();
    let write = QueueWrite { outbox: Some(b"outbox".to_vec()), ..sample::write(&player, 0) };
    let store = open(&folder, SqliteSettings::default()).await;
    assert_eq!(store.commit(std::slice::from_ref(&write)).await.outcomes, vec![Ok(())]);
    store.close().await;
    let log = std::fs::metadata(folder.path().join(format!("{FILE}-wal"))).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the log is moved into the file");
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");

    let store = open(&folder, SqliteSettings::default()).await;
    let row = store.load(&[player], &[]).await.queues.remove(0).unwrap().unwrap();
    assert_eq!((row.version, row.queue, row.outbox), (1, write.queue, write.outbox));
}

#[test]
fn a_store_may_be_dropped_after_its_runtime() {
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(open(&folder, SqliteSettings::default()));
    drop(runtime);
    drop(store);
}

#[tokio::test]
async fn opening_does_not_wait_for_a_writer() {
    let folder = folder();
    let settings = SqliteSettings { history_retention: Duration::from_secs(1), ..SqliteSettings::default() };
    let store = open(&folder, settings.clone()).await;
    let expired = sample::history(&sample::player(), "t-1", Timestamp::from_millis(1000));
    assert_eq!(store.write(Table::History, &[Record::History(Box::new(expired))]).await, Ok(vec![]));
    let lock = other(&folder);
    lock.execute(r#"UPDATE history SET "expiresAt" = 1"#, []).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    open(&folder, settings).await;
    assert!(started.elapsed() < Duration::from_secs(2), "expired rows can wait: {:?}", started.elapsed());
}
