//! Redis is absent, killed, stopped, demoted, cut off or silent: calls end, and it comes back by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_cache::{RemoteTier, TierState, redis::RedisTier};
use millrace_domain::Timestamp;
use millrace_servers::{Cut, Redis, TcpProxy};

use crate::support::*;

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

async fn behind_proxy(redis: &Redis) -> (TcpProxy, String) {
    let proxy = TcpProxy::start(redis.address()).await;
    let url = format!("redis://{}", proxy.address());
    (proxy, url)
}

/// While the breaker is open nothing is sent, nobody connects, and nobody waits.
async fn assert_left_alone(tier: &RedisTier, proxy: &TcpProxy) {
    let (connections, sent) = (proxy.connections(), proxy.bytes_sent());
    let before = tier.statistics();
    let started = Instant::now();
    for n in 0..200 {
        let (found, errors) = tier.get(&players(10)).await;
        assert_eq!((found.len(), found.iter().flatten().count(), errors), (10, 0, 0));
        assert_eq!(tier.put(&[copy("left-alone", n)], now()).await, 0);
        assert_eq!(tier.forget(&[player("a")]).await, 1, "whoever asks to forget is told that it was not done");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!((proxy.connections(), proxy.bytes_sent()), (connections, sent));
    let after = tier.statistics();
    assert_eq!((after.get, after.put, after.connections), (before.get, before.put, before.connections));
    assert_eq!(after.state, TierState::Down);
}

#[tokio::test]
async fn a_redis_that_is_absent_does_not_fail_the_start_and_is_found_when_it_comes() {
    let redis = Redis::start().await;
    redis.kill();
    let tier = connect(settings(redis.url())).await;
    assert_eq!(tier.state(), TierState::Up, "one failure is not enough");
    assert_eq!(tier.put(&[copy("a", 1)], now()).await, 1);
    assert_eq!(tier.get(&players(1)).await.1, 1);
    assert_eq!(tier.state(), TierState::Down);
    redis.restart().await;
    until_up(&tier).await;
    put(&tier, &[copy("a", 1)]).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
}

#[tokio::test]
async fn a_killed_redis_opens_the_breaker_and_its_restart_closes_it() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1)]).await;
    redis.kill();
    fail_until_down(&tier).await;
    redis.restart().await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a"]).await, [None], "it is empty");
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!(tier.statistics().openings, 1);
}

#[tokio::test]
async fn while_the_breaker_is_open_nothing_is_sent_and_nobody_waits() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(patient(url)).await;
    redis.pause();
    fail_until_down(&tier).await;
    assert_left_alone(&tier, &proxy).await;
    assert_eq!(tier.statistics().owed, 1);
}

#[tokio::test]
async fn an_outage_leaves_no_older_copy_behind() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(hasty(url)).await;
    put(&tier, &[copy("a", 1), copy("b", 1), copy("c", 1), copy("d", 1)]).await;
    proxy.swallow();
    assert_eq!(tier.put(&[copy("a", 2), copy("b", 2)], now()).await, 1);
    let started = Instant::now();
    while tier.state() == TierState::Up {
        tier.put(&[copy("a", 3)], now()).await;
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(tier.put(&[copy("c", 2), copy("b", 3)], now()).await, 0, "nothing is tried");
    assert_eq!(tier.statistics().owed, 3);

    proxy.normal();
    until_up(&tier).await;
    let before = tier.statistics().get;
    assert_eq!(versions(&tier, &["a", "b", "c", "d"]).await, [None, None, None, Some(1)]);
    let after = tier.statistics();
    assert_eq!((after.get.round_trips - before.round_trips, after.owed), (1, 0), "told on the way");
    put(&tier, &[copy("a", 2), copy("b", 2), copy("c", 1)]).await;
    assert_eq!(versions(&tier, &["a", "b", "c"]).await, [None, None, None], "no older one comes back");
    put(&tier, &[copy("a", 3), copy("b", 3), copy("c", 2)]).await;
    assert_eq!(versions(&tier, &["a", "b", "c"]).await, [Some(3), Some(3), Some(2)]);
}

#[tokio::test]
async fn a_redis_that_stood_still_goes_on_with_what_it_was_sent_and_no_older_copy_is_read() {
    let redis = Redis::start().await;
    let tier = connect(hasty(redis.url())).await;
    put(&tier, &[copy("a", 1), copy("b", 1)]).await;
    redis.pause();
    for version in 2..5 {
        assert_eq!(tier.put(&[copy("a", version)], now()).await, 1);
    }
    assert_eq!(tier.put(&[copy("b", 2)], now()).await, 0, "it is left alone");
    redis.resume();
    until_up(&tier).await;
    let found = versions(&tier, &["a", "b"]).await;
    assert!(found[0].is_none_or(|version| version == 4) && found[1].is_none(), "{found:?}");
}

#[tokio::test]
async fn what_is_owed_harms_no_newer_copy_that_somebody_else_has_put() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(settings(url)).await;
    put(&tier, &[copy("a", 1), copy("b", 1)]).await;
    proxy.cut(Cut::Reset);
    proxy.refuse();
    assert_eq!(tier.put(&[copy("a", 2), progress("b", 1, 5, true)], now()).await, 1);
    let other = connect(settings(redis.url())).await;
    put(&other, &[copy("a", 2), progress("b", 1, 4, true)]).await;
    proxy.normal();
    assert_eq!(versions(&tier, &["a", "b"]).await, [Some(2), None], "fewer units done than were acknowledged");
}

#[tokio::test]
async fn a_put_that_was_owed_settles_the_debt_by_itself() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(settings(url)).await;
    proxy.cut(Cut::Reset);
    proxy.refuse();
    assert_eq!(tier.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!(tier.statistics().owed, 1);
    proxy.normal();
    put(&tier, &[copy("a", 2)]).await;
    assert_eq!((tier.statistics().owed, versions(&tier, &["a"]).await), (0, vec![Some(2)]));
}

#[tokio::test]
async fn a_connection_that_was_cut_while_nobody_used_it_fails_nothing() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(settings(url)).await;
    put(&tier, &[copy("a", 1)]).await;
    for (how, times) in [(Cut::Reset, 1), (Cut::Fin, 2), (Cut::Reset, 3)] {
        proxy.cut(how);
        assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
        put(&tier, &[copy("a", 1)]).await;
        assert_eq!((proxy.connections(), tier.statistics().connections), (1 + times, 1 + times));
    }
    assert_eq!((tier.statistics().get.failures, tier.statistics().put.failures), (0, 0));
}

#[tokio::test]
async fn many_callers_share_one_new_connection() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(settings(url)).await;
    put(&tier, &[copy("a", 1)]).await;
    proxy.cut(Cut::Reset);
    let all = futures::future::join_all((0..20).map(|_| versions(&tier, &["a"]))).await;
    assert!(all.iter().all(|versions| *versions == [Some(1)]));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_is_half_open_is_given_up_after_two_time_outs() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(hasty(url)).await;
    put(&tier, &[copy("a", 1)]).await;
    proxy.swallow();
    assert_eq!(tier.get(&players(1)).await.1, 1);
    proxy.normal();
    assert_eq!(proxy.connections(), 1);
    assert_eq!(tier.get(&players(1)).await.1, 1, "the connection stays dead");
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)], "this one is new");
    assert_eq!((proxy.connections(), tier.state()), (2, TierState::Up));
}

#[tokio::test]
async fn a_slow_redis_takes_no_more_than_the_time_of_a_call() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(patient(url)).await;
    proxy.delay(Duration::from_secs(20));
    let started = Instant::now();
    fail_until_down(&tier).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_call_that_is_given_up_counts_as_a_failure_and_its_put_is_owed() {
    let redis = Redis::start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let tier = connect(settings(url)).await;
    put(&tier, &[copy("a", 1)]).await;
    proxy.swallow();
    let asked = [player("a")];
    for _ in 0..2 {
        let get = tier.get(&asked);
        assert!(tokio::time::timeout(Duration::from_millis(20), get).await.is_err());
    }
    let copies = [copy("a", 2)];
    let put = tier.put(&copies, now());
    assert!(tokio::time::timeout(Duration::from_millis(20), put).await.is_err());
    let statistics = tier.statistics();
    assert_eq!((statistics.openings, statistics.owed, statistics.state), (1, 1, TierState::Down));
    proxy.normal();
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a"]).await, [None]);
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_left_alone_at_the_first_write_and_until_it_takes_writes() {
    let primary = Redis::start().await;
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1)]).await;
    redis.demote_to_replica_of(&primary).await;
    let began = Instant::now();
    while redis.info("master_link_status").await != "up" {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(tier.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!(tier.statistics().state, TierState::Down);
    // It answers reads all the time, and still no probe takes it for well.
    let connections = tier.statistics().connections;
    until("a probe has tried", || tier.state() == TierState::Up || tier.statistics().connections > connections + 1)
        .await;
    assert_eq!(tier.statistics().state, TierState::Down);
    redis.promote().await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a"]).await, [None]);
    put(&tier, &[copy("a", 2)]).await;
}

#[tokio::test]
async fn a_replica_answers_reads_and_is_found_out_by_the_first_write() {
    let primary = Redis::start().await;
    let writer = connect(settings(primary.url())).await;
    put(&writer, &[copy("a", 1)]).await;
    let replica = Redis::builder().replica_of(&primary).start().await;
    let tier = connect(patient(replica.url())).await;
    assert_eq!(versions(&tier, &["a"]).await, [Some(1)]);
    assert_eq!(tier.put(&[copy("a", 2), copy("b", 2)], now()).await, 1);
    assert_eq!((tier.state(), tier.statistics().owed), (TierState::Down, 2));
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_left_alone_though_it_answers_reads() {
    let redis = Redis::start().await;
    let tier = connect(settings(redis.url())).await;
    put(&tier, &[copy("a", 1)]).await;
    redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_eq!(tier.put(&[copy("a", 2)], now()).await, 1);
    assert_eq!((tier.statistics().state, tier.statistics().owed), (TierState::Down, 1));
    redis.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    until_up(&tier).await;
    assert_eq!(versions(&tier, &["a"]).await, [None]);
}

#[tokio::test]
async fn concurrent_calls_of_many_tasks_do_not_disturb_each_other() {
    let redis = Redis::start().await;
    let tier = Arc::new(connect(settings(redis.url())).await);
    let tasks = (0..50).map(|n| {
        let tier = Arc::clone(&tier);
        tokio::spawn(async move {
            let name = format!("task-{n}");
            for version in 1..20 {
                put(&tier, &[copy(&name, version)]).await;
                assert_eq!(versions(&tier, &[&name, "none"]).await, [Some(version), None]);
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(tier.statistics().connections, 1);
}
