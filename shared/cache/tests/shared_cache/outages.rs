//! Redis is absent, killed, paused, demoted, cut off or silent: calls end in time, and the cache
//! comes back into use by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_cache::{SharedCache, SharedCacheState, redis::RedisCache};
use millrace_domain::Timestamp;
use millrace_servers::{Cut, TcpProxy};

use super::support::*;

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

/// While the circuit breaker is open, no bytes are sent, no connection is opened, and no call
/// waits.
async fn assert_not_used(cache: &RedisCache, proxy: &TcpProxy) {
    let (connections, sent) = (proxy.connections(), proxy.bytes_sent());
    let before = cache.statistics();
    let started = Instant::now();
    for n in 0..200 {
        let (found, errors) = cache.get(&players(10)).await;
        assert_eq!((found.len(), found.iter().flatten().count(), errors), (10, 0, 0));
        assert_eq!(cache.put(&[copy("not-used", n)], now()).await, 0);
        assert_eq!(cache.forget(&[player("a")]).await, 1, "the caller learns that the copy was not removed");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!((proxy.connections(), proxy.bytes_sent()), (connections, sent));
    let after = cache.statistics();
    assert_eq!((after.get, after.put, after.connections), (before.get, before.put, before.connections));
    assert_eq!(after.state, SharedCacheState::Down);
}

#[tokio::test]
async fn an_absent_redis_does_not_fail_the_start_and_is_used_once_it_runs() {
    let redis = server().start().await;
    redis.kill();
    let cache = connect(settings(redis.url())).await;
    assert_eq!(cache.state(), SharedCacheState::Up, "one failure is not enough");
    assert_eq!(cache.put(&[copy("a", 1)], now()).await, 1);
    assert_eq!(cache.get(&players(1)).await.1, 1);
    assert_eq!(cache.state(), SharedCacheState::Down);
    redis.restart().await;
    until_up(&cache).await;
    put(&cache, &[copy("a", 1)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
}

#[tokio::test]
async fn a_killed_redis_opens_the_circuit_breaker_until_it_is_restarted() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1)]).await;
    redis.kill();
    fail_until_down(&cache).await;
    redis.restart().await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a"]).await, [None], "it is empty");
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(cache.statistics().openings, 1);
}

#[tokio::test]
async fn while_the_circuit_breaker_is_open_nothing_is_sent_and_no_call_waits() {
    let (redis, proxy, cache) = start_behind_proxy(patient).await;
    redis.pause();
    fail_until_down(&cache).await;
    assert_not_used(&cache, &proxy).await;
    assert_eq!(cache.statistics().pending_invalidations, 2, "of a put and a removal");
}

#[tokio::test]
async fn an_outage_leaves_no_stale_copy() {
    let (_redis, proxy, cache) = start_behind_proxy(hasty).await;
    put(&cache, &[copy("a", 1), copy("b", 1), copy("c", 1), copy("d", 1)]).await;
    proxy.swallow();
    assert_eq!(cache.put(&[copy("a", 2), copy("b", 2)], now()).await, 1);
    let started = Instant::now();
    while cache.state() == SharedCacheState::Up {
        cache.put(&[copy("a", 3)], now()).await;
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(cache.put(&[copy("c", 2), copy("b", 3)], now()).await, 0, "no call is made");
    assert_eq!(cache.statistics().pending_invalidations, 3);

    proxy.normal();
    until_up(&cache).await;
    let before = cache.statistics().get;
    assert_eq!(versions(&cache, &["a", "b", "c", "d"]).await, [None, None, None, Some(1)]);
    let after = cache.statistics();
    assert_eq!(
        (after.get.round_trips - before.round_trips, after.pending_invalidations),
        (1, 0),
        "in the same pipeline"
    );
    put(&cache, &[copy("a", 2), copy("b", 2), copy("c", 1)]).await;
    assert_eq!(versions(&cache, &["a", "b", "c"]).await, [None, None, None], "no older copy comes back");
    put(&cache, &[copy("a", 3), copy("b", 3), copy("c", 2)]).await;
    assert_eq!(versions(&cache, &["a", "b", "c"]).await, [Some(3), Some(3), Some(2)]);
}

#[tokio::test]
async fn a_resumed_redis_returns_no_stale_copy() {
    let redis = server().start().await;
    let cache = connect(hasty(redis.url())).await;
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    redis.pause();
    for version in 2..5 {
        assert_eq!(cache.put(&[copy("a", version)], now()).await, 1);
    }
    assert_eq!(cache.put(&[copy("b", 2)], now()).await, 0, "the circuit breaker is open");
    redis.resume();
    until_up(&cache).await;
    let found = versions(&cache, &["a", "b"]).await;
    assert!(found[0].is_none_or(|version| version == 4) && found[1].is_none(), "{found:?}");
}

#[tokio::test]
async fn a_pending_invalidation_removes_no_newer_copy_of_another_process() {
    let (redis, proxy, cache) = start_behind_proxy(settings).await;
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    proxy.cut(Cut::Reset);
    proxy.refuse();
    assert_eq!(cache.put(&[copy("a", 2), progress("b", 1, 5, true)], now()).await, 1);
    let other = connect(settings(redis.url())).await;
    put(&other, &[copy("a", 2), progress("b", 1, 4, true)]).await;
    proxy.normal();
    assert_eq!(versions(&cache, &["a", "b"]).await, [Some(2), None], "fewer units done than were acknowledged");
}

#[tokio::test]
async fn a_later_put_settles_the_pending_invalidation() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    proxy.cut(Cut::Reset);
    proxy.refuse();
    assert_eq!(cache.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!(cache.statistics().pending_invalidations, 1);
    proxy.normal();
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!((cache.statistics().pending_invalidations, versions(&cache, &["a"]).await), (0, vec![Some(2)]));
}

#[tokio::test]
async fn a_connection_that_was_lost_while_idle_fails_no_call() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    put(&cache, &[copy("a", 1)]).await;
    for (how, times) in [(Cut::Reset, 1), (Cut::Fin, 2), (Cut::Reset, 3)] {
        proxy.cut(how);
        assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
        put(&cache, &[copy("a", 1)]).await;
        assert_eq!((proxy.connections(), cache.statistics().connections), (1 + times, 1 + times));
    }
    assert_eq!((cache.statistics().get.failures, cache.statistics().put.failures), (0, 0));
}

#[tokio::test]
async fn concurrent_calls_share_one_new_connection() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    put(&cache, &[copy("a", 1)]).await;
    proxy.cut(Cut::Reset);
    let all = futures::future::join_all((0..20).map(|_| versions(&cache, &["a"]))).await;
    assert!(all.iter().all(|versions| *versions == [Some(1)]));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_half_open_connection_is_replaced_after_two_time_outs() {
    let (_redis, proxy, cache) = start_behind_proxy(hasty).await;
    put(&cache, &[copy("a", 1)]).await;
    proxy.swallow();
    assert_eq!(cache.get(&players(1)).await.1, 1);
    proxy.normal();
    assert_eq!(proxy.connections(), 1);
    assert_eq!(cache.get(&players(1)).await.1, 1, "the connection stays dead");
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)], "this one is new");
    assert_eq!((proxy.connections(), cache.state()), (2, SharedCacheState::Up));
}

#[tokio::test]
async fn a_slow_redis_delays_a_call_no_longer_than_its_time_out() {
    let (_redis, proxy, cache) = start_behind_proxy(patient).await;
    proxy.delay(Duration::from_secs(20));
    let started = Instant::now();
    fail_until_down(&cache).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_cancelled_call_counts_as_a_failure_and_its_put_becomes_pending() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    put(&cache, &[copy("a", 1)]).await;
    proxy.swallow();
    let asked = [player("a")];
    for _ in 0..2 {
        let get = cache.get(&asked);
        assert!(tokio::time::timeout(Duration::from_millis(20), get).await.is_err());
    }
    let copies = [copy("a", 2)];
    let put = cache.put(&copies, now());
    assert!(tokio::time::timeout(Duration::from_millis(20), put).await.is_err());
    let statistics = cache.statistics();
    assert_eq!(
        (statistics.openings, statistics.pending_invalidations, statistics.state),
        (1, 1, SharedCacheState::Down)
    );
    proxy.normal();
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a"]).await, [None]);
}

#[tokio::test]
async fn a_demoted_primary_is_not_used_until_it_accepts_writes() {
    let primary = server().start().await;
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1)]).await;
    redis.demote_to_replica_of(&primary).await;
    let began = Instant::now();
    while redis.info("master_link_status").await != "up" {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(cache.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
    // It answers reads, but no probe succeeds.
    let connections = cache.statistics().connections;
    until("a probe has tried", || {
        cache.state() == SharedCacheState::Up || cache.statistics().connections > connections + 1
    })
    .await;
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
    redis.promote().await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a"]).await, [None]);
    put(&cache, &[copy("a", 2)]).await;
}

#[tokio::test]
async fn a_replica_is_detected_by_the_first_read_or_write() {
    let primary = server().start().await;
    let writer = connect(settings(primary.url())).await;
    put(&writer, &[copy("a", 1)]).await;
    let replica = server().replica_of(&primary).start().await;
    let reader = connect(patient(replica.url())).await;
    assert_eq!(reader.get(&[player("a")]).await, (vec![None], 1));
    assert_eq!(reader.state(), SharedCacheState::Down);
    let cache = connect(patient(replica.url())).await;
    assert_eq!(cache.put(&[copy("a", 2), copy("b", 2)], now()).await, 1);
    assert_eq!((cache.state(), cache.statistics().pending_invalidations), (SharedCacheState::Down, 2));
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_not_used() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1)]).await;
    redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_eq!(cache.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!((cache.statistics().state, cache.statistics().pending_invalidations), (SharedCacheState::Down, 1));
    redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a"]).await, [None]);
}

#[tokio::test]
async fn concurrent_calls_do_not_disturb_each_other() {
    let redis = server().start().await;
    let cache = Arc::new(connect(settings(redis.url())).await);
    let tasks = (0..50).map(|n| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let name = format!("player-{n}");
            for version in 1..20 {
                put(&cache, &[copy(&name, version)]).await;
                assert_eq!(versions(&cache, &[&name, "none"]).await, [Some(version), None]);
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(cache.statistics().connections, 1);
}
