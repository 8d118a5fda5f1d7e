//! Upkeep of the shared cache over HTTP, with a real Redis and a real table.

use millrace_tests::{
    Function,
    backends::Backends,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::{Fixture, apply, enqueue, grant, queue_of};

async fn api(backends: &Backends) -> Function {
    backends.queue_api().env("MILLRACE_LOCAL_CACHE", "off").started().await
}

async fn maintain(api: &Function, action: &str, body: &Value) -> Response {
    Request::post(&format!("/admin/cache/{action}"), body).token("operator", &["millrace/admin"]).send(api).await
}

async fn read(api: &Function, player: &str) -> Response {
    let response = queue_of(player).trusted().send(api).await;
    response.expect(200);
    response
}

#[tokio::test]
async fn copies_can_be_cleared_warmed_and_rebuilt() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    for player in ["p-1", "p-2"] {
        apply(&api, player, grant(1)).await;
    }
    assert_eq!(read(&api, "p-1").await.header("x-cache"), "redis");
    let cleared = maintain(&api, "clear", &json!({"playerIds": ["p-1"]})).await;
    let answer = cleared.expect(200);
    assert_eq!(
        (&answer["action"], &answer["redis"], &answer["clear"]["done"]),
        (&json!("clear"), &json!("up"), &json!(true))
    );
    assert_eq!(answer["clear"]["cleared"], 1, "{answer:#}");
    assert!(answer["report"]["processingTimeMs"].as_f64().is_some_and(|time| time > 0.0));
    assert!(cleared.header("server-timing").starts_with("total;dur="));

    let warmed = maintain(&api, "warm", &json!({"playerIds": ["p-1", "p-2", "unknown"]})).await.expect(200);
    let warm = &warmed["warm"];
    assert_eq!((&warm["filled"], &warm["cached"], &warm["unknown"]), (&json!(1), &json!(1), &json!(1)), "{warmed:#}");
    assert_eq!(read(&api, "p-1").await.header("x-cache"), "redis", "the copy exists before the first read");

    let rebuilt = maintain(&api, "rebuild", &json!({})).await.expect(200);
    assert_eq!((&rebuilt["rebuild"]["rebuilt"], &rebuilt["rebuild"]["done"]), (&json!(2), &json!(true)), "{rebuilt:#}");
    assert_eq!(read(&api, "p-2").await.expect(200)["balances"]["gold"], 1);
    // The body is optional.
    let all = Request::new("POST", "/admin/cache/clear").token("operator", &["millrace/admin"]).send(&api).await;
    assert_eq!(all.expect(200)["clear"]["done"], true);
    assert_eq!(read(&api, "p-2").await.header("x-cache"), "miss");
}

#[tokio::test]
async fn emergency_mode_can_be_switched_and_refuses_a_rebuild() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    apply(&api, "p-1", grant(1)).await;
    let on = maintain(&api, "emergency-mode", &json!({"enabled": true, "durationSeconds": 60})).await.expect(200);
    assert_eq!((&on["emergencyMode"]["enabled"], &on["emergencyMode"]["done"]), (&json!(true), &json!(true)), "{on:#}");
    assert!(on["emergencyMode"]["until"].is_string());
    let refused = maintain(&api, "rebuild", &json!({})).await;
    refused.problem(409, "emergency_mode");
    let off = maintain(&api, "emergency-mode", &json!({"enabled": false})).await.expect(200);
    assert_eq!(off["emergencyMode"]["enabled"], false);
    maintain(&api, "rebuild", &json!({})).await.expect(200);
}

#[tokio::test]
async fn performance_shows_samples_and_reports_of_processes() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    let history_and_processes = async || {
        let report =
            Request::get("/admin/performance").token("operator", &["millrace/admin"]).send(&api).await.expect(200);
        (report["cacheHistory"].clone(), report["processes"].clone())
    };
    assert_eq!(history_and_processes().await, (json!([]), json!([])));
    // A process sends the report of an invocation together with the copies of the next one.
    apply(&api, "p-1", grant(1)).await;
    apply(&api, "p-1", grant(1)).await;
    let upkeep = backends.maintain_cache().started().await;
    upkeep.answer(&json!({"action": "statistics"})).await;
    let (samples, processes) = history_and_processes().await;
    assert_eq!(samples.as_array().map(Vec::len), Some(1), "{samples:#}");
    assert!(samples[0]["at"].is_string(), "{samples:#}");
    assert_eq!(processes[0]["commands"]["applied"], 1, "{processes:#}");
    backends.redis.kill();
    assert_eq!(
        history_and_processes().await,
        (Value::Null, Value::Null),
        "without Redis the other fields are still answered"
    );
}

#[tokio::test]
async fn performance_shows_runs_of_advance_queues() {
    let backends = Backends::start().await;
    let url = format!("redis://{}", backends.redis_proxy.address());
    let advance = backends.function("advance-queues").env("MILLRACE_REDIS_URL", url).started().await;
    let api = api(&backends).await;
    // The report of the first run is sent together with the copies of the second run.
    for player in ["p-1", "p-2"] {
        apply(&api, player, enqueue("t", json!({"durationMs": 1}))).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let answer = advance.answer("{}").await;
        assert_eq!(answer["advance"]["ticks"], 1, "{answer:#}");
    }
    let performance = Request::get("/admin/performance").token("operator", &["millrace/admin"]).send(&api).await;
    let processes = performance.expect(200)["processes"].clone();
    let of_advance = |process: &&Value| process["commands"]["received"] == 0;
    let reports: Vec<&Value> = processes.as_array().into_iter().flatten().filter(of_advance).collect();
    assert_eq!(reports.len(), 1, "{processes:#}");
    // One commit completes the task, and one removes the queue from the due index.
    assert_eq!((&reports[0]["invocations"], &reports[0]["committed"]), (&json!(1), &json!(2)), "{processes:#}");
}

#[tokio::test]
async fn invalid_requests_and_a_missing_redis_are_problems() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    for (action, body, part) in [
        ("warm", json!({"maxPlayers": 0}), "maxPlayers: 0 is not allowed"),
        ("warm", json!({"kind": "queue"}), "kind: unknown field"),
        ("clear", json!({"cursor": 5}), "cursor: 5 is not allowed"),
        ("rebuild", json!([]), "an object"),
        ("emergency-mode", json!({}), "enabled: missing"),
    ] {
        let problem = maintain(&api, action, &body).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{problem:#}");
    }
    let untyped = Request::new("POST", "/admin/cache/warm").body("{}").token("operator", &["millrace/admin"]);
    untyped.send(&api).await.problem(415, "unsupported_media_type");
    let large = Request::post("/admin/cache/warm", &json!("x".repeat(2 * 1024 * 1024))).trusted();
    large.send(&api).await.problem(413, "payload_too_large");
    backends.redis.kill();
    for (action, body) in [("clear", json!({})), ("emergency-mode", json!({"enabled": true}))] {
        let response = maintain(&api, action, &body).await;
        response.problem(503, "cache_unavailable");
        assert_eq!(response.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn without_a_shared_cache_warming_is_skipped() {
    let fixture = Fixture::new().await;
    let answer = maintain(&fixture.api, "warm", &json!({})).await.expect(200);
    assert_eq!((&answer["redis"], &answer["warm"]["skipped"]), (&json!("off"), &json!("redisOff")));
}
