//! Redis answers reads and refuses writes: its copies are not used, and those that became stale are
//! removed as soon as it accepts writes again.

use std::time::{Duration, Instant};

use millrace_cache::{
    BreakerSettings, SharedCache, SharedCacheState,
    redis::{RedisCache, RedisCacheSettings},
};
use millrace_domain::PlayerId;
use millrace_servers::{Redis, RedisCluster, WriteRefusal};

use super::support::*;

const REFUSALS: [WriteRefusal; 3] =
    [WriteRefusal::FailedSnapshot, WriteRefusal::MissingReplicas, WriteRefusal::ReadOnlyReplica];

/// Settings with the circuit breaker of a function.
fn usual(settings: RedisCacheSettings) -> RedisCacheSettings {
    RedisCacheSettings { breaker: BreakerSettings::default(), ..settings }
}

/// Puts version 1 of each player.
async fn put_all(cache: &RedisCache, players: &[PlayerId]) {
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(cache, &copies).await;
}

/// Puts version 2 of each player while the server of the first one refuses writes. All of them
/// become pending invalidations.
async fn put_refused(cache: &RedisCache, players: &[PlayerId]) {
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 2)).collect();
    assert_eq!(cache.put(&copies[..1], at(2_000)).await, 1);
    assert_eq!(cache.put(&copies, at(2_000)).await, 0, "the circuit breaker is open");
    let statistics = cache.statistics();
    assert_eq!((statistics.state, statistics.pending_invalidations), (SharedCacheState::Down, players.len() as u64));
}

/// Waits until the circuit breaker closes without a call. Nothing may be pending at that moment.
async fn until_recovered(cache: &RedisCache) {
    until("the circuit breaker is closed without a call", || cache.statistics().state == SharedCacheState::Up).await;
    assert_eq!(cache.statistics().pending_invalidations, 0);
}

async fn count_found(cache: &RedisCache, players: &[PlayerId]) -> usize {
    let (found, errors) = cache.get(players).await;
    assert_eq!(errors, 0);
    found.iter().flatten().count()
}

/// How many connections a server has accepted, with the one of this question.
async fn connections(redis: &Redis) -> u64 {
    redis.info("total_connections_received").await.parse().unwrap()
}

#[tokio::test]
async fn copies_of_a_server_that_refuses_writes_are_misses_for_a_process_that_only_reads() {
    let players = players(150);
    for why in REFUSALS {
        let (redis, writer) = start().await;
        put_all(&writer, &players).await;
        let reader = connect(settings(redis.url())).await;
        assert_eq!(count_found(&reader, &players).await, 150);

        redis.refuse_writes(why).await;
        assert_eq!(reader.get(&players).await, (vec![None; 150], 1), "{why:?}");
        let statistics = reader.statistics();
        assert_eq!((statistics.state, statistics.openings), (SharedCacheState::Down, 1), "the first refusal is enough");
        assert_eq!((statistics.get.calls, statistics.get.round_trips, statistics.get.failures), (2, 2, 1));
        assert_eq!((statistics.kinds.queue.hits, statistics.kinds.queue.misses), (150, 150));

        redis.accept_writes(why).await;
        until_up(&reader).await;
        assert_eq!(count_found(&reader, &players).await, 150);
    }
}

#[tokio::test]
async fn a_page_of_a_server_that_refuses_writes_is_a_miss() {
    let (redis, cache) = start().await;
    assert_eq!(cache.put_page(&player("a"), 1, b"[]").await, 0);
    assert_eq!(cache.get_page(&player("a"), 1).await, (Some(b"[]".to_vec()), 0));
    redis.refuse_writes(WriteRefusal::MissingReplicas).await;
    assert_eq!(cache.get_page(&player("a"), 1).await, (None, 1));
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
}

#[tokio::test]
async fn copies_of_a_full_server_are_used_because_it_deletes_those_it_cannot_replace() {
    let (redis, writer) = start().await;
    put(&writer, &[copy("a", 1), copy("b", 1), copy("c", 1)]).await;
    let reader = connect(settings(redis.url())).await;
    redis.refuse_writes(WriteRefusal::OutOfMemory).await;
    assert_eq!(writer.put(&[copy("a", 2), copy("c", 2)], at(2_000)).await, 2);
    assert_eq!(versions(&reader, &["a", "b", "c"]).await, [None, Some(1), None]);
    assert_eq!(versions(&reader, &["b"]).await, [Some(1)]);
    for cache in [&reader, &writer] {
        assert_eq!((cache.state(), cache.statistics().openings), (SharedCacheState::Up, 0));
    }
}

#[tokio::test]
async fn only_the_copies_of_the_refusing_node_of_a_cluster_are_misses() {
    for why in [WriteRefusal::FailedSnapshot, WriteRefusal::MissingReplicas] {
        let (cluster, writer) = start_cluster().await;
        let players = players(60);
        put_all(&writer, &players).await;
        let reader = connect(in_cluster(cluster.url())).await;
        assert_eq!(count_found(&reader, &players).await, 60);

        let node = &cluster.nodes()[1];
        node.refuse_writes(why).await;
        let (found, errors) = reader.get(&players).await;
        for (player, copy) in players.iter().zip(&found) {
            let refused = cluster.node_of(&key(player.as_str())).await.port() == node.port();
            assert_eq!(copy.is_none(), refused, "{why:?}: {player}");
        }
        let statistics = reader.statistics();
        assert_eq!((errors, statistics.state, statistics.openings), (1, SharedCacheState::Down, 1));
        assert_eq!((statistics.get.calls, statistics.get.round_trips, statistics.get.failures), (2, 2, 1));

        node.accept_writes(why).await;
        until_up(&reader).await;
        assert_eq!(count_found(&reader, &players).await, 60);
    }
}

#[tokio::test]
async fn all_pending_invalidations_are_sent_without_a_call_before_the_circuit_breaker_closes() {
    // More than one round trip sends.
    let players = players(1_200);
    for why in REFUSALS {
        let redis = server().start().await;
        let cache = connect(usual(settings(redis.url()))).await;
        put_all(&cache, &players).await;
        redis.refuse_writes(why).await;
        put_refused(&cache, &players).await;
        redis.accept_writes(why).await;
        until_recovered(&cache).await;
        assert_eq!(cache.statistics().forget.round_trips, 3);
        let other = connect(settings(redis.url())).await;
        assert_eq!(count_found(&other, &players).await, 0, "{why:?}");
    }
}

#[tokio::test]
async fn pending_invalidations_of_a_cluster_are_sent_without_a_call() {
    for why in [WriteRefusal::FailedSnapshot, WriteRefusal::MissingReplicas] {
        let cluster: RedisCluster = cluster().await;
        let cache = connect(usual(in_cluster(cluster.url()))).await;
        let players = players(60);
        put_all(&cache, &players).await;
        let node = cluster.node_of(&key(players[0].as_str())).await;
        node.refuse_writes(why).await;
        put_refused(&cache, &players).await;
        node.accept_writes(why).await;
        until_recovered(&cache).await;
        let other = connect(in_cluster(cluster.url())).await;
        assert_eq!(count_found(&other, &players).await, 0, "{why:?}");
    }
}

#[tokio::test]
async fn a_removal_that_was_refused_is_repeated_without_a_call() {
    let redis = server().start().await;
    let cache = connect(usual(settings(redis.url()))).await;
    put(&cache, &[copy("a", 1), copy("b", 1), copy("c", 1)]).await;
    redis.refuse_writes(WriteRefusal::MissingReplicas).await;
    assert_eq!(cache.forget(&[player("a")]).await, 1);
    assert_eq!(cache.forget(&[player("b")]).await, 1, "the circuit breaker is open");
    redis.accept_writes(WriteRefusal::MissingReplicas).await;
    until_recovered(&cache).await;
    let other = connect(settings(redis.url())).await;
    assert_eq!(versions(&other, &["a", "b", "c"]).await, [None, None, Some(1)]);
}

#[tokio::test]
async fn a_refusing_server_is_probed_about_once_a_second_while_invalidations_are_pending() {
    let redis = server().start().await;
    let cache = connect(usual(settings(redis.url()))).await;
    redis.refuse_writes(WriteRefusal::MissingReplicas).await;
    let began = Instant::now();
    put_refused(&cache, &players(1)).await;
    let before = cache.statistics().connections;
    until("four probes have tried", || cache.statistics().connections == before + 4).await;
    // Each cool-down is at least three quarters of a second.
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((cache.statistics().state, cache.statistics().openings), (SharedCacheState::Down, 1));
}

#[tokio::test]
async fn without_pending_invalidations_only_calls_start_probes() {
    let redis = server().start().await;
    let cache = connect(usual(settings(redis.url()))).await;
    redis.refuse_writes(WriteRefusal::MissingReplicas).await;
    assert_eq!(cache.get(&players(1)).await.1, 1);
    redis.accept_writes(WriteRefusal::MissingReplicas).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((cache.statistics().connections, cache.statistics().state), (1, SharedCacheState::Down));
    until_up(&cache).await;
    assert_eq!(cache.statistics().connections, 2);
}

#[tokio::test]
async fn a_dropped_cache_does_not_probe() {
    let redis = server().start().await;
    let cache = connect(settings(redis.url())).await;
    redis.refuse_writes(WriteRefusal::MissingReplicas).await;
    put_refused(&cache, &players(1)).await;
    until("a probe has tried", || cache.statistics().connections > 1).await;
    drop(cache);
    // A probe that was under way ends.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = connections(&redis).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connections(&redis).await, before + 1);
}

#[tokio::test]
async fn a_copy_whose_invalidation_failed_is_a_miss() {
    let redis = server().user("app", "on >secret ~* +@all").start().await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    // Reads are answered, and scripts are not.
    redis.cli::<()>(&["ACL", "SETUSER", "app", "-evalsha"]).await;
    assert_eq!(cache.put(&[copy("a", 2)], at(2_000)).await, 1);
    let (found, errors) = cache.get(&[player("a"), player("b")]).await;
    assert_eq!((found[0].is_some(), found[1].is_some(), errors), (false, true, 1));
}
