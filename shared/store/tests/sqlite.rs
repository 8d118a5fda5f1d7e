//! What the embedded store does beyond the conformance suite: rows, expiry, locks, connections.

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
    CommitError, MAX_BATCH_ITEMS, QueueStore, QueueWrite, RecordStore, Store, StoreError, conformance::sample,
    due_shard, sqlite::SqliteSettings,
};

use common::{folder, open, other};

fn impatient() -> SqliteSettings {
    SqliteSettings { connect_timeout: Duration::from_millis(500), ..SqliteSettings::default() }
}

#[tokio::test]
async fn rows_of_the_wrong_shape_fail_alone() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
    for player in &players {
        let row = Record::Progress(sample::progress(player, 5));
        assert_eq!(store.write(Table::Progress, &[row]).await, Ok(vec![]));
    }
    let connection = other(&folder);
    let change = |sql: &str, at: usize| assert_eq!(connection.execute(sql, [players[at].as_str()]).unwrap(), 1);
    change(r#"UPDATE queues SET "version" = -1 WHERE "playerId" = ?1"#, 0);
    change(r#"UPDATE queues SET "queue" = 'text' WHERE "playerId" = ?1"#, 1);
    change(r#"UPDATE progress SET "document" = '{"version": 1}' WHERE "playerId" = ?1"#, 1);
    let loaded = store.load(&players, &players).await;
    for (at, (queue, progress)) in loaded.queues.iter().zip(&loaded.progress).enumerate() {
        let unreadable = |error: &StoreError, table: &str| {
            assert!(matches!(error, StoreError::Unreadable { table: of, .. } if of == table), "{error:?}");
        };
        match at {
            2 => assert!(matches!(queue, Ok(Some(_)))),
            _ => unreadable(queue.as_ref().unwrap_err(), "queues"),
        }
        match at {
            1 => unreadable(progress.as_ref().unwrap_err(), "progress"),
            _ => assert!(matches!(progress, Ok(Some(_)))),
        }
    }
}

#[tokio::test]
async fn an_unreadable_row_does_not_hide_older_history() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let now = sample::now();
    let rows: Vec<_> = (0..4).map(|at| sample::history(&player, &format!("t-{at}"), now + at)).collect();
    let records: Vec<_> = rows.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
    assert_eq!(store.write(Table::History, &records).await, Ok(vec![]));
    let sql = r#"UPDATE history SET "document" = '{' WHERE "finishedAt#taskId" = ?1"#;
    assert_eq!(other(&folder).execute(sql, [rows[2].sort_key()]).unwrap(), 1);
    let page = store.history(&player, 2, None).await.unwrap();
    assert_eq!(page.items, [rows[3].clone()]);
    let page = store.history(&player, 2, page.next.as_deref()).await.unwrap();
    assert_eq!(page.items, [rows[1].clone(), rows[0].clone()]);
}

#[tokio::test]
async fn documents_are_json_without_what_does_not_apply() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let row = HistoryRecord { started_at: None, ..sample::history(&player, "t-1", sample::now()) };
    assert_eq!(store.write(Table::History, &[Record::History(Box::new(row.clone()))]).await, Ok(vec![]));
    let sql =
        r#"SELECT "document" ->> '$.taskId', "document" ->> '$.finishedAt', "document", "expiresAt" FROM history"#;
    let (task, finished, document, expires): (String, String, String, i64) =
        other(&folder).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    assert_eq!((task.as_str(), finished), ("t-1", row.finished_at.to_string()));
    assert!(!document.contains("null"), "{document}");
    assert!(!document.contains("startedAt"), "{document}");
    let retention = SqliteSettings::default().history_retention.as_secs();
    let kept = expires as u64 - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((retention - 60..=retention).contains(&kept), "{kept} s");

    let age = |seconds: i64| {
        other(&folder).execute(r#"UPDATE history SET "expiresAt" = "expiresAt" - ?1"#, [seconds]).unwrap();
        other(&folder).query_row(r#"SELECT "expiresAt" FROM history"#, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let aged = age(100);
    assert_eq!(store.write(Table::History, &[Record::History(Box::new(row))]).await, Ok(vec![]));
    assert_eq!(age(0), aged, "the same row again changes nothing");
}

#[tokio::test]
async fn expired_rows_are_not_answered_and_then_removed() {
    let folder = folder();
    let settings = SqliteSettings {
        history_retention: Duration::from_secs(3600),
        rejections_retention: Duration::from_secs(60),
        ..SqliteSettings::default()
    };
    let store = open(&folder, settings.clone()).await;
    let player = sample::player();
    let now = sample::now();
    let ago = |seconds: u64| Timestamp::from_millis(now.as_millis() - 1000 * seconds);
    // The second ended long ago and was written just now: it stays.
    let rows: Vec<_> = [100_000_000, 50_000_000, 10, 3601]
        .into_iter()
        .enumerate()
        .map(|(at, seconds)| sample::history(&player, &format!("t-{at}"), ago(seconds)))
        .collect();
    let records: Vec<_> = rows.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
    assert_eq!(store.write(Table::History, &records).await, Ok(vec![]));
    let refused = [30, 90].map(|s| Record::Rejection(sample::rejection(player.as_str(), &format!("c-{s}"), ago(s))));
    assert_eq!(store.write(Table::Rejections, &refused).await, Ok(vec![]));
    let expired = r#"UPDATE history SET "expiresAt" = "expiresAt" - 3600 WHERE "document" ->> '$.taskId' IN ('t-0', 't-3');
        UPDATE rejections SET "expiresAt" = "expiresAt" - 60 WHERE "document" ->> '$.commandId' = 'c-90';"#;
    other(&folder).execute_batch(expired).unwrap();

    let page = store.history(&player, 1, None).await.unwrap();
    assert_eq!(page.items, [rows[2].clone()]);
    let page = store.history(&player, 1, page.next.as_deref()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![rows[1].clone()], None), "nothing that is not expired follows");
    let page = store.rejections(player.as_str(), 10, None).await.unwrap();
    assert_eq!(page.items.len(), 1);

    let left = |table: &str| -> i64 {
        other(&folder).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((left("history"), left("rejections")), (4, 2), "looked for at the opening, and then once a minute");
    store.close().await;
    let _reopened = open(&folder, settings).await;
    assert_eq!((left("history"), left("rejections")), (2, 1));
}

#[tokio::test]
async fn many_expired_rows_are_removed_a_part_at_a_time() {
    let folder = folder();
    let settings = SqliteSettings { history_retention: Duration::from_secs(3600), ..SqliteSettings::default() };
    let store = open(&folder, settings.clone()).await;
    let player = sample::player();
    let long_ago = Timestamp::from_millis(sample::now().as_millis() - 10_000_000);
    let rows: Vec<_> = (0..1200).map(|at| sample::history(&player, &format!("t-{at}"), long_ago + at)).collect();
    for batch in rows.chunks(MAX_BATCH_ITEMS) {
        let records: Vec<_> = batch.iter().cloned().map(|row| Record::History(Box::new(row))).collect();
        assert_eq!(store.write(Table::History, &records).await, Ok(vec![]));
    }
    other(&folder).execute(r#"UPDATE history SET "expiresAt" = 1"#, []).unwrap();
    store.close().await;
    let left = || -> i64 { other(&folder).query_row("SELECT count(*) FROM history", [], |row| row.get(0)).unwrap() };
    let store = open(&folder, settings).await;
    assert_eq!(left(), 700);
    // As long as more are left, each write removes some.
    let fresh = [Record::History(Box::new(sample::history(&player, "fresh", sample::now())))];
    for after in [201, 1, 1] {
        assert_eq!(store.write(Table::History, &fresh).await, Ok(vec![]));
        assert_eq!(left(), after);
    }
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_waited_for_and_then_throttles() {
    let folder = folder();
    let store = open(&folder, impatient()).await;
    let player = sample::player();
    let ids = [player.clone()];
    let lock = other(&folder);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let outcome = store.commit(&[sample::write(&player, 0)]).await.outcomes.remove(0);
    let throttled = StoreError::Throttled { table: "queues".to_owned() };
    assert_eq!(outcome, Err(CommitError::Store(throttled.clone())));
    assert!(started.elapsed() >= Duration::from_millis(450), "it did not wait: {:?}", started.elapsed());
    assert!(throttled.reason().is_passing());
    assert_eq!(store.load(&ids, &[]).await.queues, vec![Ok(None)], "readers do not wait for a writer");

    let waiting = {
        let store = open(&folder, SqliteSettings::default()).await;
        let write = sample::write(&player, 0);
        tokio::spawn(async move { store.commit(&[write]).await.outcomes.remove(0) })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()), "the lock was given back in time");
}

#[tokio::test]
async fn writers_of_one_process_take_turns_and_none_starves() {
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
                    let loaded = store.load(std::slice::from_ref(&player), &[]).await;
                    assert!(matches!(&loaded.queues[0], Ok(Some(row)) if row.version == version + 1));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_index_serves_what_is_due() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let player = sample::player();
    let write = QueueWrite { due_at: Some(sample::now()), ..sample::write(&player, 0) };
    assert_eq!(store.commit(&[write]).await.outcomes, vec![Ok(())]);
    let connection = other(&folder);
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
    // From the row after the last page on, and nothing has to be sorted.
    assert_eq!(
        steps,
        ["SEARCH queues USING COVERING INDEX queues.due (dueShard=? AND (dueAt,playerId)>(?,?) AND dueAt<?)"]
    );
}

#[tokio::test]
async fn one_failed_statement_fails_its_whole_transaction_and_nothing_later() {
    let folder = folder();
    let store = open(&folder, SqliteSettings::default()).await;
    let players: Vec<_> = std::iter::repeat_with(sample::player).take(3).collect();
    let writes: Vec<_> = players.iter().map(|player| sample::write(player, 0)).collect();
    let refuse = format!(
        r#"CREATE TRIGGER refuse BEFORE INSERT ON queues WHEN new."playerId" = '{}'
           BEGIN SELECT RAISE(ABORT, 'refused'); END"#,
        players[1]
    );
    other(&folder).execute_batch(&refuse).unwrap();
    let outcomes = store.commit(&writes).await.outcomes;
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Err(CommitError::Store(StoreError::Unavailable { detail })) if detail.contains("refused")),
            "{outcome:?}"
        );
    }
    assert_eq!(store.load(&players, &[]).await.queues, vec![Ok(None), Ok(None), Ok(None)]);
    other(&folder).execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
}

#[tokio::test]
async fn connections_are_bounded_and_closed_when_unused() {
    let folder = folder();
    let settings =
        SqliteSettings { max_connections: 3, idle_timeout: Duration::from_millis(300), ..SqliteSettings::default() };
    let store = open(&folder, settings).await;
    let players = [sample::player()];
    let loads = futures::future::join_all((0..30).map(|_| store.load(&players, &[]))).await;
    assert!(loads.iter().all(|loaded| loaded.queues == [Ok(None)]));
    assert_eq!(store.connections(), 3);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(store.ping().await, Ok(()));
    assert_eq!(store.connections(), 1, "the three are closed, and one is opened");
}
