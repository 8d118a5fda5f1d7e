//! Redis answers that it cannot serve: it loads its data, or has lost its primary or a part of its
//! cluster. Calls miss, stale values are not used, and the cache comes back into use by itself.

use std::time::Duration;

use millrace_cache::{SharedCache, SharedCacheState, redis::RedisCache};
use millrace_domain::{PlayerId, Timestamp};
use millrace_servers::{Redis, RedisBuilder, RedisCluster};

use super::support::*;

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

/// Gets these players three times, until the circuit breaker opens. Each get misses all of them.
async fn miss_until_down(cache: &RedisCache, names: &[&str]) {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    for _ in 0..3 {
        assert_eq!(cache.statistics().state, SharedCacheState::Up);
        let (found, errors) = cache.get(&players).await;
        assert_eq!((found.iter().flatten().count(), errors), (0, 1));
    }
    let statistics = cache.statistics();
    assert_eq!((statistics.state, statistics.openings), (SharedCacheState::Down, 1));
}

/// Waits for some probes; none of them may close the circuit breaker.
async fn assert_stays_down(cache: &RedisCache) {
    let connections = cache.statistics().connections;
    until("probes have tried", || {
        cache.state() == SharedCacheState::Up || cache.statistics().connections > connections + 2
    })
    .await;
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
    assert_eq!(cache.get(&players(3)).await, (vec![None; 3], 0), "calls return at once");
}

/// A server that loads a thousand keys in ten seconds, and answers meanwhile.
fn slow_to_load() -> RedisBuilder {
    server().config("key-load-delay", "10000").config("loading-process-events-interval-bytes", "1024")
}

async fn load_fast(redis: &Redis) {
    redis.cli::<()>(&["CONFIG", "SET", "key-load-delay", "0"]).await;
}

async fn put_thousand(cache: &RedisCache, version: u64) {
    let copies: Vec<_> = players(1_000).iter().map(|player| copy(player.as_str(), version)).collect();
    put(cache, &copies).await;
}

#[tokio::test]
async fn a_replica_without_its_primary_is_not_used_until_it_is_a_primary() {
    let primary = server().start().await;
    let replica = server().config("replica-serve-stale-data", "no").start().await;
    let cache = connect(settings(replica.url())).await;
    let writer = connect(patient(replica.url())).await;
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    assert_eq!(versions(&cache, &["a", "b"]).await, [Some(1), Some(1)]);
    primary.kill();
    replica.demote_to_replica_of(&primary).await;
    until_error(&replica, "MASTERDOWN").await;

    // The server checks first whether it may write.
    assert_eq!(cache.get(&[player("a"), player("b")]).await, (vec![None, None], 1));
    assert_eq!((cache.statistics().state, cache.statistics().openings), (SharedCacheState::Down, 1));
    assert_eq!(cache.put(&[copy("a", 2)], now()).await, 0);
    assert_eq!(writer.put(&[copy("b", 1)], now()).await, 1);
    assert_eq!((cache.statistics().pending_invalidations, writer.statistics().pending_invalidations), (1, 1));
    assert_stays_down(&cache).await;

    replica.promote().await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["a", "b"]).await, [None, Some(1)]);
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(2)]);
}

#[tokio::test]
async fn a_cluster_that_lost_a_part_is_not_used_until_it_is_complete() {
    let cluster = RedisCluster::start_with(server().config("cluster-require-full-coverage", "yes")).await;
    let cache = connect(in_cluster(cluster.url())).await;
    let mut names = Vec::new();
    for node in 0..3 {
        names.push(player_of(&cluster, node).await.0);
    }
    let [a, b, lost] = [&*names[0], &*names[1], &*names[2]];
    put(&cache, &[copy(a, 1), copy(b, 1), copy(lost, 1)]).await;
    cluster.nodes()[2].kill();
    for node in &cluster.nodes()[..2] {
        until_error(node, "CLUSTERDOWN").await;
    }

    // The nodes of both players are alive and have their copies.
    miss_until_down(&cache, &[a, b]).await;
    assert_eq!(cache.put(&[copy(a, 2)], now()).await, 0);
    let writer = connect(in_cluster(cluster.url())).await;
    assert_eq!(writer.put(&[copy(b, 1)], now()).await, 1);
    assert_eq!((cache.statistics().pending_invalidations, writer.statistics().pending_invalidations), (1, 1));
    assert_stays_down(&cache).await;

    cluster.nodes()[2].restart().await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &[a, b, lost]).await, [None, Some(1), None]);
    put(&cache, &[copy(a, 2), copy(lost, 2)]).await;
    assert_eq!(versions(&cache, &[a, b, lost]).await, [Some(2), Some(1), Some(2)]);
    assert_eq!(cache.statistics().openings, 1);
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_not_used_until_it_has_finished() {
    let redis = slow_to_load().start().await;
    let cache = connect(settings(redis.url())).await;
    put_thousand(&cache, 1).await;
    redis.cli::<()>(&["SAVE"]).await;
    let restart = tokio::spawn({
        let redis = redis.clone();
        async move { redis.restart().await }
    });
    until_error(&redis, "LOADING").await;

    miss_until_down(&cache, &["p-0", "p-999"]).await;
    assert_eq!(cache.put(&[copy("p-0", 2)], now()).await, 0);
    assert_stays_down(&cache).await;
    until_error(&redis, "LOADING").await;
    assert!(!restart.is_finished(), "all of that happened while it loads");

    load_fast(&redis).await;
    restart.await.unwrap();
    until_up(&cache).await;
    assert_eq!(versions(&cache, &["p-0", "p-999"]).await, [None, Some(1)]);
    put(&cache, &[copy("p-0", 2)]).await;
    assert_eq!(versions(&cache, &["p-0"]).await, [Some(2)]);
}

#[tokio::test]
async fn a_replica_that_loads_the_data_of_its_primary_is_detected_on_open_connections() {
    let primary = server().start().await;
    put_thousand(&connect(settings(primary.url())).await, 2).await;
    let redis = slow_to_load().start().await;
    let (reader, writer) = (connect(settings(redis.url())).await, connect(patient(redis.url())).await);
    put_thousand(&reader, 1).await;
    redis.demote_to_replica_of(&primary).await;
    until_error(&redis, "LOADING").await;

    // INFO is answered while the server loads; the put in the same pipeline is not.
    assert_eq!(writer.statistics().server, None);
    assert_eq!(writer.put(&[copy("p-0", 3)], now()).await, 1);
    let statistics = writer.statistics();
    assert_eq!((statistics.put.failures, statistics.pending_invalidations, statistics.connections), (1, 1, 1));
    assert_eq!((statistics.server.map(|server| server.nodes), statistics.openings), (Some(1), 0));

    assert_eq!(reader.get(&[player("p-1")]).await, (vec![None], 1));
    assert_eq!(reader.statistics().connections, 1, "no new connection was needed");
    assert_eq!((reader.statistics().state, reader.statistics().openings), (SharedCacheState::Down, 1));
    until_error(&redis, "LOADING").await;

    load_fast(&redis).await;
    while redis.info("master_link_status").await != "up" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_stays_down(&reader).await;
    redis.promote().await;
    until_up(&reader).await;
    assert_eq!(versions(&reader, &["p-1"]).await, [Some(2)]);
    assert_eq!(versions(&writer, &["p-0"]).await, [None], "the failed put became a pending invalidation");
}
