//! What servers say of themselves: asked with a put, once a minute, and never a matter of life.

use std::time::{Duration, Instant};

use millrace_cache::{RemoteTier, redis::RedisTier};
use millrace_servers::{Cut, Redis, RedisCluster, TcpProxy};

use crate::support::*;

/// Lets time pass for whoever looks at the monotonic clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Puts so many players.
async fn fill(tier: &RedisTier, count: usize) {
    for some in players(count).chunks(1_000) {
        let copies: Vec<_> = some.iter().map(|player| copy(player.as_str(), 1)).collect();
        put(tier, &copies).await;
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
async fn evictions_of_a_server_that_is_full_are_seen() {
    let redis = Redis::builder().maxmemory("4mb", "allkeys-lru").start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("first", 1)]).await;
    let server = tier.statistics().server.unwrap();
    assert_eq!((server.nodes, server.evictions, server.max_bytes), (1, 0, 4 << 20));
    fill(&tier, 30_000).await;
    assert_eq!(tier.statistics().server, Some(server), "the minute is not over");

    let before = evicted(std::slice::from_ref(&redis)).await;
    pass(Duration::from_secs(60)).await;
    put(&tier, &[copy("last", 1)]).await;
    let server = tier.statistics().server.unwrap();
    let after = evicted(std::slice::from_ref(&redis)).await;
    assert!(before > 1_000 && (before..=after).contains(&server.evictions), "{before} {server:?} {after}");
    // Not all four: what is on its way to clients counts too, and a long list may have been what had to go.
    assert!(server.used_bytes > 2 << 20, "{server:?}");
    let statistics = tier.statistics();
    assert_eq!((statistics.put.calls, statistics.put.round_trips, statistics.put.failures), (32, 32, 0));
}

#[tokio::test]
async fn a_server_is_asked_with_a_put_and_once_a_minute() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    assert_eq!(versions(&tier, &["a"]).await, [None]);
    assert_eq!(tier.forget(&[player("a")]).await, 0);
    assert_eq!((tier.statistics().server, calls(&redis, "info").await), (None, 0));
    redis.cli::<()>(&["SET", "short", "", "PX", "1"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(redis.cli::<Option<String>>(&["GET", "short"]).await, None);

    // Of the server's count one each is this test's own.
    for version in 1..10 {
        put(&tier, &[copy("a", version)]).await;
    }
    assert_eq!(calls(&redis, "info").await, 1 + 1);
    let server = serde_json::to_value(tier.statistics()).unwrap()["server"].take();
    let used = server["usedBytes"].as_u64().unwrap();
    assert!(used > 100_000, "{server}");
    let told = serde_json::json!({"nodes": 1, "evictions": 0, "expirations": 1, "usedBytes": used, "maxBytes": 0});
    assert_eq!(server, told);

    pass(Duration::from_secs(50)).await;
    put(&tier, &[copy("a", 10)]).await;
    assert_eq!(calls(&redis, "info").await, 1 + 2);
    pass(Duration::from_secs(10)).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(10)]);
    assert_eq!(calls(&redis, "info").await, 1 + 3, "a get does not ask");
    put(&tier, &[copy("a", 11)]).await;
    put(&tier, &[copy("a", 12)]).await;
    assert_eq!(calls(&redis, "info").await, 2 + 4);
    let statistics = tier.statistics();
    assert_eq!((statistics.put.calls, statistics.put.round_trips), (12, 12));
    assert_eq!((statistics.get.calls, statistics.get.round_trips), (2, 2));
}

#[tokio::test]
async fn over_a_slow_line_the_put_that_asks_takes_one_round_trip_s_time() {
    let redis = Redis::start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    let tier = connect(settings(format!("redis://{}", proxy.address()))).await;
    // A round trip takes a second.
    proxy.delay(Duration::from_millis(500));
    let started = Instant::now();
    put(&tier, &[copy("a", 1)]).await;
    let took = started.elapsed();
    assert!(tier.statistics().server.is_some());
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_with_its_connection_is_asked_for_with_the_same_put() {
    let redis = Redis::start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    let tier = connect(settings(format!("redis://{}", proxy.address()))).await;
    proxy.cut(Cut::Reset);
    put(&tier, &[copy("a", 1)]).await;
    assert!(tier.statistics().server.is_some());
    assert_eq!((tier.statistics().put.round_trips, tier.statistics().connections), (2, 2));
}

#[tokio::test]
async fn the_newer_protocol_tells_the_same() {
    let redis = Redis::start().await;
    let tier = connect(settings(format!("{}/?protocol=resp3", redis.url()))).await;
    put(&tier, &[copy("a", 1)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
    assert_eq!(tier.statistics().server.unwrap().nodes, 1);
}

#[tokio::test]
async fn a_user_who_may_not_ask_asks_once_and_nothing_counts_as_an_error() {
    let rules = "on >secret ~millrace:* -@all +get +mget +set +getrange +del +evalsha +script|load";
    let redis = Redis::builder().user("app", rules).start().await;
    let tier = connect(settings(redis.url_as("app", "secret"))).await;
    for version in 1..5 {
        put(&tier, &[copy("a", version), copy("b", version)]).await;
        assert_eq!(versions(&tier, &["a", "b"]).await, [Some(version); 2]);
        pass(Duration::from_secs(120)).await;
    }
    assert_eq!(refusals(&redis, "info").await, 1);
    let statistics = tier.statistics();
    assert_eq!((statistics.server, statistics.openings), (None, 0));
    assert_eq!((statistics.put.failures, statistics.put.round_trips, statistics.kinds.queue.errors), (0, 4, 0));

    // A new process, with the right.
    redis.cli::<()>(&["ACL", "SETUSER", "app", "+info"]).await;
    let tier = connect(settings(redis.url_as("app", "secret"))).await;
    put(&tier, &[copy("a", 5)]).await;
    assert!(tier.statistics().server.is_some());
}

#[tokio::test]
async fn a_server_without_the_command_serves_as_well() {
    let redis = Redis::builder().config("rename-command", "INFO \"\"").start().await;
    let tier = connect(settings(redis.url())).await;
    for version in 1..4 {
        put(&tier, &[copy("a", version)]).await;
        assert_eq!(versions(&tier, &["a"]).await, [Some(version)]);
    }
    let statistics = tier.statistics();
    assert_eq!((statistics.server, statistics.put.failures, statistics.kinds.queue.errors), (None, 0, 0));
}

#[tokio::test]
async fn in_a_cluster_each_node_is_asked_and_the_sum_is_told() {
    let cluster = RedisCluster::start_with(Redis::builder().maxmemory("4mb", "allkeys-lru")).await;
    let filler = connect(in_cluster(cluster.url())).await;
    fill(&filler, 60_000).await;
    let statistics = filler.statistics();
    assert_eq!((statistics.put.round_trips, statistics.put.failures), (60, 0));

    let tier = connect(in_cluster(cluster.url())).await;
    let (name, _) = player_of(&cluster, 1).await;
    put(&tier, &[copy(&name, 1)]).await;
    assert_eq!(tier.statistics().server.unwrap().nodes, 1, "the others had nothing put");
    let before = evicted(cluster.nodes()).await;
    fill(&tier, 100).await;
    let after = evicted(cluster.nodes()).await;
    let server = tier.statistics().server.unwrap();
    assert_eq!((server.nodes, server.max_bytes), (3, 12 << 20));
    // One node was asked before: what it has evicted since is missing.
    assert!(server.evictions > before * 9 / 10 && server.evictions <= after, "{before} {server:?} {after}");
    assert_eq!(tier.statistics().put.round_trips, 2);
}
