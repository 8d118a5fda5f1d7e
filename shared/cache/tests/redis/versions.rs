//! A version never moves backwards, whoever puts what and when.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::future::join_all;
use millrace_cache::RemoteTier;
use millrace_domain::Timestamp;
use millrace_servers::Redis;

use crate::support::*;

#[tokio::test]
async fn of_many_who_race_the_highest_version_wins_and_nobody_sees_one_go_back() {
    let redis = Redis::start().await;
    let mut tiers = Vec::new();
    for _ in 0..8 {
        tiers.push(connect(settings(redis.url())).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (tier, over) = (connect(settings(redis.url())).await, Arc::clone(&over));
        async move {
            let (mut highest, mut seen) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                if let [Some(version)] = versions(&tier, &["p"]).await[..] {
                    assert!(version >= highest, "{version} after {highest}");
                    seen += u32::from(version > highest);
                    highest = version;
                }
            }
            seen
        }
    });
    let highest = join_all(tiers.iter().zip(0..).map(|(tier, seed)| async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut highest = 0;
        for n in 0..200_u64 {
            // Beyond 2^53, where floating point numbers lose the last digits.
            let version = (1 << 60) + random.u64(0..20 + n * 20);
            put(tier, &[copy("p", version)]).await;
            highest = highest.max(version);
        }
        highest
    }))
    .await
    .into_iter()
    .max();
    over.store(true, Ordering::Relaxed);
    assert!(watcher.await.unwrap() > 1, "the watcher saw the version grow");
    assert_eq!(versions(&tiers[0], &["p"]).await, [highest]);
    let figures = tiers[0].statistics().kinds.queue;
    assert!(figures.outdated > 0 && figures.sets > 0, "{figures:?}");
}

#[tokio::test]
async fn within_a_version_units_done_only_grow_and_knowing_them_is_newer() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    let held = async || {
        let (found, _) = tier.get(&[player("p")]).await;
        let copy = found[0].clone().unwrap();
        (copy.queue.version, copy.queue.tasks[0].units_done, copy.progress_known)
    };
    put(&tier, &[progress("p", 3, 0, false)]).await;
    put(&tier, &[progress("p", 3, 0, true)]).await;
    put(&tier, &[progress("p", 3, 0, false)]).await;
    assert_eq!(held().await, (3, 0, true));
    put(&tier, &[progress("p", 3, 9, true)]).await;
    put(&tier, &[progress("p", 3, 10, true)]).await;
    put(&tier, &[progress("p", 3, 9, true)]).await;
    assert_eq!(held().await, (3, 10, true));
    put(&tier, &[progress("p", 4, 0, false)]).await;
    assert_eq!(held().await, (4, 0, false));
    let sets = tier.statistics().kinds;
    assert_eq!((sets.queue.sets, sets.progress.sets), (2, 3));
    assert_eq!((sets.queue.outdated, sets.progress.outdated), (1, 1));
}

#[tokio::test]
async fn an_equal_copy_takes_the_place_and_lives_as_long_as_a_new_one() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("p", 3)]).await;
    redis.cli::<()>(&["PEXPIRE", &key("p"), "1000"]).await;
    put(&tier, &[copy("p", 3)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await > 100_000);
    redis.cli::<()>(&["PEXPIRE", &key("p"), "1000"]).await;
    put(&tier, &[copy("p", 2)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await <= 1_000, "an older one refreshes nothing");
}

#[tokio::test]
async fn copies_live_for_the_time_of_their_kind_less_a_little_jitter() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    let names: Vec<String> = (0..200).map(|n| format!("p-{n}")).collect();
    for (seconds, with_progress) in [(300_i64, false), (60, true)] {
        let copies: Vec<_> =
            names.iter().map(|name| if with_progress { progress(name, 2, 5, true) } else { copy(name, 1) }).collect();
        put(&tier, &copies).await;
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
async fn a_copy_that_does_not_know_its_progress_lives_as_one_that_was_committed() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[progress("p", 1, 5, false)]).await;
    assert!(redis.cli::<i64>(&["PTTL", &key("p")]).await > 200_000);
}

#[tokio::test]
async fn a_forgotten_player_is_missed_and_no_older_copy_under_way_comes_back() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[progress("p", 5, 7, true), copy("q", 5)]).await;
    assert_eq!(tier.forget(&[player("p")]).await, 0);
    assert_eq!(versions(&tier, &["p", "q"]).await, [None, Some(5)]);
    let ttl = redis.cli::<i64>(&["PTTL", &key("p")]).await;
    assert!((940_000..=960_000).contains(&ttl), "longer than the longest fill: {ttl}");

    put(&tier, &[copy("p", 4)]).await;
    assert_eq!(versions(&tier, &["p"]).await, [None]);
    put(&tier, &[copy("p", 5)]).await;
    assert_eq!(versions(&tier, &["p"]).await, [Some(5)], "the same version read from the table again");
    assert_eq!(tier.forget(&[player("p")]).await, 0);
    put(&tier, &[copy("p", 6)]).await;
    assert_eq!(versions(&tier, &["p"]).await, [Some(6)]);
}

#[tokio::test]
async fn a_tombstone_has_the_version_given_or_held_whichever_is_greater() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("held", 5)]).await;
    let versions_given = [(player("held"), 3), (player("given"), 8), (player("unknown"), 0)];
    assert_eq!(tier.forget_before(&versions_given).await, 0);
    // Forgotten again, a tombstone keeps its version.
    assert_eq!(tier.forget(&[player("given")]).await, 0);
    put(&tier, &[copy("held", 4), copy("given", 7), copy("unknown", 1)]).await;
    assert_eq!(versions(&tier, &["held", "given", "unknown"]).await, [None, None, Some(1)]);
    put(&tier, &[copy("held", 5), copy("given", 8)]).await;
    assert_eq!(versions(&tier, &["held", "given"]).await, [Some(5), Some(8)]);
}

#[tokio::test]
async fn without_memory_the_older_copy_goes_and_redis_counts_as_well() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("p", 1), copy("q", 1)]).await;
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for version in 2..8 {
        assert_eq!(tier.put(&[copy("p", version)], Timestamp::from_millis(0)).await, 1);
    }
    assert_eq!(versions(&tier, &["p", "q"]).await, [None, Some(1)], "what is read is not older than the table");
    let statistics = tier.statistics();
    assert_eq!(statistics.kinds.queue.errors, 6);
    assert_eq!((statistics.openings, statistics.owed), (0, 0));
    redis.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    put(&tier, &[copy("p", 8)]).await;
    assert_eq!(versions(&tier, &["p"]).await, [Some(8)]);
}
