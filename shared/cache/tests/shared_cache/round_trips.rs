//! Exact numbers of round trips: one for any number of players.

use std::time::{Duration, Instant};

use millrace_cache::SharedCache;
use millrace_domain::Timestamp;

use super::support::*;

#[tokio::test]
async fn a_get_or_put_of_any_number_of_players_takes_one_round_trip() {
    let (redis, cache) = start().await;
    for (count, times) in [(1, 1), (10, 2), (1_000, 3)] {
        let players = players(count);
        let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
        put(&cache, &copies).await;
        let (found, errors) = cache.get(&players).await;
        assert_eq!((found.iter().flatten().count(), errors), (count, 0));
        let statistics = cache.statistics();
        assert_eq!((statistics.put.calls, statistics.put.round_trips), (times, times));
        assert_eq!((statistics.get.calls, statistics.get.round_trips), (times, times));
    }
    assert_eq!(cache.get(&[]).await.0.len(), 0);
    assert_eq!(cache.put(&[], Timestamp::from_millis(0)).await, 0);
    let statistics = cache.statistics();
    assert_eq!((statistics.put.calls, statistics.get.calls, statistics.connections), (3, 3, 1));
    assert_eq!(calls(&redis, "evalsha").await, 1_011);
    assert_eq!(calls(&redis, "mget").await, 1 + 10, "a hundred keys a command");
    assert_eq!(calls(&redis, "getex").await, 3, "one key of each call, to see whether the server accepts writes");
    let gets = calls(&redis, "get").await;
    assert!((1..9).contains(&gets), "the flag of emergency mode every two seconds: {gets}");
    assert!(statistics.get.latency.max_us >= statistics.get.latency.p50_us && statistics.get.latency.p50_us > 0);
}

#[tokio::test]
async fn on_a_slow_network_a_thousand_players_take_about_as_long_as_one() {
    let redis = server().start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let mut settings = settings(url);
    settings.response_timeout = Duration::from_secs(30);
    let cache = connect(settings).await;
    proxy.delay(Duration::from_millis(20));
    let players = players(1_000);
    let copies: Vec<_> = players.iter().map(|player| copy(player.as_str(), 1)).collect();
    let started = Instant::now();
    put(&cache, &copies).await;
    let (found, _) = cache.get(&players).await;
    assert_eq!(found.iter().flatten().count(), 1_000);
    // One after the other would take 80 s. The proxy delays each chunk of 64 KB.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_missing_script_is_loaded_within_the_call() {
    let (redis, cache) = start().await;
    redis.cli::<()>(&["SCRIPT", "FLUSH"]).await;
    put(&cache, &[copy("a", 1), copy("b", 1)]).await;
    assert_eq!(versions(&cache, &["a", "b"]).await, [Some(1), Some(1)]);
    assert_eq!(cache.statistics().put.round_trips, 2);
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(cache.statistics().put.round_trips, 3, "one from then on");
    redis.cli::<()>(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(cache.forget(&[player("a")]).await, 0);
    assert_eq!(versions(&cache, &["a"]).await, [None]);
}

#[tokio::test]
async fn the_first_put_after_a_restart_succeeds() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("a", 1)]).await;
    redis.restart().await;
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(2)]);
    assert_eq!(cache.statistics().connections, 2);
}
