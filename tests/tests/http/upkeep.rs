//! Upkeep of the shared cache over HTTP, with a real Redis and a real table.

use millrace_tests::{
    Function,
    backends::Backends,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::{Fixture, apply, grant, queue_of};

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
async fn performance_shows_samples_of_the_cache() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    let samples = async || {
        let report = Request::get("/admin/performance").token("operator", &["millrace/admin"]).send(&api).await;
        report.expect(200)["cacheHistory"].clone()
    };
    assert_eq!(samples().await, json!([]));
    let upkeep = backends.maintain_cache().started().await;
    upkeep.answer(&json!({"action": "statistics"})).await;
    let shown = samples().await;
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown:#}");
    assert!(shown[0]["at"].is_string(), "{shown:#}");
    backends.redis.kill();
    assert_eq!(samples().await, Value::Null, "without Redis the other fields are still answered");
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
