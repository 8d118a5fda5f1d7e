//! Redis is there and says that it cannot serve: it loads its data, has lost its primary, or a part of its
//! cluster. Calls miss, nothing that may be out of date is taken for an answer, and it comes back by itself.

use std::time::Duration;

use millrace_cache::{RemoteTier, TierState, redis::RedisTier};
use millrace_domain::{PlayerId, Timestamp};
use millrace_servers::{Redis, RedisBuilder, RedisCluster};

use crate::support::*;

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

/// Gets these players until the breaker opens: three times. Each get misses them all.
async fn miss_until_down(tier: &RedisTier, names: &[&str]) {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    for _ in 0..3 {
        assert_eq!(tier.statistics().state, TierState::Up);
        let (found, errors) = tier.get(&players).await;
        assert_eq!((found.iter().flatten().count(), errors), (0, 1));
    }
    let statistics = tier.statistics();
    assert_eq!((statistics.state, statistics.openings), (TierState::Down, 1));
}

/// While nothing changes, no probe takes Redis for well.
async fn assert_stays_down(tier: &RedisTier) {
    let connections = tier.statistics().connections;
    until("probes have tried", || tier.state() == TierState::Up || tier.statistics().connections > connections + 2)
        .await;
    assert_eq!(tier.statistics().state, TierState::Down);
    assert_eq!(tier.get(&players(3)).await, (vec![None; 3], 0), "nobody waits");
}

/// A server that loads a thousand keys in ten seconds, unless told to hurry, and answers meanwhile.
fn slow_to_load() -> RedisBuilder {
    Redis::builder().config("key-load-delay", "10000").config("loading-process-events-interval-bytes", "1024")
}

async fn hurry(redis: &Redis) {
    redis.cli::<()>(&["CONFIG", "SET", "key-load-delay", "0"]).await;
}

async fn put_thousand(tier: &RedisTier, version: u64) {
    let copies: Vec<_> = players(1_000).iter().map(|player| copy(player.as_str(), version)).collect();
    put(tier, &copies).await;
}

#[tokio::test]
async fn a_replica_without_its_primary_is_left_alone_until_it_is_one() {
    let primary = Redis::start().await;
    put(&connect(settings(primary.url())).await, &[copy("a", 1), copy("b", 1)]).await;
    let replica = Redis::builder().replica_of(&primary).config("replica-serve-stale-data", "no").start().await;
    let tier = connect(settings(replica.url())).await;
    let writer = connect(patient(replica.url())).await;
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(1), Some(1)]);
    primary.kill();
    until_error(&replica, "MASTERDOWN").await;

    miss_until_down(&tier, &["a", "b"]).await;
    assert_eq!(tier.statistics().connections, 3, "the connection of before heard it first");
    assert_eq!(tier.put(&[copy("a", 2)], now()).await, 0);
    assert_eq!(writer.put(&[copy("b", 1)], now()).await, 1);
    assert_eq!((tier.statistics().owed, writer.statistics().owed), (1, 1));
    assert_stays_down(&tier).await;

    replica.promote().await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a", "b"]).await, [None, Some(1)]);
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(2)]);
}

#[tokio::test]
async fn a_cluster_that_lost_a_part_is_left_alone_until_it_is_whole() {
    let cluster = RedisCluster::start_with(Redis::builder().config("cluster-require-full-coverage", "yes")).await;
    let tier = connect(in_cluster(cluster.url())).await;
    let mut names = Vec::new();
    for node in 0..3 {
        names.push(player_of(&cluster, node).await.0);
    }
    let [a, b, lost] = [&*names[0], &*names[1], &*names[2]];
    put(&tier, &[copy(a, 1), copy(b, 1), copy(lost, 1)]).await;
    cluster.nodes()[2].kill();
    for node in &cluster.nodes()[..2] {
        until_error(node, "CLUSTERDOWN").await;
    }

    // The nodes of both are alive, and hold them.
    miss_until_down(&tier, &[a, b]).await;
    assert_eq!(tier.put(&[copy(a, 2)], now()).await, 0);
    let writer = connect(in_cluster(cluster.url())).await;
    assert_eq!(writer.put(&[copy(b, 1)], now()).await, 1);
    assert_eq!((tier.statistics().owed, writer.statistics().owed), (1, 1));
    assert_stays_down(&tier).await;

    cluster.nodes()[2].restart().await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &[a, b, lost]).await, [None, Some(1), None]);
    put(&tier, &[copy(a, 2), copy(lost, 2)]).await;
    assert_eq!(versions(&tier, &[a, b, lost]).await, [Some(2), Some(1), Some(2)]);
    assert_eq!(tier.statistics().openings, 1);
}

#[tokio::test]
async fn a_server_that_loads_what_it_saved_is_left_alone_until_it_has() {
    let redis = slow_to_load().start().await;
    let tier = connect(settings(redis.url())).await;
    put_thousand(&tier, 1).await;
    redis.cli::<()>(&["SAVE"]).await;
    let restart = tokio::spawn({
        let redis = redis.clone();
        async move { redis.restart().await }
    });
    until_error(&redis, "LOADING").await;

    miss_until_down(&tier, &["p-0", "p-999"]).await;
    assert_eq!(tier.put(&[copy("p-0", 2)], now()).await, 0);
    assert_stays_down(&tier).await;
    until_error(&redis, "LOADING").await;
    assert!(!restart.is_finished(), "all of that was while it loads");

    hurry(&redis).await;
    restart.await.unwrap();
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["p-0", "p-999"]).await, [None, Some(1)]);
    put(&tier, &[copy("p-0", 2)]).await;
    assert_eq!(versions(&tier, &["p-0"]).await, [Some(2)]);
}

#[tokio::test]
async fn a_server_that_loads_what_its_new_primary_holds_tells_it_on_the_connections_there_are() {
    let primary = Redis::start().await;
    put_thousand(&connect(settings(primary.url())).await, 2).await;
    let redis = slow_to_load().start().await;
    let (reader, writer) = (connect(settings(redis.url())).await, connect(patient(redis.url())).await);
    put_thousand(&reader, 1).await;
    redis.demote_to_replica_of(&primary).await;
    until_error(&redis, "LOADING").await;

    // The put that asks for it as well: what the server says of itself is an answer, the rest is not.
    assert_eq!(writer.statistics().server, None);
    assert_eq!(writer.put(&[copy("p-0", 3)], now()).await, 1);
    let statistics = writer.statistics();
    assert_eq!((statistics.put.failures, statistics.owed, statistics.connections), (1, 1, 1));
    assert_eq!((statistics.server.map(|server| server.nodes), statistics.openings), (Some(1), 0));

    assert_eq!(reader.get(&[player("p-1")]).await, (vec![None], 1));
    assert_eq!(reader.statistics().connections, 1, "no new connection was needed to hear it");
    assert_eq!(reader.get(&[player("p-1")]).await, (vec![None], 1));
    assert_eq!(reader.get(&[player("p-1")]).await, (vec![None], 1));
    assert_eq!((reader.statistics().state, reader.statistics().openings), (TierState::Down, 1));
    until_error(&redis, "LOADING").await;

    hurry(&redis).await;
    while redis.info("master_link_status").await != "up" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_stays_down(&reader).await;
    redis.promote().await;
    until_up(&reader).await;
    assert_eq!(versions(&reader, &["p-1"]).await, [Some(2)]);
    assert_eq!(versions(&writer, &["p-0"]).await, [None], "the put that failed was told");
}
