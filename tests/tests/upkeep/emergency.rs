//! A flag that other processes see, and reads without the table.

use std::time::{Duration, Instant};

use millrace_servers::RedisCluster;
use millrace_tests::{Function, backends::BackEnds, function::Setup, http::Request, tables::Database};
use serde_json::{Value, json};

use crate::{grant, invoke, number, players, started, tick};

fn on(answer: &Value) -> bool {
    answer["report"]["cache"]["emergency"].as_bool().unwrap_or_else(|| panic!("no emergency in {answer:#}"))
}

fn queue_of(player: &str) -> Request {
    Request::get(&format!("/players/{player}/queue")).trusted()
}

/// Looks at some queues until the process says that emergency mode is as it should be.
async fn until(process_tasks: &Function, expected: bool, within: Duration) {
    let began = Instant::now();
    loop {
        if on(&tick(process_tasks, &players("p", 3)).await) == expected {
            return;
        }
        assert!(began.elapsed() < within, "in vain waited for {expected} for {within:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn while_the_table_is_away_reads_are_answered_from_copies_that_would_have_expired() {
    const DURATION: u64 = 9;
    let back_ends = BackEnds::start().await;
    let short = |setup: Setup| setup.env("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", "2");
    let process_tasks = started(short(back_ends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off"))).await;
    let api = started(short(back_ends.queue_api().env("MILLRACE_LOCAL_CACHE", "off"))).await;
    let maintain_cache = started(short(back_ends.maintain_cache())).await;
    let players = players("p", 20);
    assert!(!on(&grant(&process_tasks, &players).await));
    // Of one player the copy lacks the progress row, as after a load for a command that needs none.
    let task = json!({"taskId": "t", "kind": "k", "work": {"units": 100}});
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-0", "tasks": [task]});
    assert_eq!(invoke(&process_tasks, enqueue).await["results"][0]["status"], "applied");
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    grant(&process_tasks, &players).await;
    let began = Instant::now();
    let request = json!({"action": "emergencyMode", "enabled": true, "durationSeconds": DURATION});
    let answer = invoke(&maintain_cache, request).await;
    assert_eq!(answer["emergencyMode"]["enabled"], true, "{answer:#}");
    assert_eq!((number(&answer, "/emergencyMode/extended"), &answer["emergencyMode"]["done"]), (20, &json!(true)));
    assert!(answer["emergencyMode"]["until"].is_string() && on(&answer), "{answer:#}");

    back_ends.dynamodb.refuse();
    // Beyond the time to live, and when the process has had to hear of it.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    tick(&process_tasks, &players).await;
    let before = invoke(&process_tasks, json!({"type": "advanceQueues", "playerIds": ["p-0"]})).await;
    let answer = tick(&process_tasks, &players).await;
    assert!(on(&answer), "{answer:#}");
    assert_eq!(number(&answer, "/report/cache/redis/hits"), 20, "{answer:#}");
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(20), "the table alone tells that nothing is due");
    let trips = |answer: &Value| number(answer, "/report/statistics/redis/get/roundTrips");
    assert_eq!(trips(&answer), trips(&before) + 1, "the flag rides along");
    for player in &players {
        let read = queue_of(player.as_str()).send(&api).await;
        assert_eq!((read.status, read.header("x-cache")), (200, "redis"), "{player}");
    }

    // It ends by itself, and copies expire as ever.
    tokio::time::sleep(Duration::from_secs(DURATION + 3).saturating_sub(began.elapsed())).await;
    let answer = tick(&process_tasks, &players).await;
    assert!(!on(&answer), "{answer:#}");
    assert_eq!(number(&answer, "/report/cache/redis/hits"), 0, "{answer:#}");
    queue_of("p-0").send(&api).await.problem(503, "store_unavailable");
    back_ends.dynamodb.accept();
    queue_of("p-0").send(&api).await.expect(200);
    assert_eq!(tick(&process_tasks, &players).await["results"], json!([]));
}

#[tokio::test]
async fn what_is_committed_in_it_is_right_and_its_copies_live_longer() {
    let back_ends = BackEnds::start().await;
    let process_tasks = started(back_ends.process_tasks()).await;
    let maintain_cache = started(back_ends.maintain_cache()).await;
    let players = players("p", 3);
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 3_600})).await;
    until(&process_tasks, true, Duration::from_secs(10)).await;
    for _ in 0..3 {
        grant(&process_tasks, &players).await;
    }
    for queue in back_ends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3);
    }
    let key = format!("{}queue:p-0", back_ends.prefix());
    assert!(back_ends.redis.cli::<u64>(&["PTTL", &key]).await > 3_600_000);
    let answer = invoke(&maintain_cache, json!({"action": "upkeep"})).await;
    assert_eq!(answer["warm"]["skipped"], "emergencyMode", "{answer:#}");
    assert_eq!(answer["statistics"]["emergency"], true);

    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": false})).await;
    until(&process_tasks, false, Duration::from_secs(10)).await;
    grant(&process_tasks, &players).await;
    assert!(back_ends.redis.cli::<u64>(&["PTTL", &key]).await <= 300_000);
}

#[tokio::test]
async fn in_a_cluster_all_processes_see_it_whatever_their_players() {
    let (database, cluster) = (Database::new(), RedisCluster::start().await);
    let on_cluster = |setup: Setup| {
        setup
            .env("MILLRACE_REDIS_URL", cluster.url())
            .env("MILLRACE_REDIS_MODE", "cluster")
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000")
            .env("MILLRACE_LOCAL_CACHE", "off")
    };
    let maintain_cache = started(on_cluster(database.function("maintain-cache"))).await;
    let process_tasks = started(on_cluster(database.process_tasks())).await;
    // One player, whose key lies on one node.
    let one = &players("p", 1);
    assert!(!on(&grant(&process_tasks, one).await));
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 5})).await;
    let began = Instant::now();
    while !on(&tick(&process_tasks, one).await) {
        assert!(began.elapsed() < Duration::from_secs(4), "not heard of");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until(&process_tasks, false, Duration::from_secs(6)).await;
}
