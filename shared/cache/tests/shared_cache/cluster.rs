//! A cluster: keys in all slots, slots that move, nodes that are lost.

use std::time::{Duration, Instant};

use millrace_cache::{SharedCache, SharedCacheState, redis::RedisCacheSettings};
use millrace_domain::Timestamp;
use millrace_servers::Redis;

use super::support::*;

async fn id_of(node: &Redis) -> String {
    node.cli(&["CLUSTER", "MYID"]).await
}

#[tokio::test]
async fn the_commands_of_players_in_all_slots_are_sent_at_the_same_time() {
    let (cluster, cache) = start_cluster().await;
    let players = players(1_000);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&cache, &copies).await;
    let (found, errors) = cache.get(&players).await;
    assert_eq!((found.iter().flatten().count(), errors), (1_000, 0));
    for (copy, player) in found.iter().flatten().zip(&players) {
        assert_eq!(copy.queue.player_id, *player);
    }
    let mut keys = Vec::new();
    for node in cluster.nodes() {
        keys.push(node.cli::<usize>(&["DBSIZE"]).await);
    }
    // Besides the copies there is the set of active players.
    assert!(keys.iter().all(|keys| *keys > 200) && keys.iter().sum::<usize>() == 1_000 + 1, "{keys:?}");
    assert_eq!(cache.forget(&players[..500]).await, 0);
    let (found, _) = cache.get(&players).await;
    assert!(found[..500].iter().all(Option::is_none) && found[500..].iter().all(Option::is_some));
    let statistics = cache.statistics();
    let round_trips = (statistics.put.round_trips, statistics.get.round_trips, statistics.forget.round_trips);
    assert_eq!((round_trips, statistics.connections), ((1, 2, 1), 1));
}

#[tokio::test]
async fn the_client_follows_a_moved_slot_within_the_call() {
    let (cluster, cache) = start_cluster().await;
    let (name, slot) = player_of(&cluster, 1).await;
    let target = id_of(&cluster.nodes()[2]).await;
    for node in [2, 1, 0] {
        cluster.nodes()[node].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await;
    }
    put(&cache, &[copy(&name, 3)]).await;
    assert_eq!(cache.statistics().put.failures, 0);
    assert_eq!(cluster.nodes()[2].cli::<usize>(&["EXISTS", &key(&name)]).await, 1);
    assert_eq!(versions(&cache, &[&name]).await, [Some(3)]);
    assert_eq!((cache.statistics().get.round_trips, cache.statistics().connections), (1, 1));
}

#[tokio::test]
async fn large_calls_succeed_again_after_slots_have_moved() {
    let cluster = cluster().await;
    let settings = RedisCacheSettings { response_timeout: Duration::from_millis(500), ..in_cluster(cluster.url()) };
    let cache = connect(settings).await;
    let target = id_of(&cluster.nodes()[2]).await;
    for slot in (0..5_000).step_by(50) {
        for node in [2, 1, 0] {
            cluster.nodes()[node].cli::<()>(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &target]).await;
        }
    }
    let players = players(1_000);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    // The client library may block when it reads the slots again. Then the call ends with its
    // time-out, and the next one has a new connection.
    let started = Instant::now();
    let mut failures = 0;
    while cache.put(&copies, Timestamp::from_millis(2_000)).await > 0 {
        failures += 1;
        assert!(failures < 3, "{:?}", cache.statistics());
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(cache.get(&players).await.0.iter().flatten().count(), 1_000);
    assert_eq!(cache.statistics().openings, 0);
}

#[tokio::test]
async fn a_key_that_is_migrating_is_found_on_the_other_node() {
    let (cluster, cache) = start_cluster().await;
    let (name, slot) = player_of(&cluster, 0).await;
    let (source, target) = (id_of(&cluster.nodes()[0]).await, id_of(&cluster.nodes()[1]).await);
    cluster.nodes()[1].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
    cluster.nodes()[0].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    put(&cache, &[copy(&name, 3)]).await;
    assert_eq!(versions(&cache, &[&name]).await, [Some(3)]);
    assert_eq!(cluster.nodes()[1].cli::<usize>(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await, 1);
    assert_eq!(cache.statistics().put.failures, 0);
}

#[tokio::test]
async fn scripts_that_one_node_lost_are_loaded_again() {
    let (cluster, cache) = start_cluster().await;
    cluster.nodes()[1].cli::<()>(&["SCRIPT", "FLUSH"]).await;
    let players = players(100);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&cache, &copies).await;
    assert_eq!(cache.get(&players).await.0.iter().flatten().count(), 100);
    assert_eq!(cache.statistics().put.round_trips, 2);
}

#[tokio::test]
async fn a_lost_node_opens_the_circuit_breaker_until_it_returns() {
    let (cluster, cache) = start_cluster().await;
    let players = players(100);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&cache, &copies).await;
    cluster.nodes()[2].kill();
    let (found, errors) = cache.get(&players).await;
    assert!(errors == 1 && found.iter().flatten().count() > 20, "the other nodes answer for their players");
    assert_eq!(cache.put(&copies, Timestamp::from_millis(0)).await, 1);
    // While the client library reads the slots again, the commands to the other nodes wait too, and
    // the players of all nodes may be pending.
    let pending = cache.statistics().pending_invalidations;
    assert!(pending >= 10, "{pending} of 100 are pending, fewer than the lost node has");
    assert_eq!(cache.get(&players).await.1, 1);
    assert_eq!(cache.statistics().state, SharedCacheState::Down);
    cluster.nodes()[2].restart().await;
    until_up(&cache).await;
    put(&cache, &copies).await;
    assert_eq!(cache.get(&players).await.0.iter().flatten().count(), 100);
    assert_eq!(cache.statistics().pending_invalidations, 0);
}

#[tokio::test]
async fn the_wrong_mode_is_an_error() {
    let cluster = cluster().await;
    let standalone = connect(patient(cluster.url())).await;
    let (name, _) = player_of(&cluster, 1).await;
    for _ in 0..3 {
        assert_eq!(standalone.put(&[copy(&name, 1)], Timestamp::from_millis(0)).await, 1);
    }
    assert_eq!(standalone.state(), SharedCacheState::Down);
    let redis = server().start().await;
    let cache = connect(in_cluster(redis.url())).await;
    assert_eq!(cache.get(&[player("a")]).await.1, 1, "the server is not a cluster");
}
