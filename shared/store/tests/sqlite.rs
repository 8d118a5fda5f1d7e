//! The embedded store beyond the conformance suite: rows, expiry, locks, connections.

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use millrace_domain::{
    Record, Timestamp,
    record::{HistoryRecord, Table},
};
use millrace_store::{
    CommitError, MAX_BATCH_ITEMS, QueueStore, QueueWrite, RecordStore, Retention, Store, StoreError,
    conformance::{load_queue, sample, write_records},
    due_shard,
    sqlite::SqliteSettings,
};

use common::{folder, open, other_connection};

/// The table of an unreadable row; `None` if the row was read.
fn unreadable_table<T: std::fmt::Debug>(row: Result<Option<T>, StoreError>) -> Option<String> {
    match row {
        Ok(Some(_)) => None,
        Err(StoreError::Unreadable { table, .. }) => Some(table),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn damaged_row_does_not_affect_other_rows() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
    for player in &players {
        let row = Record::Progress(sample::progress(player, 5));
        assert_eq!(write_records(&store, Table::Progress, &[row]).await, Ok(vec![]));
    }
    let connection = other_connection(&folder);
    let change = |sql: &str, at: usize| assert_eq!(connection.execute(sql, [players[at].as_str()]).unwrap(), 1);
    change(r#"UPDATE queues SET "version" = -1 WHERE "playerId" = ?1"#, 0);
    change(r#"UPDATE queues SET "queue" = 'text' WHERE "playerId" = ?1"#, 1);
    change(r#"UPDATE progress SET "document" = '{"version": 1}' WHERE "playerId" = ?1"#, 1);
    let mut loaded = store.load(&players, &players, &[]).await;
    let queues = players.iter().map(|player| unreadable_table(loaded.take_queue(player)));
    assert_eq!(queues.collect::<Vec<_>>(), [Some("queues".to_owned()), Some("queues".to_owned()), None]);
    let progress = players.iter().map(|player| unreadable_table(loaded.take_progress(player)));
    assert_eq!(progress.collect::<Vec<_>>(), [None, Some("progress".to_owned()), None]);
}

#[tokio::test]
async fn unreadable_row_does_not_hide_older_history() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let now = sample::now();
    let rows: Vec<_> = (0..4).map(|at| sample::history(&player, &format!("t-{at}"), now + at)).collect();
    let records: Vec<_> = rows.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
    assert_eq!(write_records(&store, Table::History, &records).await, Ok(vec![]));
    let sql = r#"UPDATE history SET "document" = '{' WHERE "finishedAt#sequence" = ?1"#;
    assert_eq!(other_connection(&folder).execute(sql, [rows[2].sort_key()]).unwrap(), 1);
    let page = store.history(&player, 2, None).await.unwrap();
    assert_eq!(page.items, [rows[3].clone()]);
    let page = store.history(&player, 2, page.next.as_deref()).await.unwrap();
    assert_eq!(page.items, [rows[1].clone(), rows[0].clone()]);
}

#[tokio::test]
async fn documents_are_json_without_null_fields() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let row = HistoryRecord { started_at: None, ..sample::history(&player, "t-1", sample::now()) };
    assert_eq!(write_records(&store, Table::History, &[Record::History(Box::new(row.clone()))]).await, Ok(vec![]));
    let sql =
        r#"SELECT "document" ->> '$.taskId', "document" ->> '$.finishedAt', "document", "expiresAt" FROM history"#;
    let (task, finished, document, expires): (String, String, String, i64) = other_connection(&folder)
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap();
    assert_eq!((task.as_str(), finished), ("t-1", row.finished_at.to_string()));
    assert!(!document.contains("null"), "{document}");
    assert!(!document.contains("startedAt"), "{document}");
    let retention = Retention::default().history.as_secs();
    let kept = expires as u64 - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((retention - 60..=retention).contains(&kept), "{kept} s");

    let age = |seconds: i64| {
        other_connection(&folder).execute(r#"UPDATE history SET "expiresAt" = "expiresAt" - ?1"#, [seconds]).unwrap();
        other_connection(&folder)
            .query_row(r#"SELECT "expiresAt" FROM history"#, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let aged = age(100);
    assert_eq!(write_records(&store, Table::History, &[Record::History(Box::new(row))]).await, Ok(vec![]));
    assert_eq!(age(0), aged, "writing the same row again does not renew the expiry");
}

#[tokio::test]
async fn expired_rows_are_omitted_and_deleted_by_the_next_write() {
    let folder = folder();
    let settings = SqliteSettings {
        retention: Retention {
            history: Duration::from_secs(3600),
            rejections: Duration::from_secs(60),
            ..Retention::default()
        },
        ..SqliteSettings::default()
    };
    let store = open(&folder, settings).await;
    let player = sample::player();
    let now = sample::now();
    let ago = |seconds: u64| Timestamp::from_millis(now.as_millis() - 1000 * seconds);
    // The second task ended long ago, but its row was written just now and has not expired.
    let rows: Vec<_> = [100_000_000, 50_000_000, 10, 3601]
        .into_iter()
        .enumerate()
        .map(|(at, seconds)| sample::history(&player, &format!("t-{at}"), ago(seconds)))
        .collect();
    let records: Vec<_> = rows.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
    assert_eq!(write_records(&store, Table::History, &records).await, Ok(vec![]));
    let refused = [30, 90].map(|s| Record::Rejection(sample::rejection(player.as_str(), &format!("c-{s}"), ago(s))));
    assert_eq!(write_records(&store, Table::Rejections, &refused).await, Ok(vec![]));
    let expired = r#"UPDATE history SET "expiresAt" = "expiresAt" - 3600 WHERE "document" ->> '$.taskId' IN ('t-0', 't-3');
        UPDATE rejections SET "expiresAt" = "expiresAt" - 60 WHERE "document" ->> '$.commandId' = 'c-90';"#;
    other_connection(&folder).execute_batch(expired).unwrap();

    let page = store.history(&player, 1, None).await.unwrap();
    assert_eq!(page.items, [rows[2].clone()]);
    let page = store.history(&player, 1, page.next.as_deref()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![rows[1].clone()], None), "only expired rows follow");
    let page = store.rejections(player.as_str(), 10, None).await.unwrap();
    assert_eq!(page.items.len(), 1);

    let left = |table: &str| -> i64 {
        other_connection(&folder).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((left("history"), left("rejections")), (4, 2), "only writes delete rows");
    assert_eq!(write_records(&store, Table::History, &records[2..3]).await, Ok(vec![]));
    assert_eq!((left("history"), left("rejections")), (2, 2));
    assert_eq!(write_records(&store, Table::Rejections, &refused[..1]).await, Ok(vec![]));
    assert_eq!((left("history"), left("rejections")), (2, 1));
}

#[tokio::test]
async fn expired_rows_are_deleted_in_small_batches() {
    let folder = folder();
    let retention = Retention { history: Duration::from_secs(3600), ..Retention::default() };
    let settings = SqliteSettings { retention, ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    let player = sample::player();
    let long_ago = Timestamp::from_millis(sample::now().as_millis() - 10_000_000);
    let rows: Vec<_> = (0..1200).map(|at| sample::history(&player, &format!("t-{at}"), long_ago + at)).collect();
    for batch in rows.chunks(MAX_BATCH_ITEMS) {
        let records: Vec<_> = batch.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
        assert_eq!(write_records(&store, Table::History, &records).await, Ok(vec![]));
    }
    other_connection(&folder).execute(r#"UPDATE history SET "expiresAt" = 1"#, []).unwrap();
    let left = || -> i64 {
        other_connection(&folder).query_row("SELECT count(*) FROM history", [], |row| row.get(0)).unwrap()
    };
    let fresh = [Record::History(Box::new(sample::history(&player, "fresh", sample::now())))];
    for after in [701, 201, 1, 1] {
        assert_eq!(write_records(&store, Table::History, &fresh).await, Ok(vec![]));
        assert_eq!(left(), after);
    }
}

#[tokio::test]
async fn lock_of_another_process_throttles_after_the_timeout() {
    let folder = folder();
    let settings = SqliteSettings { connect_timeout: Duration::from_millis(500), ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    let player = sample::player();
    let lock = other_connection(&folder);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let outcome = store.commit(&[sample::write(&player, 0)]).await.outcomes.remove(0);
    let throttled = StoreError::Throttled { table: "queues".to_owned() };
    assert_eq!(outcome, Err(CommitError::Store(throttled.clone())));
    assert!(started.elapsed() >= Duration::from_millis(450), "it did not wait: {:?}", started.elapsed());
    assert!(throttled.reason().is_passing());
    assert_eq!(load_queue(&store, &player).await, Ok(None), "readers do not wait for a writer");

    let waiting = {
        let store = open(&folder, SqliteSettings::default()).await;
        let write = sample::write(&player, 0);
        tokio::spawn(async move { store.commit(&[write]).await.outcomes.remove(0) })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()), "the lock was released in time");
}

#[tokio::test]
async fn concurrent_writers_of_one_process_all_succeed() {
    let folder = folder();
    let store = Arc::new(open(&folder, SqliteSettings { max_connections: 3, ..SqliteSettings::default() }).await);
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let player = sample::player();
                for version in 0..5 {
                    let committed = store.commit(&[sample::write(&player, version)]).await;
                    assert_eq!(committed.outcomes, vec![Ok(())]);
                    let queue = load_queue(&*store, &player).await;
                    assert!(matches!(queue, Ok(Some(row)) if row.version == version + 1));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn due_index_needs_no_sorting() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let write = QueueWrite { due_at: Some(sample::now()), ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    let connection = other_connection(&folder);
    let (shard, at): (u8, i64) = connection
        .query_row(r#"SELECT "dueShard", "dueAt" FROM queues"#, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(shard, due_shard(&player));
    assert!(at > 1_700_000_000_000, "milliseconds since 1970");
    let plan = r#"EXPLAIN QUERY PLAN SELECT "playerId", "dueAt" FROM queues
        WHERE "dueShard" = 1 AND "dueAt" IS NOT NULL AND "dueAt" <= 5
        AND ("dueAt", "playerId") > (3, 'p-1') ORDER BY "dueAt", "playerId""#;
    let mut statement = connection.prepare(plan).unwrap();
    let steps: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    // The search starts after the last page, and there is no step that sorts.
    assert_eq!(
        steps,
        ["SEARCH queues USING COVERING INDEX queues.due (dueShard=? AND (dueAt,playerId)>(?,?) AND dueAt<?)"]
    );
}

#[tokio::test]
async fn failed_statement_fails_its_transaction_only() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let refuse = format!(
        r#"CREATE TRIGGER refuse BEFORE INSERT ON queues WHEN new."playerId" = '{}'
           BEGIN SELECT RAISE(ABORT, 'refused'); END"#,
        players[1]
    );
    other_connection(&folder).execute_batch(&refuse).unwrap();
    let outcomes = store.commit(&writes).await.outcomes;
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Err(CommitError::Store(StoreError::Unavailable { detail })) if detail.contains("refused")),
            "{outcome:?}"
        );
    }
    for player in &players {
        assert_eq!(load_queue(&store, player).await, Ok(None));
    }
    other_connection(&folder).execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
}

#[tokio::test]
async fn connections_are_limited_and_closed_when_idle() {
    let folder = folder();
    let settings =
        SqliteSettings { max_connections: 3, idle_timeout: Duration::from_millis(300), ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    let player = sample::player();
    let loads = futures::future::join_all((0..30).map(|_| load_queue(&store, &player))).await;
    assert!(loads.iter().all(|queue| *queue == Ok(None)), "{loads:?}");
    assert_eq!(store.connections(), 3);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(store.ping().await, Ok(()));
    assert_eq!(store.connections(), 1, "the idle connections are closed, and one is opened");
}
