//! Connections: refused, broken, closed by the server, and dead without a notice.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use millrace_domain::record::Table;
use millrace_servers::{Cut, Fault, MiniStack, TcpProxy, rules};
use millrace_store::{
    CommitError, QueueStore, Store, StoreError,
    conformance::{load_queue, sample, write_records},
    dynamodb::{DynamoDbSettings, DynamoDbStore, create_tables},
};

use crate::support::{Proxied, client, config, history, players, prefix, settings, versions, writes};

/// New tables in MiniStack, behind a proxy of TCP.
async fn behind_tcp(idle_timeout: Duration) -> (TcpProxy, DynamoDbStore) {
    let server = MiniStack::shared().await;
    let prefix = prefix();
    create_tables(&client(&server.endpoint()), &prefix).await.unwrap();
    let proxy = TcpProxy::start(format!("127.0.0.1:{}", server.port())).await;
    let endpoint = format!("http://{}", proxy.address());
    let store = DynamoDbStore::new(config(&endpoint), DynamoDbSettings { idle_timeout, ..settings(&prefix) });
    (proxy, store)
}

/// Opens ten connections.
async fn open_ten(proxy: &TcpProxy, store: &DynamoDbStore) {
    proxy.delay(Duration::from_millis(20));
    let loaded = store.load(&players(1000), &[], &[]).await;
    assert!(loaded.queues.values().all(|row| *row == Ok(None)), "{:?}", loaded.queues);
    proxy.normal();
    assert_eq!(proxy.open_connections(), 10);
}

#[tokio::test]
async fn refused_connection_is_not_retried() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy.refuse();
    let error = store.ping().await.unwrap_err();
    let StoreError::Unavailable { detail } = &error else { panic!("{error:?}") };
    assert_eq!(detail, "client error (Connect): tcp connect error: Connection refused (os error 111)");
    let player = sample::player();
    let mut loaded = store.load(std::slice::from_ref(&player), &[], &[]).await;
    assert_eq!((loaded.take_queue(&player), loaded.calls), (Err(error.clone()), 1));
    let committed = store.commit(&writes(2)).await;
    assert_eq!(committed.outcomes, vec![Err(CommitError::Store(error)); 2]);
    at.proxy.accept();
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test]
async fn connections_closed_by_the_server_cause_no_error() {
    for how in [Cut::Fin, Cut::Reset] {
        let (proxy, store) = behind_tcp(Duration::from_secs(60)).await;
        for _ in 0..5 {
            open_ten(&proxy, &store).await;
            proxy.cut(how);
            // At once, before the client notices it, as when a frozen process resumes.
            let outcomes = join_all((0..10).map(|_| store.ping())).await;
            assert_eq!(outcomes, vec![Ok(()); 10], "{how:?}");
        }
        proxy.cut(how);
        let writes = writes(250);
        assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 250], "{how:?}");
    }
}

#[tokio::test]
async fn dead_connections_are_not_used_after_the_idle_timeout() {
    let (proxy, store) = behind_tcp(Duration::from_millis(500)).await;
    open_ten(&proxy, &store).await;
    proxy.swallow();
    // The proxy drops bytes, so the connections cannot recover.
    let short = tokio::time::timeout(Duration::from_millis(100), store.ping()).await;
    assert!(short.is_err(), "{short:?}");
    proxy.normal();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let outcomes = tokio::time::timeout(Duration::from_secs(5), join_all((0..10).map(|_| store.ping()))).await;
    assert_eq!(outcomes.expect("a dead connection was used"), vec![Ok(()); 10]);
}

#[tokio::test]
async fn broken_call_is_sent_twice() {
    let at = Proxied::start().await;
    let store = at.store();
    let writes = writes(25);
    at.proxy.set_rule(rules::first(1, |_| true, Fault::disconnect()));
    let committed = store.commit(&writes).await;
    assert_eq!((committed.outcomes, committed.calls), (vec![Ok(()); 25], 2));
    at.proxy.set_rule(rules::first(1, |_| true, Fault::disconnect()));
    assert_eq!(versions(&store, &writes).await, vec![1; 25]);
    at.proxy.set_rule(rules::first(1, |_| true, Fault::disconnect()));
    let player = sample::player();
    assert_eq!(write_records(&store, Table::History, &history(&player, 25)).await, Ok(vec![]));

    at.proxy.set_rule(rules::always(Fault::disconnect()));
    at.proxy.reset_counts();
    let mut loaded = store.load(std::slice::from_ref(&player), &[], &[]).await;
    let detail = "client error (SendRequest): connection closed before message completed".to_owned();
    assert_eq!(loaded.take_queue(&player), Err(StoreError::Unavailable { detail }));
    assert_eq!((loaded.calls, at.proxy.total()), (2, 2));
}

#[tokio::test]
async fn commit_with_a_lost_answer_takes_effect_once_and_conflicts() {
    let at = Proxied::start().await;
    let store = at.store();
    for count in [1, 3] {
        let writes = writes(count);
        at.proxy.set_rule(rules::first(1, |_| true, Fault::lose_answer()));
        let committed = store.commit(&writes).await;
        assert_eq!((committed.outcomes, committed.calls), (vec![Err(CommitError::Conflict); count], 2));
        assert_eq!(versions(&store, &writes).await, vec![1; count]);
    }
}

#[tokio::test]
async fn warm_up_opens_the_connection_of_the_first_call() {
    let at = Proxied::start().await;
    let store = at.store();
    assert_eq!(store.warm_up().await, Ok(()));
    assert_eq!((at.proxy.connections(), at.proxy.count("GetItem"), at.proxy.total()), (1, 1, 1));
    assert_eq!(load_queue(&store, &sample::player()).await, Ok(None));
    assert_eq!(at.proxy.connections(), 1);
}

#[tokio::test]
async fn warm_up_ends_at_the_connect_timeout() {
    let (proxy, store) = behind_tcp(Duration::from_secs(60)).await;
    proxy.swallow();
    let endpoint = format!("http://{}", proxy.address());
    let quick = DynamoDbSettings { connect_timeout: Duration::from_millis(200), ..settings("none.") };
    let stuck = DynamoDbStore::new(config(&endpoint), quick);
    let started = Instant::now();
    assert_eq!(stuck.warm_up().await, Err(StoreError::TimedOut { millis: 200 }));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    proxy.normal();
    assert_eq!(stuck.warm_up().await, Err(StoreError::NoSuchTable { table: "none.queues".to_owned() }));
    assert_eq!(store.warm_up().await, Ok(()));
}

#[tokio::test]
async fn closed_store_refuses_calls() {
    let at = Proxied::start().await;
    let store: Arc<dyn Store> = Arc::new(at.store());
    assert_eq!(store.ping().await, Ok(()));
    store.close().await;
    let detail = "the store is closed".to_owned();
    assert_eq!(store.ping().await, Err(StoreError::Unavailable { detail }));
}
