//! A version never moves backwards.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::future::join_all;
use millrace_cache::SharedCache;
use millrace_domain::Timestamp;

use super::support::*;

#[tokio::test]
async fn of_concurrent_puts_the_highest_version_wins() {
    let redis = server().start().await;
    let mut caches = Vec::new();
    for _ in 0..8 {
        caches.push(connect(settings(redis.url())).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (cache, over) = (connect(settings(redis.url())).await, Arc::clone(&over));
        async move {
            let (mut highest, mut seen) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                if let [Some(version)] = versions(&cache, &["p"]).await[..] {
                    assert!(version >= highest, "{version} after {highest}");
                    seen += u32::from(version > highest);
                    highest = version;
                }
            }
            seen
        }
    });
    let highest = join_all(caches.iter().zip(0..).map(|(cache, seed)| async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut highest = 0;
        for n in 0..200_u64 {
            // Above 2^53, where floating point numbers lose the last digits.
            let version = (1 << 60) + random.u64(0..20 + n * 20);
            put(cache, &[copy("p", version)]).await;
            highest = highest.max(version);
        }
        highest
    }))
    .await
    .into_iter()
    .max();
    over.store(true, Ordering::Relaxed);
    assert!(watcher.await.unwrap() > 1, "the watcher saw the version grow");
    assert_eq!(versions(&caches[0], &["p"]).await, [highest]);
    let figures = caches[0].statistics().kinds.queue;
    assert!(figures.outdated > 0 && figures.sets > 0, "{figures:?}");
}

#[tokio::test]
async fn within_a_version_units_done_only_grow() {
    let (_redis, cache) = start().await;
    let current = async || {
        let (found, _) = cache.get(&[player("p")]).await;
        let copy = found[0].clone().unwrap();
        (copy.queue.version, copy.queue.tasks[0].units_done, copy.progress_known)
    };
    put(&cache, &[progress("p", 3, 0, false)]).await;
    put(&cache, &[progress("p", 3, 0, true)]).await;
    put(&cache, &[progress("p", 3, 0, false)]).await;
    assert_eq!(current().await, (3, 0, true));
    put(&cache, &[progress("p", 3, 9, true)]).await;
    put(&cache, &[progress("p", 3, 10, true)]).await;
    put(&cache, &[progress("p", 3, 9, true)]).await;
    assert_eq!(current().await, (3, 10, true));
    put(&cache, &[progress("p", 4, 0, false)]).await;
    assert_eq!(current().await, (4, 0, false));
    let sets = cache.statistics().kinds;
    assert_eq!((sets.queue.sets, sets.progress.sets), (2, 3));
    assert_eq!((sets.queue.outdated, sets.progress.outdated), (1, 1));
}

#[tokio::test]
async fn an_equal_copy_renews_the_time_to_live() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("p", 3)]).await;
    redis.cli::<()>(&["PEXPIRE", &key("p"), "1000"]).await;
    put(&cache, &[copy("p", 3)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await > 100_000);
    redis.cli::<()>(&["PEXPIRE", &key("p"), "1000"]).await;
    put(&cache, &[copy("p", 2)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await <= 1_000, "an older copy renews nothing");
}

#[tokio::test]
async fn copies_live_for_the_time_of_their_kind_minus_jitter() {
    let (redis, cache) = start().await;
    let names: Vec<String> = (0..200).map(|n| format!("p-{n}")).collect();
    for (seconds, version) in [(300_i64, 1), (60, 2), (600, 3)] {
        let copy = |name: &String| match seconds {
            300 => copy(name, version),
            60 => progress(name, version, 5, true),
            _ => idle(name, version),
        };
        let copies: Vec<_> = names.iter().map(copy).collect();
        put(&cache, &copies).await;
        let mut ttls = Vec::new();
        for name in &names {
            ttls.push(redis.cli::<i64>(&["PTTL", &key(name)]).await);
        }
        let (longest, shortest) = (*ttls.iter().max().unwrap(), *ttls.iter().min().unwrap());
        assert!(longest <= seconds * 1_000, "{longest}");
        // The test itself takes some seconds at most.
        assert!(shortest >= seconds * 900 - 10_000, "{shortest}");
        assert!(longest - shortest > seconds * 50, "spread from {shortest} to {longest}");
    }
}

#[tokio::test]
async fn a_copy_without_known_progress_lives_as_a_queue() {
    let (redis, cache) = start().await;
    put(&cache, &[progress("p", 1, 5, false)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await > 200_000);
}

#[tokio::test]
async fn a_forgotten_player_is_a_miss_and_no_older_copy_comes_back() {
    let (redis, cache) = start().await;
    put(&cache, &[progress("p", 5, 7, true), copy("q", 5)]).await;
    assert_eq!(cache.forget(&[player("p")]).await, 0);
    assert_eq!(versions(&cache, &["p", "q"]).await, [None, Some(5)]);
    let ttl = redis.cli::<i64>(&["PTTL", &key("p")]).await;
    assert!((940_000..=960_000).contains(&ttl), "longer than any fill is under way: {ttl}");

    assert_eq!(cache.forget(&[player("p")]).await, 0, "a tombstone that is forgotten again keeps its version");
    put(&cache, &[copy("p", 4)]).await;
    assert_eq!(versions(&cache, &["p"]).await, [None]);
    put(&cache, &[copy("p", 5)]).await;
    assert_eq!(versions(&cache, &["p"]).await, [Some(5)], "the same version, read from the table again");
    assert_eq!(cache.forget(&[player("p")]).await, 0);
    put(&cache, &[copy("p", 6)]).await;
    assert_eq!(versions(&cache, &["p"]).await, [Some(6)]);
}

#[tokio::test]
async fn a_full_redis_drops_the_older_copy_and_stays_in_use() {
    let (redis, cache) = start().await;
    put(&cache, &[copy("p", 1), copy("q", 1)]).await;
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for version in 2..8 {
        assert_eq!(cache.put(&[copy("p", version)], Timestamp::from_millis(0)).await, 1);
    }
    assert_eq!(versions(&cache, &["p", "q"]).await, [None, Some(1)], "no copy is older than the table");
    let statistics = cache.statistics();
    assert_eq!(statistics.kinds.queue.errors, 6);
    assert_eq!((statistics.openings, statistics.pending_invalidations), (0, 0));
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    put(&cache, &[copy("p", 8)]).await;
    assert_eq!(versions(&cache, &["p"]).await, [Some(8)]);
}
