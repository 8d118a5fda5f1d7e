//! How often the wire is crossed: once, for any number of players.

use std::time::{Duration, Instant};

use millrace_cache::RemoteTier;
use millrace_domain::Timestamp;
use millrace_servers::{Redis, TcpProxy};

use crate::support::*;

#[tokio::test]
async fn one_get_and_one_put_are_one_round_trip_each_for_any_number_of_players() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    for (count, times) in [(1, 1), (10, 2), (1_000, 3)] {
        let players = players(count);
        let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
        put(&tier, &copies).await;
        let (found, errors) = tier.get(&players).await;
        assert_eq!((found.iter().flatten().count(), errors), (count, 0));
        let statistics = tier.statistics();
        assert_eq!((statistics.put.calls, statistics.put.round_trips), (times, times));
        assert_eq!((statistics.get.calls, statistics.get.round_trips), (times, times));
    }
    assert_eq!(tier.get(&[]).await.0.len(), 0);
    assert_eq!(tier.put(&[], Timestamp::from_millis(0)).await, 0);
    let statistics = tier.statistics();
    assert_eq!((statistics.put.calls, statistics.get.calls, statistics.connections), (3, 3, 1));
    assert_eq!(calls(&redis, "evalsha").await, 1_011);
    assert_eq!(calls(&redis, "mget").await, 1 + 1 + 10, "a hundred keys in a command");
    let gets = calls(&redis, "get").await;
    assert!((1..9).contains(&gets), "whether emergency mode is on, every two seconds: {gets}");
    assert!(statistics.get.latency.max_us >= statistics.get.latency.p50_us && statistics.get.latency.p50_us > 0);
}

#[tokio::test]
async fn over_a_slow_line_a_thousand_players_take_about_as_long_as_one() {
    let redis = Redis::start().await;
    let proxy = TcpProxy::start(redis.address()).await;
    let mut settings = settings(format!("redis://{}", proxy.address()));
    settings.response_timeout = Duration::from_secs(30);
    let tier = connect(settings).await;
    proxy.delay(Duration::from_millis(20));
    let players = players(1_000);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    let started = Instant::now();
    put(&tier, &copies).await;
    let (found, _) = tier.get(&players).await;
    assert_eq!(found.iter().flatten().count(), 1_000);
    // One after the other would be 80 s. The proxy holds back each chunk of 64 KB.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_lost_script_is_loaded_again_within_the_call() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    redis.cli::<()>(&["SCRIPT", "FLUSH"]).await;
    put(&tier, &[copy("a", 1), copy("b", 1)]).await;
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(1), Some(1)]);
    assert_eq!(tier.statistics().put.round_trips, 2);
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(tier.statistics().put.round_trips, 3, "from then on one each");
    redis.cli::<()>(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(tier.forget(&[player("a")]).await, 0);
    assert_eq!(versions(&tier, &["a"]).await, [None]);
}

#[tokio::test]
async fn after_a_restart_the_first_put_is_not_lost() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1)]).await;
    redis.restart().await;
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(2)]);
    assert_eq!(tier.statistics().connections, 2);
}
