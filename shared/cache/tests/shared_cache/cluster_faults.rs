//! Faults of a cluster: lost connections, a silent node, nodes that refuse writes, expired tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use millrace_cache::{
    SharedCache, SharedCacheState,
    redis::{Credentials, RedisCache, RedisCacheSettings, RedisCredentials},
};
use millrace_domain::PlayerId;
use millrace_servers::RedisCluster;

use super::support::*;

/// A player of each node.
async fn one_of_each(cluster: &RedisCluster) -> [String; 3] {
    [player_of(cluster, 0).await.0, player_of(cluster, 1).await.0, player_of(cluster, 2).await.0]
}

/// Closes all client connections of all nodes, as they are after a sandbox was frozen.
async fn close_connections(cluster: &RedisCluster) {
    for node in cluster.nodes() {
        assert!(node.cli::<u64>(&["CLIENT", "KILL", "TYPE", "normal"]).await > 0);
    }
}

#[tokio::test]
async fn connections_that_were_lost_while_idle_fail_no_call() {
    let (cluster, cache) = start_cluster().await;
    let names = one_of_each(&cluster).await;
    let [a, b, c] = [&*names[0], &*names[1], &*names[2]];
    for version in 1..4 {
        put(&cache, &[copy(a, version), copy(b, version), copy(c, version)]).await;
        close_connections(&cluster).await;
        assert_eq!(versions(&cache, &[a, b, c]).await, [Some(version); 3]);
        close_connections(&cluster).await;
    }
    let statistics = cache.statistics();
    assert_eq!((statistics.get.failures, statistics.put.failures, statistics.openings), (0, 0, 0));
}

#[tokio::test]
async fn a_silent_node_delays_calls_no_longer_than_their_time_out() {
    let cluster = cluster().await;
    let settings = in_cluster(cluster.url());
    let timeout = Duration::from_millis(500);
    let cache = connect(RedisCacheSettings { response_timeout: timeout, ..settings }).await;
    let names = one_of_each(&cluster).await;
    let [a, b, silent] = [&*names[0], &*names[1], &*names[2]];
    put(&cache, &[copy(a, 1), copy(b, 1), copy(silent, 1)]).await;
    cluster.nodes()[2].pause();
    let started = Instant::now();
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    let (found, errors) = cache.get(&players).await;
    let found: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!((found, errors), (vec![true, true, false], 1), "the other nodes answer");
    while cache.state() == SharedCacheState::Up {
        assert_eq!(cache.put(&[copy(silent, 2)], at(0)).await, 1);
    }
    assert!(started.elapsed() < 5 * timeout, "{:?}", started.elapsed());
    assert_eq!(cache.statistics().pending_invalidations, 1);

    cluster.nodes()[2].resume();
    until_up(&cache).await;
    // The write that the node got before the pause may be executed after it.
    let version = versions(&cache, &[silent]).await[0];
    assert!(version.is_none_or(|version| version == 2), "{version:?}");
    put(&cache, &[copy(silent, 3)]).await;
    assert_eq!(versions(&cache, &[a, silent]).await, [Some(1), Some(3)]);
}

#[tokio::test]
async fn a_node_that_refuses_writes_opens_the_circuit_breaker_until_it_accepts_them() {
    let (cluster, cache) = start_cluster().await;
    let names = one_of_each(&cluster).await;
    put(&cache, &[copy(&names[0], 1), copy(&names[1], 1)]).await;
    cluster.nodes()[1].cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_eq!(cache.put(&[copy(&names[0], 2), copy(&names[1], 2)], at(0)).await, 1);
    let statistics = cache.statistics();
    assert_eq!((statistics.state, statistics.pending_invalidations), (SharedCacheState::Down, 1));
    let connections = statistics.connections;
    until("a probe has tried", || {
        cache.state() == SharedCacheState::Up || cache.statistics().connections > connections + 1
    })
    .await;
    assert_eq!(cache.statistics().state, SharedCacheState::Down, "the probe writes to every node");
    cluster.nodes()[1].cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    until_up(&cache).await;
    assert_eq!(versions(&cache, &[&names[0], &names[1]]).await, [Some(2), None]);
}

#[tokio::test]
async fn a_full_node_drops_the_older_copy_and_stays_in_use() {
    let (cluster, cache) = start_cluster().await;
    let (full, _) = player_of(&cluster, 0).await;
    let (other, _) = player_of(&cluster, 1).await;
    put(&cache, &[copy(&full, 1), copy(&other, 1)]).await;
    cluster.nodes()[0].cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for version in 2..8 {
        assert_eq!(cache.put(&[copy(&full, version), copy(&other, version)], at(0)).await, 1);
    }
    assert_eq!(versions(&cache, &[&full, &other]).await, [None, Some(7)]);
    assert_eq!((cache.statistics().openings, cache.statistics().pending_invalidations), (0, 0));
}

/// Counts the tokens. The current one is `token-<epoch>`.
#[derive(Default)]
struct Tokens {
    epoch: AtomicU32,
    issued: AtomicU32,
}

#[async_trait]
impl RedisCredentials for Tokens {
    async fn credentials(&self) -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>> {
        self.issued.fetch_add(1, Ordering::Relaxed);
        let password = format!("token-{}", self.epoch.load(Ordering::Relaxed));
        Ok(Credentials { user: "app".to_owned(), password })
    }
}

#[tokio::test]
async fn each_connection_to_a_node_gets_a_new_token() {
    let cluster = RedisCluster::start_with(server().user("app", "on >token-0 ~* +@all")).await;
    let tokens = Arc::new(Tokens::default());
    let cache = RedisCache::connect(in_cluster(cluster.url()), Some(tokens.clone())).await.unwrap();
    let names = one_of_each(&cluster).await;
    let [a, b, c] = [&*names[0], &*names[1], &*names[2]];
    put(&cache, &[copy(a, 1), copy(b, 1), copy(c, 1)]).await;
    assert!(tokens.issued.load(Ordering::Relaxed) >= 3);

    // The old token expires.
    for node in cluster.nodes() {
        node.cli::<()>(&["ACL", "SETUSER", "app", "resetpass", ">token-1"]).await;
    }
    tokens.epoch.store(1, Ordering::Relaxed);
    assert_eq!(versions(&cache, &[a, b, c]).await, [Some(1); 3], "open connections stay authenticated");
    close_connections(&cluster).await;
    assert_eq!(versions(&cache, &[a, b, c]).await, [Some(1); 3]);
    assert_eq!((cache.statistics().get.failures, cache.statistics().connections), (0, 1));
}
