//! The numbers of calls. An invocation waits for round trips and reports them.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use millrace_domain::{Record, record::Table};
use millrace_servers::{Fault, rules};
use millrace_store::{
    BatchWriter, BatchWriterSettings, Connections, Grouping, MAX_BATCH_ITEMS, QueueStore, QueueWrite, RecordWrite,
    Store,
    conformance::{sample, write_records},
    dynamodb::{DynamoDbSettings, MAX_CONNECTIONS},
};

use crate::support::{Proxied, history, players, writes};

#[tokio::test]
async fn load_makes_one_call_for_every_100_keys() {
    let at = Proxied::start().await;
    let store = at.store();
    let players = players(1000);
    for (queues, progress, calls) in [(1, 1, 1), (50, 50, 1), (100, 1, 2), (1000, 0, 10), (1000, 1000, 20)] {
        at.proxy.reset_counts();
        let loaded = store.load(&players[..queues], &players[..progress], &[]).await;
        assert!(loaded.queues.values().all(|row| *row == Ok(None)));
        assert_eq!((loaded.calls, at.proxy.count("BatchGetItem"), at.proxy.total()), (calls, calls, calls));
        assert_eq!(at.proxy.entries("BatchGetItem"), (queues + progress) as u64);
    }
    // A repeated key is sent once.
    at.proxy.reset_counts();
    let twice = [&players[..80], &players[..80]].concat();
    assert_eq!(store.load(&twice, &[], &[]).await.calls, 1);
    assert_eq!(at.proxy.entries("BatchGetItem"), 80);
}

#[tokio::test]
async fn commit_makes_one_call_for_every_25_writes() {
    let at = Proxied::start().await;
    let store = at.store();
    for (count, batches, puts) in [(1, 0, 1), (2, 1, 0), (25, 1, 0), (26, 1, 1), (250, 10, 0)] {
        at.proxy.reset_counts();
        let mut writes = writes(count);
        for expected in 0..2 {
            let committed = store.commit(&writes).await;
            assert_eq!(committed.outcomes, vec![Ok(()); count]);
            assert_eq!(committed.calls, batches + puts, "{count} writes");
            writes = writes.iter().map(|write| sample::write(&write.player_id, expected + 1)).collect();
        }
        let counts = (at.proxy.count("BatchExecuteStatement"), at.proxy.count("PutItem"), at.proxy.total());
        assert_eq!(counts, (2 * batches, 2 * puts, 2 * (batches + puts)), "{count} writes");
    }
}

#[tokio::test]
async fn size_of_a_commit_call_is_limited() {
    let at = Proxied::start().await;
    let large = |write: QueueWrite| QueueWrite { queue: vec![1; 300 * 1024], ..write };
    let writes: Vec<_> = writes(MAX_BATCH_ITEMS).into_iter().map(large).collect();
    let committed = at.store().commit(&writes).await;
    assert_eq!(committed.outcomes, vec![Ok(()); MAX_BATCH_ITEMS]);
    // 13 rows have just under 4 MiB.
    assert_eq!((committed.calls, at.proxy.count("BatchExecuteStatement")), (2, 2));
}

#[tokio::test]
async fn batch_writer_makes_one_call_for_every_25_rows() {
    let at = Proxied::start().await;
    let writer = BatchWriter::new(Arc::new(at.store()), BatchWriterSettings::default());
    let player = sample::player();
    let write = |record| RecordWrite { record, origin: (), grouping: Grouping::Shared };
    let records = history(&player, 250).into_iter().map(write).collect();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let written = writer.write(records, deadline).await;
    assert!(written.failed.is_empty(), "{:?}", written.failed);
    assert_eq!((at.proxy.count("BatchWriteItem"), at.proxy.total()), (10, 10));
    assert_eq!(at.proxy.entries("BatchWriteItem"), 250);
}

#[tokio::test]
async fn invalid_request_makes_no_call() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    assert!(write_records(&store, Table::History, &history(&player, MAX_BATCH_ITEMS + 1)).await.is_err());
    assert!(write_records(&store, Table::History, &[Record::Stats(sample::stats(&player, 1))]).await.is_err());
    let too_large = QueueWrite { queue: vec![0; 500 * 1024], ..sample::write(&player, 0) };
    let committed = store.commit(&[too_large]).await;
    assert!(committed.outcomes[0].is_err());
    assert_eq!(committed.calls, 0);
    assert_eq!(store.commit(&[]).await.calls, 0);
    assert_eq!(store.load(&[], &[], &[]).await.calls, 0);
    assert_eq!(write_records(&store, Table::History, &[]).await, Ok(vec![]));
    assert_eq!(at.proxy.total(), 0);
}

#[tokio::test]
async fn concurrent_calls_are_limited() {
    let at = Proxied::start().await;
    at.proxy.set_rule(rules::always(Fault::delay(Duration::from_millis(20))));
    for (set, max) in [(0, 1), (3, 3), (100, MAX_CONNECTIONS)] {
        let before = at.proxy.connections();
        let store = at.store_with(DynamoDbSettings { max_connections: set, ..at.settings() });
        assert_eq!(store.connections(), Some(Connections { max, current: 0, peak: 0 }));
        let writes = writes(60);
        let responses = join_all(writes.chunks(1).map(|write| store.commit(write))).await;
        assert!(responses.iter().all(|response| response.outcomes == [Ok(())]), "{responses:?}");
        assert_eq!(store.connections(), Some(Connections { max, current: 0, peak: max }));
        let opened = at.proxy.connections() - before;
        // A connection returns to the pool shortly after its answer. The next call may have started
        // to open another one meanwhile.
        assert!((1..=2 * max as u64).contains(&opened), "{opened} connections for {max} calls at once");
    }
}

#[tokio::test]
async fn dropped_call_is_not_in_progress() {
    let at = Proxied::start().await;
    at.proxy.set_rule(rules::always(Fault::delay(Duration::from_secs(60))));
    let store = Arc::new(at.store_with(DynamoDbSettings { max_connections: 2, ..at.settings() }));
    let players = players(500);
    let waiting = tokio::spawn({
        let (store, players) = (Arc::clone(&store), players.clone());
        async move { store.load(&players, &[], &[]).await }
    });
    while store.connections().unwrap().current < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(store.connections(), Some(Connections { max: 2, current: 0, peak: 2 }));
    at.proxy.clear_rule();
    assert_eq!(store.load(&players, &[], &[]).await.calls, 5, "the dropped calls kept their permits");
}
