//! Reads of queues, tasks, stats, performance and health. Reads show the current state and write
//! nothing.

use std::time::Duration;

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Fixture, enqueue, queue_of};

fn task_of(player: &str, task: &str) -> Request {
    Request::get(&format!("/players/{player}/tasks/{task}")).trusted()
}

/// A field with a time in the format of the contract.
fn time(value: &Value) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    assert!(text.len() == 24 && text.ends_with('Z'), "{text}");
    text
}

#[tokio::test]
async fn a_read_shows_completed_tasks_and_writes_nothing() {
    let fixture = Fixture::new().await;
    let tasks = json!({"type": "enqueueTasks", "tasks": [
        {"taskId": "quick", "kind": "k", "work": {"durationMs": 1}, "rewards": {"wood": 3}},
        {"taskId": "long", "kind": "k", "work": {"durationMs": 86_400_000}},
        {"taskId": "later", "kind": "k", "work": {"units": 4}, "prerequisites": ["long"], "costs": {"gold": 1}},
    ]});
    fixture.apply("p-1", tasks).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let before = fixture.database.dump();
    let queue = queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    assert_eq!((&queue["version"], &queue["status"], &queue["slots"]), (&json!(1), &json!("running"), &json!(1)));
    assert_eq!((&queue["balances"]["wood"], &queue["totals"]["completed"]), (&json!(3), &json!(1)));
    assert_eq!((&queue["recent"][0]["taskId"], &queue["recent"][0]["outcome"]), (&json!("quick"), &json!("completed")));
    let [long, later] = [&queue["tasks"][0], &queue["tasks"][1]];
    assert_eq!((&long["taskId"], &long["state"]), (&json!("long"), &json!("active")));
    // The task started when the task before it completed, not at the time of the read.
    assert_eq!(time(&long["startedAt"]), time(&queue["recent"][0]["finishedAt"]));
    assert!(time(&long["finishAt"]) > time(&queue["asOf"]));
    assert!(
        long.get("unitsDone").is_none() && later.get("finishAt").is_none(),
        "fields that do not apply are left out"
    );
    assert_eq!(later["blockedBy"], json!(["prerequisites", "costs", "slot"]));

    let stats = Request::get("/players/p-1/stats").trusted().send(&fixture.api).await.expect(200);
    assert_eq!((&stats["playerId"], &stats["version"], &stats["totals"]), (&json!("p-1"), &json!(1), &queue["totals"]));
    let long = task_of("p-1", "long").send(&fixture.api).await.expect(200);
    assert_eq!((&long["playerId"], &long["taskId"], &long["state"]), (&json!("p-1"), &json!("long"), &json!("active")));
    let quick = task_of("p-1", "quick").send(&fixture.api).await.expect(200);
    assert_eq!((&quick["state"], &quick["outcome"]), (&json!("finished"), &json!("completed")));
    assert_eq!(time(&quick["finishedAt"]), time(&queue["recent"][0]["finishedAt"]));
    assert_eq!(fixture.database.dump(), before, "reads write nothing");
}

#[tokio::test]
async fn a_paused_queue_makes_no_progress() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", enqueue("t-1", json!({"durationMs": 60_000}))).await;
    fixture.apply("p-1", json!({"type": "pauseQueue"})).await;
    let first = queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    tokio::time::sleep(Duration::from_millis(80)).await;
    let second = queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    assert_eq!((&second["status"], &second["tasks"]), (&json!("paused"), &first["tasks"]));
    assert_ne!(second["asOf"], first["asOf"]);
}

#[tokio::test]
async fn reads_have_headers_for_cache_version_and_timing() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", enqueue("t-1", json!({"units": 10}))).await;
    for read in ["queue", "tasks/t-1", "stats"] {
        let response = Request::get(&format!("/players/p-1/{read}")).trusted().send(&fixture.api).await;
        assert_eq!((response.header("x-cache"), response.header("x-queue-version")), ("local", "1"), "{read}");
        let timing = response.header("server-timing");
        assert!(timing.starts_with("total;dur=") && timing.contains("cache;desc=\"local\""), "{timing}");
        assert!(timing.ends_with("cache-hit-rate;desc=\"1\""), "{timing}");
        assert_eq!(response.header("cache-control"), "private, no-cache");
    }
    for read in ["history", "rejections"] {
        let response = Request::get(&format!("/players/p-1/{read}")).trusted().send(&fixture.api).await;
        assert_eq!((response.status, response.header("x-cache")), (200, "miss"), "{read}");
        assert!(response.header("server-timing").starts_with("total;dur="));
    }
}

#[tokio::test]
async fn performance_aggregates_commands_and_reads() {
    let fixture = Fixture::new().await;
    let report = || async { Request::get("/admin/performance").trusted().send(&fixture.api).await.expect(200) };
    let fresh = report().await;
    assert_eq!((&fresh["history"]["totals"]["invocations"], &fresh["last"]), (&json!(0), &Value::Null));
    let applied = fixture.apply("p-1", enqueue("t-1", json!({"units": 10}))).await;
    for _ in 0..3 {
        queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    }
    queue_of("unknown").trusted().send(&fixture.api).await.problem(404, "unknown_player");
    let report = report().await;
    let totals = &report["history"]["totals"];
    assert_eq!(
        (&totals["commands"]["applied"], &totals["commits"]["committed"], &totals["loadCalls"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(report["last"]["requestId"], applied["report"]["requestId"]);
    let cache = &totals["cache"];
    assert_eq!((&cache["lookups"], &cache["hits"], &cache["hitRate"]), (&json!(5), &json!(3), &json!(0.6)));
    assert_eq!(cache["local"], json!({"hits": 3, "hitRate": 0.6}));
    let reads = &totals["processingTimeMs"]["reads"];
    let [p50, p99, max] = ["p50", "p99", "max"].map(|name| reads[name].as_f64().expect("a time"));
    assert!(reads["count"] == 4 && 0.0 < p50 && p50 <= p99 && p99 <= max, "{reads}");
    assert_eq!((&report["redis"], &report["memory"]["localCacheEntries"]), (&json!("off"), &json!(1)));
}

#[tokio::test]
async fn health_needs_no_authentication_and_shows_store_and_cache() {
    let fixture = Fixture::new().await;
    let health = Request::get("/health").send(&fixture.api).await.expect(200);
    assert_eq!(
        (&health["status"], &health["store"]["state"], &health["cache"]),
        (&json!("ok"), &json!("up"), &json!({"state": "off"}))
    );
    assert!(health["store"]["latencyMs"].as_f64().is_some_and(|latency| latency > 0.0), "{health}");
}
