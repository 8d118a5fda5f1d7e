//! The upkeep of a cluster.

use std::time::Duration;

use millrace_cache::{Emergency, ScanCursor, SharedCache, upkeep::StatisticsSample};

use super::support::*;

#[tokio::test]
async fn every_node_is_scanned_measured_and_cleared() {
    let (cluster, cache) = start_cluster().await;
    let players = players(6_000);
    for some in players.chunks(1_000) {
        put(&cache, &some.iter().map(|player| copy(player.as_str(), 1)).collect::<Vec<_>>()).await;
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = cache.scan_players(cursor.as_ref(), later()).await.unwrap();
        found.extend(page.players);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 6_000);
    assert_eq!(cache.active_players(20_000, later()).await.unwrap().len(), 6_000);
    let figures = cache.measure_servers(later()).await.unwrap();
    assert_eq!(figures.nodes.len(), 3);
    assert!(figures.nodes.iter().all(|node| node.version.is_some() && node.ping.p50_us > 0), "{:?}", figures.nodes);
    assert_eq!(figures.keys, Some(6_001));
    assert!(!figures.sample.complete && figures.sample.copies.queue > 900, "{:?}", figures.sample);

    // The scan starts again if the node of its cursor is gone.
    let gone = ScanCursor { node: Some("10.0.0.9:1".to_owned()), position: 77 };
    assert!(cache.clear(None, Some(&gone), later()).await.unwrap().scanned > 0);
    let (scanned, cleared, pages) = clear(&cache, None).await;
    assert!(scanned >= 6_000 && cleared > 4_500 && cleared < 6_000, "{scanned} {cleared}");
    assert!(pages >= 6, "{pages}");
    assert_eq!(cache.get(&players).await.0.into_iter().flatten().count(), 0);
    for node in cluster.nodes() {
        assert_eq!(calls(node, "keys").await, 0);
    }
}

#[tokio::test]
async fn processes_learn_about_emergency_mode_whatever_node_they_use() {
    let (cluster, cache) = start_cluster().await;
    let switched_at = server_time();
    let on = Emergency { enabled: true, switched_at, until: switched_at + 600_000 };
    cache.switch_emergency(on, later()).await.unwrap();
    assert_eq!(cache.read_emergency(later()).await.unwrap(), Some(on));
    for node in 0..3 {
        let (name, _) = player_of(&cluster, node).await;
        let other = connect(in_cluster(cluster.url())).await;
        versions(&other, &[&name]).await;
        assert_eq!(other.emergency(), Some(on), "node {node}");
        assert_eq!(other.statistics().get.round_trips, 1, "at the same time as the read");
    }
}

#[tokio::test]
async fn samples_and_ttls_work_in_a_cluster() {
    let (cluster, cache) = start_cluster().await;
    let sample = StatisticsSample { at: server_time(), text: "{}".to_owned() };
    cache.store_sample(&sample, later()).await.unwrap();
    assert_eq!(cache.read_samples(at(0), 5, later()).await.unwrap(), [sample]);
    let quarter = Some(Duration::from_secs(900));
    cache.fill(&[copy("warmed", 1)], quarter, at(0), later()).await.unwrap();
    let ttl: i64 = cluster.node_of(&key("warmed")).await.cli(&["PTTL", &key("warmed")]).await;
    assert!(ttl > 890_000, "{ttl}");
}
