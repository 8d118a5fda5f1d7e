//! Server information: asked for with a put, once a minute.

use std::time::{Duration, Instant};

use millrace_cache::{SharedCache, redis::RedisCache};
use millrace_servers::{Cut, Redis, RedisCluster};

use super::support::*;

/// Advances the monotonic clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Puts copies of this many players.
async fn fill(cache: &RedisCache, count: usize) {
    for some in players(count).chunks(1_000) {
        let copies: Vec<_> = some.iter().map(|player| copy(player.as_str(), 1)).collect();
        put(cache, &copies).await;
    }
}

async fn evicted(nodes: &[Redis]) -> u64 {
    let mut sum = 0;
    for node in nodes {
        sum += node.info("evicted_keys").await.parse::<u64>().unwrap();
    }
    sum
}

#[tokio::test]
async fn the_evictions_of_a_full_server_are_reported() {
    let redis = server().maxmemory("4mb", "allkeys-lru").start().await;
    let cache = connect(settings(redis.url())).await;
    put(&cache, &[copy("first", 1)]).await;
    let server = cache.statistics().server.unwrap();
    assert_eq!((server.nodes, server.evictions, server.max_bytes), (1, 0, 4 << 20));
    fill(&cache, 30_000).await;
    assert_eq!(cache.statistics().server, Some(server), "within the minute");

    let before = evicted(std::slice::from_ref(&redis)).await;
    pass(Duration::from_secs(60)).await;
    put(&cache, &[copy("last", 1)]).await;
    let server = cache.statistics().server.unwrap();
    let after = evicted(std::slice::from_ref(&redis)).await;
    assert!(before > 1_000 && (before..=after).contains(&server.evictions), "{before} {server:?} {after}");
    // Less than 4 MB: output buffers count too, and the set of active players may have been
    // evicted.
    assert!(server.used_bytes > 1 << 20, "{server:?}");
    let statistics = cache.statistics();
    assert_eq!((statistics.put.calls, statistics.put.round_trips, statistics.put.failures), (32, 32, 0));
}

#[tokio::test]
async fn a_server_is_asked_with_a_put_once_a_minute() {
    let (redis, cache) = start().await;
    assert_eq!(versions(&cache, &["a"]).await, [None]);
    assert_eq!(cache.forget(&[player("a")]).await, 0);
    assert_eq!((cache.statistics().server, calls(&redis, "info").await), (None, 0));
    redis.cli::<()>(&["SET", "short", "", "PX", "1"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(redis.cli::<Option<String>>(&["GET", "short"]).await, None);

    // The questions of this test count too.
    for version in 1..10 {
        put(&cache, &[copy("a", version)]).await;
    }
    assert_eq!(calls(&redis, "info").await, 1 + 1);
    let server = serde_json::to_value(cache.statistics()).unwrap()["server"].take();
    let used = server["usedBytes"].as_u64().unwrap();
    assert!(used > 100_000, "{server}");
    let told = serde_json::json!({"nodes": 1, "evictions": 0, "expirations": 1, "usedBytes": used, "maxBytes": 0});
    assert_eq!(server, told);

    pass(Duration::from_secs(50)).await;
    put(&cache, &[copy("a", 10)]).await;
    assert_eq!(calls(&redis, "info").await, 1 + 2);
    pass(Duration::from_secs(10)).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(10)]);
    assert_eq!(calls(&redis, "info").await, 1 + 3, "a get asks for nothing");
    put(&cache, &[copy("a", 11)]).await;
    put(&cache, &[copy("a", 12)]).await;
    assert_eq!(calls(&redis, "info").await, 2 + 4);
    let statistics = cache.statistics();
    assert_eq!((statistics.put.calls, statistics.put.round_trips), (12, 12));
    assert_eq!((statistics.get.calls, statistics.get.round_trips), (2, 2));
}

#[tokio::test]
async fn a_put_that_asks_takes_the_time_of_one_round_trip() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    // A round trip takes a second.
    proxy.delay(Duration::from_millis(500));
    let started = Instant::now();
    put(&cache, &[copy("a", 1)]).await;
    let took = started.elapsed();
    assert!(cache.statistics().server.is_some());
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_within_the_same_put() {
    let (_redis, proxy, cache) = start_behind_proxy(settings).await;
    proxy.cut(Cut::Reset);
    put(&cache, &[copy("a", 1)]).await;
    assert!(cache.statistics().server.is_some());
    assert_eq!((cache.statistics().put.round_trips, cache.statistics().connections), (2, 2));
}

#[tokio::test]
async fn a_user_without_the_right_asks_once_and_without_errors() {
    let rules = "on >secret ~millrace:* -@all +get +getex +mget +set +getrange +del +evalsha +script|load";
    let redis = server().user("app", rules).start().await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    for version in 1..5 {
        put(&cache, &[copy("a", version), copy("b", version)]).await;
        assert_eq!(versions(&cache, &["a", "b"]).await, [Some(version); 2]);
        pass(Duration::from_secs(120)).await;
    }
    assert_eq!(refusals(&redis, "info").await, 1);
    let statistics = cache.statistics();
    assert_eq!((statistics.server, statistics.openings), (None, 0));
    assert_eq!((statistics.put.failures, statistics.put.round_trips, statistics.kinds.queue.errors), (0, 4, 0));

    // A new process with the right.
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+info"]).await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    put(&cache, &[copy("a", 5)]).await;
    assert!(cache.statistics().server.is_some());
}

#[tokio::test]
async fn a_server_without_the_command_is_used_too() {
    let redis = server().config("rename-command", "INFO \"\"").start().await;
    let cache = connect(settings(redis.url())).await;
    for version in 1..4 {
        put(&cache, &[copy("a", version)]).await;
        assert_eq!(versions(&cache, &["a"]).await, [Some(version)]);
    }
    let statistics = cache.statistics();
    assert_eq!((statistics.server, statistics.put.failures, statistics.kinds.queue.errors), (None, 0, 0));
}

#[tokio::test]
async fn in_a_cluster_the_answers_of_all_nodes_are_added() {
    let cluster = RedisCluster::start_with(server().maxmemory("4mb", "allkeys-lru")).await;
    let filler = connect(in_cluster(cluster.url())).await;
    fill(&filler, 60_000).await;
    let statistics = filler.statistics();
    assert_eq!((statistics.put.round_trips, statistics.put.failures), (60, 0));

    let cache = connect(in_cluster(cluster.url())).await;
    let before = evicted(cluster.nodes()).await;
    put(&cache, &[copy("last", 1)]).await;
    let after = evicted(cluster.nodes()).await;
    let server = cache.statistics().server.unwrap();
    assert_eq!((server.nodes, server.max_bytes), (3, 12 << 20), "a put to one node asks all of them");
    assert!(before > 1_000 && (before..=after).contains(&server.evictions), "{before} {server:?} {after}");
    assert_eq!(cache.statistics().put.round_trips, 1);
}
