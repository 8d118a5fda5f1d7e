//! A cluster: keys over all slots, one pipeline a node, keys that move, nodes that are lost.

use millrace_cache::{RemoteTier, TierState};
use millrace_domain::Timestamp;
use millrace_servers::{Redis, RedisCluster};

use crate::support::*;

async fn id_of(node: &Redis) -> String {
    node.cli(&["CLUSTER", "MYID"]).await
}

#[tokio::test]
async fn players_over_all_slots_take_one_round_trip() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    let players = players(1_000);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&tier, &copies).await;
    let (found, errors) = tier.get(&players).await;
    assert_eq!((found.iter().flatten().count(), errors), (1_000, 0));
    for (copy, player) in found.iter().flatten().zip(&players) {
        assert_eq!(copy.queue.player_id, *player);
    }
    let mut keys = Vec::new();
    for node in cluster.nodes() {
        keys.push(node.cli::<usize>(&["DBSIZE"]).await);
    }
    // Beside the copies each node lists who is active.
    assert!(keys.iter().all(|keys| *keys > 200) && keys.iter().sum::<usize>() == 1_000 + 3, "{keys:?}");
    assert_eq!(tier.forget(&players[..500]).await, 0);
    let (found, _) = tier.get(&players).await;
    assert!(found[..500].iter().all(Option::is_none) && found[500..].iter().all(Option::is_some));
    let statistics = tier.statistics();
    let round_trips = (statistics.put.round_trips, statistics.get.round_trips, statistics.forget.round_trips);
    assert_eq!((round_trips, statistics.connections), ((1, 2, 1), 3));
}

#[tokio::test]
async fn a_slot_that_moved_is_followed_within_the_call_and_found_at_once_after_it() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    let (name, slot) = player_of(&cluster, 1).await;
    let target = id_of(&cluster.nodes()[2]).await;
    for node in [2, 1, 0] {
        cluster.nodes()[node].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await;
    }
    put(&tier, &[copy(&name, 3)]).await;
    assert_eq!(tier.statistics().put.round_trips, 2);
    assert_eq!(cluster.nodes()[2].cli::<usize>(&["EXISTS", &key(&name)]).await, 1);
    assert_eq!(versions(&tier, &[&name]).await, [Some(3)]);
    assert_eq!((tier.statistics().get.round_trips, tier.statistics().connections), (1, 3));
}

#[tokio::test]
async fn a_key_on_its_way_to_another_node_is_asked_for_there() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    let (name, slot) = player_of(&cluster, 0).await;
    let (source, target) = (id_of(&cluster.nodes()[0]).await, id_of(&cluster.nodes()[1]).await);
    cluster.nodes()[1].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
    cluster.nodes()[0].cli::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    put(&tier, &[copy(&name, 3)]).await;
    assert_eq!(versions(&tier, &[&name]).await, [Some(3)]);
    assert_eq!(cluster.nodes()[1].cli::<usize>(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await, 1);
    assert_eq!(tier.statistics().put.round_trips, 2);
}

#[tokio::test]
async fn scripts_lost_on_one_node_are_loaded_there_again() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    cluster.nodes()[1].cli::<()>(&["SCRIPT", "FLUSH"]).await;
    let players = players(100);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&tier, &copies).await;
    assert_eq!(tier.get(&players).await.0.iter().flatten().count(), 100);
    assert_eq!(tier.statistics().put.round_trips, 2);
}

#[tokio::test]
async fn a_lost_node_opens_the_breaker_and_its_return_closes_it() {
    let cluster = RedisCluster::start().await;
    let tier = connect(in_cluster(cluster.url())).await;
    let players = players(100);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    put(&tier, &copies).await;
    cluster.nodes()[2].kill();
    let (found, errors) = tier.get(&players).await;
    assert!(errors == 1 && found.iter().flatten().count() > 20, "the other nodes answer for theirs");
    assert_eq!(tier.put(&copies, Timestamp::from_millis(0)).await, 1);
    let owed = tier.statistics().owed;
    assert!((10..90).contains(&owed), "{owed} of 100 lie on the lost node");
    assert_eq!(tier.get(&players).await.1, 1);
    assert_eq!(tier.statistics().state, TierState::Down);
    cluster.nodes()[2].restart().await;
    until_up(&tier).await;
    put(&tier, &copies).await;
    assert_eq!(tier.get(&players).await.0.iter().flatten().count(), 100);
    assert_eq!(tier.statistics().owed, 0);
}

#[tokio::test]
async fn the_wrong_mode_is_told_and_harms_nothing() {
    let cluster = RedisCluster::start().await;
    let standalone = connect(patient(cluster.url())).await;
    let (name, _) = player_of(&cluster, 1).await;
    for _ in 0..3 {
        assert_eq!(standalone.put(&[copy(&name, 1)], Timestamp::from_millis(0)).await, 1);
    }
    assert_eq!(standalone.state(), TierState::Down);
    let redis = Redis::start().await;
    let tier = connect(in_cluster(redis.url())).await;
    assert_eq!(tier.get(&[player("a")]).await.1, 1, "it is no cluster");
}
