//! Clearing: copies are removed, the keys of others are kept, and a cursor continues after a
//! deadline.

use std::time::{Duration, Instant};

use millrace_cache::{SharedCache, redis::RedisMode};
use millrace_domain::PlayerId;
use millrace_servers::{Redis, RedisCluster, TcpProxy};
use millrace_tests::{
    Invocation,
    answers::number,
    database::{Database, PREFIX},
    function::FunctionBuilder,
};
use serde_json::json;

use crate::{cached_copy, command_calls, grant, invoke, players, put_copies, tick, tier};

const FOREIGN: [&str; 5] = ["app:user:1", "queue:p-1", "t2-queue:p-1", "T-queue:p-1", "t-other:p-1"];

fn maintain_cache(database: &Database, url: &str) -> FunctionBuilder {
    database
        .function("maintain-cache")
        .env("MILLRACE_REDIS_URL", url)
        .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000")
        .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "5000")
}

async fn put_many_copies(url: &str, mode: RedisMode, count: usize) -> Vec<PlayerId> {
    let players = players("p", count);
    let tier = tier(url, mode, PREFIX).await;
    put_copies(&tier, &players.iter().map(|player| cached_copy(player, 2, 7)).collect::<Vec<_>>()).await;
    players
}

/// Sets keys that belong to other applications.
async fn set_foreign_keys(redis: &Redis) {
    for key in FOREIGN {
        redis.cli::<()>(&["SET", key, "theirs"]).await;
    }
}

#[tokio::test]
async fn fifty_thousand_copies_are_cleared_and_foreign_keys_are_kept() {
    const COUNT: usize = 50_000;
    let (database, redis) = (Database::new(), Redis::start().await);
    let players = put_many_copies(&redis.url(), RedisMode::Standalone, COUNT).await;
    set_foreign_keys(&redis).await;
    let function = maintain_cache(&database, &redis.url()).started().await;
    redis.cli::<()>(&["CONFIG", "RESETSTAT"]).await;
    let used: u64 = redis.info("used_memory").await.parse().unwrap();

    let began = Instant::now();
    let answer = invoke(&function, json!({"action": "clear"})).await;
    println!("{COUNT} keys cleared in {:?}: {}", began.elapsed(), answer["clear"]);
    assert_eq!(answer["clear"]["cleared"], COUNT, "{answer:#}");
    assert_eq!((&answer["clear"]["done"], &answer["clear"]["failed"]), (&json!(true), &json!(0)));
    assert_eq!(answer["clear"].get("cursor"), None);
    assert_eq!(
        (
            command_calls(&redis, "keys").await,
            command_calls(&redis, "flushall").await,
            command_calls(&redis, "flushdb").await
        ),
        (0, 0, 0)
    );
    let scans = command_calls(&redis, "scan").await;
    assert!((45..=70).contains(&scans), "{scans} scans of about a thousand keys");
    let left: u64 = redis.info("used_memory").await.parse().unwrap();
    assert!(left < used, "{used} {left}");
    for key in FOREIGN {
        assert_eq!(redis.cli::<String>(&["GET", key]).await, "theirs", "{key}");
    }

    // The copies are gone. A put of an older version, as by a concurrent fill, is refused.
    let other = tier(&redis.url(), RedisMode::Standalone, PREFIX).await;
    let some = &players[..1_000];
    assert_eq!(other.get(some).await.0.iter().flatten().count(), 0);
    put_copies(&other, &some.iter().map(|player| cached_copy(player, 1, 7)).collect::<Vec<_>>()).await;
    assert_eq!(other.get(some).await.0.iter().flatten().count(), 0);
    put_copies(&other, &some.iter().map(|player| cached_copy(player, 2, 7)).collect::<Vec<_>>()).await;
    assert_eq!(other.get(some).await.0.iter().flatten().count(), 1_000);
}

#[tokio::test]
async fn a_clear_that_runs_out_of_time_answers_with_a_cursor() {
    const COUNT: usize = 10_000;
    let (database, redis) = (Database::new(), Redis::start().await);
    put_many_copies(&redis.url(), RedisMode::Standalone, COUNT).await;
    // Each call has two seconds to work and 20 seconds to answer. Ten pages of two round trips take
    // four seconds on this slow network, so one call is not enough on any machine.
    let network = TcpProxy::start(redis.address()).await;
    let url = format!("redis://{}", network.address());
    let builder = maintain_cache(&database, &url).env("MILLRACE_DEADLINE_MARGIN_MS", "20000");
    let function = builder.started().await;
    network.delay(Duration::from_millis(100));
    let (mut cleared, mut calls, mut request) = (0, 0, json!({"action": "clear"}));
    loop {
        calls += 1;
        let invocation = Invocation::from(&request).within(Duration::from_millis(22_000));
        let answer = invoke(&function, invocation).await;
        cleared += number(&answer, "/clear/cleared");
        let cursor = answer["clear"].get("cursor").cloned();
        assert_eq!(answer["clear"]["done"], cursor.is_none(), "{answer:#}");
        let Some(cursor) = cursor else { break };
        assert!(calls < 1_000, "it makes no progress: {answer:#}");
        request["cursor"] = cursor;
    }
    // A page that the deadline interrupts may be cleared without being counted.
    assert!((COUNT as u64 / 2..=COUNT as u64).contains(&cleared), "{cleared}");
    let answer = invoke(&maintain_cache(&database, &redis.url()).started().await, json!({"action": "clear"})).await;
    assert_eq!((number(&answer, "/clear/scanned"), number(&answer, "/clear/cleared")), (COUNT as u64, 0));
    assert!(calls > 1, "one call was enough, so no cursor was tested");
    println!("{COUNT} keys in {calls} calls of two seconds");
}

#[tokio::test]
async fn a_clear_can_be_limited_to_players_or_to_a_kind_of_copy() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let function = maintain_cache(&database, &redis.url()).started().await;
    let process_tasks = database.process_tasks().env("MILLRACE_REDIS_URL", redis.url());
    let process_tasks = process_tasks.env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let [a, b] = ["a", "b"].map(millrace_tests::store_contents::player);
    let both = [a.clone(), b.clone()];
    grant(&process_tasks, &both).await;
    let answer = invoke(&function, json!({"action": "clear", "playerIds": ["a"]})).await;
    assert_eq!((number(&answer, "/clear/scanned"), number(&answer, "/clear/cleared")), (2, 1));
    let answer = tick(&process_tasks, &both).await;
    // One load for the missing copy, and one to confirm that nothing is due in the cached queue.
    assert_eq!((number(&answer, "/report/cache/redis/hits"), number(&answer, "/report/loads/calls")), (1, 2));
    assert_eq!(answer["results"], json!([]), "{answer:#}");

    // The queue of `b` gets a task; the queue of `a` has none, so its copy is of the kind `stats`.
    let task = json!({"taskId": "t", "kind": "k", "work": {"durationMs": 60_000}});
    invoke(&process_tasks, json!({"type": "enqueueTasks", "playerId": "b", "tasks": [task]})).await;
    for (kind, cleared) in [("progress", 0), ("frequent", 0), ("stats", 1), ("queue", 1), ("queue", 0)] {
        let answer = invoke(&function, json!({"action": "clear", "kind": kind})).await;
        assert_eq!(number(&answer, "/clear/cleared"), cleared, "{kind}: {answer:#}");
    }
}

#[tokio::test]
async fn a_clear_covers_every_primary_of_a_cluster() {
    const COUNT: usize = 6_000;
    let (database, cluster) = (Database::new(), RedisCluster::start().await);
    let players = put_many_copies(&cluster.url(), RedisMode::Cluster, COUNT).await;
    for key in FOREIGN {
        cluster.node_of(key).await.cli::<()>(&["SET", key, "theirs"]).await;
    }
    let builder = maintain_cache(&database, &cluster.url()).env("MILLRACE_REDIS_MODE", "cluster");
    let function = builder.started().await;
    let answer = invoke(&function, json!({"action": "clear"})).await;
    assert_eq!((number(&answer, "/clear/cleared"), &answer["clear"]["done"]), (COUNT as u64, &json!(true)));
    let other = tier(&cluster.url(), RedisMode::Cluster, PREFIX).await;
    assert_eq!(other.get(&players).await.0.iter().flatten().count(), 0);
    for key in FOREIGN {
        assert_eq!(cluster.node_of(key).await.cli::<String>(&["GET", key]).await, "theirs", "{key}");
    }
    for node in cluster.nodes() {
        assert_eq!(command_calls(node, "keys").await, 0);
        assert!(command_calls(node, "scan").await > 0);
    }
}
