//! The performance history: sent with other calls, merged, and bounded in size.

use std::{sync::Arc, time::Duration};

use millrace_cache::{SharedCache, redis::RedisCache};
use millrace_performance::{Counter, Figures, HistoryStore, Minute, conformance, figures::SLOTS};
use millrace_servers::Redis;

use super::support::*;

fn applied(count: u64) -> Figures {
    let mut figures = Figures::default();
    figures.add(Counter::Applied, count);
    figures
}

async fn stored(redis: &Redis, minute: u64) -> usize {
    let key = format!("millrace:performance:{minute}");
    redis.cli::<usize>(&["STRLEN", &key]).await
}

fn last_minute() -> Minute {
    Minute::of(server_time())
}

async fn three_processes(connect: impl AsyncFn() -> RedisCache) -> Vec<Arc<dyn HistoryStore>> {
    let mut handles: Vec<Arc<dyn HistoryStore>> = Vec::new();
    for _ in 0..3 {
        handles.push(Arc::new(connect().await));
    }
    handles
}

async fn conforms(connect: impl AsyncFn() -> RedisCache) {
    let handles = three_processes(connect).await;
    let last = last_minute();
    conformance::a_day_of_all_processes_is_merged(&handles, last).await;
    conformance::every_figure_of_a_minute_is_read_back(&handles, last.plus(100)).await;
    conformance::a_process_reads_what_it_has_not_sent(&handles, last.plus(200)).await;
    conformance::one_process_replaces_a_state(&handles).await;
}

#[tokio::test]
async fn a_server_keeps_the_history_of_all_processes() {
    for protocol in ["", "/?protocol=resp3"] {
        let redis = server().start().await;
        conforms(async || connect(settings(format!("{}{protocol}", redis.url()))).await).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_history_of_all_processes() {
    let cluster = cluster().await;
    conforms(async || connect(in_cluster(cluster.url())).await).await;
    for node in cluster.nodes() {
        assert!(node.cli::<u64>(&["DBSIZE"]).await > 300, "the minutes are spread over the nodes");
    }
}

#[tokio::test]
async fn figures_are_sent_with_gets_and_puts_and_take_no_round_trip() {
    let (redis, cache) = start().await;
    cache.add(Minute(5), &applied(1));
    put(&cache, &[copy("a", 1)]).await;
    cache.add(Minute(6), &applied(2));
    // The last minute waits for a second, if another one was just sent.
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
    let statistics = cache.statistics();
    assert_eq!((statistics.put.round_trips, statistics.get.round_trips, statistics.upkeep.round_trips), (1, 1, 0));
    assert_eq!((calls(&redis, "bitfield").await, calls(&redis, "pexpire").await), (2, 3), "the active players expire");
    let recorded = cache.read(Minute(5)..Minute(7), &[]).await.unwrap();
    assert_eq!(recorded.figures.into_iter().collect::<Vec<_>>(), [(Minute(5), applied(1)), (Minute(6), applied(2))]);
    assert_eq!(cache.statistics().upkeep.round_trips, 1);
}

#[tokio::test]
async fn many_calls_in_a_second_send_their_figures_once() {
    let (redis, cache) = start().await;
    for version in 1..=50 {
        cache.add(Minute(5), &applied(1));
        put(&cache, &[copy("a", version)]).await;
    }
    let sent = calls(&redis, "bitfield").await;
    assert!((1..10).contains(&sent), "{sent}");
    let recorded = cache.read(Minute(5)..Minute(6), &[]).await.unwrap();
    assert_eq!(recorded.figures[&Minute(5)], applied(50));
}

#[tokio::test]
async fn reads_take_one_round_trip_for_four_hours() {
    let (redis, cache) = start().await;
    for (minutes, round_trips) in [(1, 1), (240, 1), (241, 2), (1_440, 6)] {
        let before = cache.statistics().upkeep.round_trips;
        cache.add(Minute(0), &applied(1));
        cache.read(Minute(0)..Minute(minutes), &["lateness"]).await.unwrap();
        assert_eq!(cache.statistics().upkeep.round_trips - before, round_trips, "{minutes} minutes");
    }
    assert_eq!(calls(&redis, "bitfield").await, 4);
}

#[tokio::test]
async fn a_minute_has_the_same_size_whatever_the_traffic() {
    let (redis, cache) = start().await;
    cache.add(Minute(5), &applied(1));
    let mut extreme = Figures::default();
    (0..SLOTS).for_each(|slot| extreme.add_to_slot(slot, u64::MAX));
    for _ in 0..3 {
        cache.add(Minute(6), &extreme);
        cache.flush().await.unwrap();
    }
    for minute in [5, 6] {
        assert_eq!(stored(&redis, minute).await, 11_352);
        let key = format!("millrace:performance:{minute}");
        let used: u64 = redis.cli(&["MEMORY", "USAGE", &key]).await;
        assert!(used < 13_000, "{used} bytes");
        let ttl: u64 = redis.cli(&["PTTL", &key]).await;
        assert!((89_990_000..=90_000_000).contains(&ttl), "25 hours: {ttl}");
    }
    let recorded = cache.read(Minute(6)..Minute(7), &[]).await.unwrap();
    let largest = |slot| if slot < 64 { i64::MAX as u64 } else { u64::from(u32::MAX) };
    assert!(recorded.figures[&Minute(6)].slots().all(|(slot, amount)| amount == largest(slot)), "sums do not wrap");
}

#[tokio::test]
async fn a_lost_connection_loses_no_figures() {
    let (redis, proxy, cache) = start_behind_proxy(settings).await;
    put(&cache, &[copy("a", 1)]).await;
    proxy.cut(millrace_servers::Cut::Reset);
    cache.add(Minute(5), &applied(1));
    put(&cache, &[copy("a", 2)]).await;
    assert_eq!(calls(&redis, "bitfield").await, 1, "sent again on the new connection");
    let recorded = cache.read(Minute(5)..Minute(6), &[]).await.unwrap();
    assert_eq!(recorded.figures[&Minute(5)], applied(1));
}

#[tokio::test]
async fn figures_of_an_outage_are_sent_after_it() {
    let (redis, cache) = start().await;
    redis.kill();
    cache.add(Minute(5), &applied(1));
    assert!(cache.flush().await.is_err());
    cache.add(Minute(5), &applied(2));
    redis.restart().await;
    until_up(&cache).await;
    let recorded = cache.read(Minute(5)..Minute(6), &[]).await.unwrap();
    assert_eq!(recorded.figures[&Minute(5)], applied(3));
}

#[tokio::test]
async fn changes_of_thresholds_are_announced_on_a_channel() {
    let (redis, cache) = start().await;
    assert_eq!(cache.announce("{}").await, Ok(()), "without a subscriber");
    assert_eq!(calls(&redis, "publish").await, 1);
    let rules = "on >secret ~millrace:* resetchannels -@all +get +set +evalsha +script|load +publish";
    let redis = server().user("app", rules).start().await;
    let cache = connect(settings(redis.url_as("app", "secret"))).await;
    let refused = cache.announce("{}").await.unwrap_err().to_string();
    assert!(refused.contains("NOPERM"), "{refused}");
    assert_eq!(cache.replace_state("lateness", None, "x").await, Ok(true), "states need no channel");
}
