//! Server statistics and stored samples.

use millrace_cache::{SharedCache, upkeep::StatisticsSample};

use super::support::*;

#[tokio::test]
async fn samples_are_stored_for_a_day_and_their_number_is_bounded() {
    let (redis, cache) = start().await;
    let key = "millrace:upkeep:statistics";
    const DAY: u64 = 24 * 3_600_000;
    let begin = server_time().as_millis();
    let sample = |millis: u64| StatisticsSample { at: at(millis), text: format!("{{\"n\":{millis}}}") };
    let store = async |millis: u64| cache.store_sample(&sample(millis), later()).await.unwrap();
    store(begin - DAY - 1).await;
    store(begin - 5).await;
    store(begin).await;
    let stored = cache.read_samples(at(0), 10, later()).await.unwrap();
    assert_eq!(stored, [sample(begin), sample(begin - 5)], "the latest first, without the old one");
    assert_eq!(cache.read_samples(at(begin), 10, later()).await.unwrap(), [sample(begin)]);
    assert_eq!(cache.read_samples(at(0), 1, later()).await.unwrap(), [sample(begin)]);
    for n in 0..1_100_u64 {
        redis.cli::<i64>(&["ZADD", key, &(begin + n).to_string(), &format!("x{n}")]).await;
    }
    store(begin + 2_000).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", key]).await, 1_000);
    assert!(redis.cli::<u64>(&["PTTL", key]).await > DAY - 60_000);
}

#[tokio::test]
async fn servers_are_measured_and_their_keys_sampled() {
    for protocol in ["", "/?protocol=resp3"] {
        let redis = server().maxmemory("64mb", "allkeys-lru").start().await;
        let cache = connect(settings(format!("{}{protocol}", redis.url()))).await;
        put(&cache, &[copy("a", 1), copy("b", 1), progress("p", 1, 5, true), idle("i", 1)]).await;
        assert_eq!(versions(&cache, &["a"]).await, [Some(1)]);
        assert_eq!(cache.statistics().server.unwrap().nodes, 1, "asked with the put");
        assert_eq!(cache.forget(&[player("b")]).await, 0);
        for key in ["millrace:frequent:a", "foreign-1", "foreign-2"] {
            redis.cli::<()>(&["SET", key, "x"]).await;
        }
        let before = cache.statistics().upkeep;
        let figures = cache.measure_servers(later()).await.unwrap();
        let took = cache.statistics().upkeep.round_trips - before.round_trips;
        assert_eq!(took, 1 + 20 + 1 + 1, "the reports, the pings, the sample, its kinds");
        let [node] = figures.nodes.as_slice() else { panic!("{figures:?}") };
        assert_eq!((node.max_bytes, node.evictions), (Some(64 << 20), Some(0)));
        assert!(node.used_bytes > Some(100_000) && node.uptime_seconds.is_some());
        let version = node.version.clone().unwrap();
        assert!(redis.cli::<String>(&["INFO", "server"]).await.contains(&format!("_version:{version}")), "{version}");
        assert!(node.keyspace_misses.is_some() && node.clients >= Some(1), "{node:?}");
        assert!(node.ping.max_us >= node.ping.p50_us && node.ping.p50_us > 0, "{node:?}");
        assert_eq!(figures.keys, Some(8));
        let sample = figures.sample;
        assert_eq!((sample.keys, sample.complete, sample.forgotten), (8, true, 1));
        assert_eq!((sample.upkeep, sample.foreign), (1, 2), "the active players, and foreign keys");
        let copies = sample.copies;
        assert_eq!((copies.queue, copies.progress, copies.stats, copies.frequent), (1, 1, 1, 1));
        // The other calls of the upkeep understand both protocols too.
        assert_eq!(cache.active_players(1, later()).await.unwrap().len(), 1);
        let stored = StatisticsSample { at: server_time(), text: "{}".to_owned() };
        cache.store_sample(&stored, later()).await.unwrap();
        assert_eq!(cache.read_samples(at(0), 5, later()).await.unwrap(), [stored]);
    }
}
