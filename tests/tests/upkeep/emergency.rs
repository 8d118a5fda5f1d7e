//! Emergency mode: all processes see it, and reads are answered without the table.

use std::time::{Duration, Instant};

use millrace_servers::RedisCluster;
use millrace_tests::{
    Function, answers::number, backends::Backends, database::Database, function::FunctionBuilder, http::Request,
};
use serde_json::{Value, json};

use crate::{grant, invoke, players, tick};

/// Whether an answer reports emergency mode.
fn is_on(answer: &Value) -> bool {
    answer["report"]["cache"]["emergency"].as_bool().unwrap_or_else(|| panic!("no emergency in {answer:#}"))
}

fn queue_of(player: &str) -> Request {
    Request::get(&format!("/players/{player}/queue")).trusted()
}

fn task_of(player: &str, task: &str) -> Request {
    Request::get(&format!("/players/{player}/tasks/{task}")).trusted()
}

/// Sends ticks until the process reports that emergency mode is on, or off if `expected` is false.
async fn wait_for(process_tasks: &Function, expected: bool, within: Duration) {
    let began = Instant::now();
    loop {
        if is_on(&tick(process_tasks, &players("p", 3)).await) == expected {
            return;
        }
        assert!(began.elapsed() < within, "emergency mode is not {expected} after {within:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn emergency_mode_answers_reads_from_extended_copies_without_the_table() {
    const DURATION: u64 = 9;
    let backends = Backends::start().await;
    let short = |builder: FunctionBuilder| {
        let builder = builder.env("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", "2");
        builder.env("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", "2")
    };
    let process_tasks = short(backends.process_tasks().env("MILLRACE_LOCAL_CACHE", "off")).started().await;
    let api = short(backends.queue_api().env("MILLRACE_LOCAL_CACHE", "off")).started().await;
    let maintain_cache = short(backends.maintain_cache()).started().await;
    let players = players("p", 20);
    assert!(!is_on(&grant(&process_tasks, &players).await));
    // The copy of this player is without its progress, as after a command that needs no progress.
    let task = json!({"taskId": "t", "kind": "k", "work": {"units": 100}});
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-0", "tasks": [task]});
    assert_eq!(invoke(&process_tasks, enqueue).await["results"][0]["status"], "applied");
    let commands = json!({"commands": [
        {"type": "enqueueTasks", "playerId": "p-1", "tasks": [{"taskId": "t", "kind": "k", "work": {"units": 100}}]},
        {"type": "completeTask", "playerId": "p-1", "taskId": "t", "result": 7}]});
    assert_eq!(invoke(&process_tasks, commands).await["results"][1]["status"], "applied");
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    grant(&process_tasks, &players).await;
    let began = Instant::now();
    let request = json!({"action": "emergencyMode", "enabled": true, "durationSeconds": DURATION});
    let answer = invoke(&maintain_cache, request).await;
    assert_eq!(answer["emergencyMode"]["enabled"], true, "{answer:#}");
    assert_eq!((number(&answer, "/emergencyMode/extended"), &answer["emergencyMode"]["done"]), (20, &json!(true)));
    assert!(answer["emergencyMode"]["until"].is_string() && is_on(&answer), "{answer:#}");

    backends.aws_proxy.refuse();
    // Longer than the time to live, and than the processes take to notice emergency mode.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    tick(&process_tasks, &players).await;
    let before = tick(&process_tasks, &players[..1]).await;
    let answer = tick(&process_tasks, &players).await;
    assert!(is_on(&answer), "{answer:#}");
    assert_eq!(number(&answer, "/report/cache/redis/hits"), 20, "{answer:#}");
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(20), "only the table confirms that nothing is due");
    let trips = |answer: &Value| number(answer, "/report/statistics/redis/get/roundTrips");
    assert_eq!(trips(&answer), trips(&before) + 1, "reading the flag takes no extra round trip");
    for player in &players {
        let read = queue_of(player.as_str()).send(&api).await;
        assert_eq!((read.status, read.header("x-cache")), (200, "redis"), "{player}");
    }
    let finished = task_of("p-1", "t").send(&api).await;
    let task = finished.expect(200);
    assert_eq!((&task["outcome"], task.get("kind")), (&json!("completed"), None), "the history is not read");

    // It ends by itself, and copies expire as usual.
    tokio::time::sleep(Duration::from_secs(DURATION + 3).saturating_sub(began.elapsed())).await;
    let answer = tick(&process_tasks, &players).await;
    assert!(!is_on(&answer), "{answer:#}");
    assert_eq!(number(&answer, "/report/cache/redis/hits"), 0, "{answer:#}");
    queue_of("p-0").send(&api).await.problem(503, "store_unavailable");
    backends.aws_proxy.accept();
    queue_of("p-0").send(&api).await.expect(200);
    let whole = task_of("p-1", "t").header("if-none-match", finished.header("etag")).send(&api).await;
    assert_eq!(whole.expect(200)["result"], 7);
    assert_eq!(tick(&process_tasks, &players).await["results"], json!([]));
}

#[tokio::test]
async fn commands_are_applied_in_emergency_mode_and_copies_live_longer() {
    let backends = Backends::start().await;
    let process_tasks = backends.process_tasks().started().await;
    let maintain_cache = backends.maintain_cache().started().await;
    let players = players("p", 3);
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 3_600})).await;
    wait_for(&process_tasks, true, Duration::from_secs(10)).await;
    for _ in 0..3 {
        grant(&process_tasks, &players).await;
    }
    for queue in backends.queues(&players).await {
        assert_eq!(queue.balances.get("gold"), 3);
    }
    let key = format!("{}queue:p-0", backends.prefix());
    assert!(backends.redis.cli::<u64>(&["PTTL", &key]).await > 3_600_000);
    let answer = invoke(&maintain_cache, json!({"action": "upkeep"})).await;
    assert_eq!(answer["warm"]["skipped"], "emergencyMode", "{answer:#}");
    assert_eq!(answer["statistics"]["emergency"], true);

    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": false})).await;
    wait_for(&process_tasks, false, Duration::from_secs(10)).await;
    grant(&process_tasks, &players).await;
    assert!(backends.redis.cli::<u64>(&["PTTL", &key]).await <= 600_000);
}

#[tokio::test]
async fn every_process_of_a_cluster_sees_emergency_mode() {
    let (database, cluster) = (Database::new(), RedisCluster::start().await);
    let on_cluster = |builder: FunctionBuilder| {
        builder
            .env("MILLRACE_REDIS_URL", cluster.url())
            .env("MILLRACE_REDIS_MODE", "cluster")
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000")
            .env("MILLRACE_LOCAL_CACHE", "off")
    };
    let maintain_cache = on_cluster(database.function("maintain-cache")).started().await;
    let process_tasks = on_cluster(database.process_tasks()).started().await;
    // The copies of one player are on one node of the cluster.
    let one = &players("p", 1);
    assert!(!is_on(&grant(&process_tasks, one).await));
    invoke(&maintain_cache, json!({"action": "emergencyMode", "enabled": true, "durationSeconds": 5})).await;
    let began = Instant::now();
    while !is_on(&tick(&process_tasks, one).await) {
        assert!(began.elapsed() < Duration::from_secs(4), "the process has not noticed emergency mode");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_for(&process_tasks, false, Duration::from_secs(6)).await;
}
