//! Upkeep of the shared cache over HTTP: what `maintain-cache` does, on a real Redis and a real table.

use millrace_tests::{
    Function,
    backends::BackEnds,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::{Scene, apply, enqueue, grant, queue_of, started};

async fn api(back_ends: &BackEnds) -> Function {
    started(back_ends.queue_api().env("MILLRACE_LOCAL_CACHE", "off")).await
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
async fn copies_are_cleared_warmed_and_rebuilt() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
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

    let warmed = maintain(&api, "warm", &json!({"playerIds": ["p-1", "p-2", "nobody"]})).await.expect(200);
    let warm = &warmed["warm"];
    assert_eq!((&warm["filled"], &warm["cached"], &warm["unknown"]), (&json!(1), &json!(1), &json!(1)), "{warmed:#}");
    assert_eq!(read(&api, "p-1").await.header("x-cache"), "redis", "it is there before anybody asks");

    let rebuilt = maintain(&api, "rebuild", &json!({})).await.expect(200);
    assert_eq!((&rebuilt["rebuild"]["rebuilt"], &rebuilt["rebuild"]["done"]), (&json!(2), &json!(true)), "{rebuilt:#}");
    assert_eq!(read(&api, "p-2").await.expect(200)["balances"]["gold"], 1);
    // A body may be left out where nothing has to be said.
    let all = Request::new("POST", "/admin/cache/clear").token("operator", &["millrace/admin"]).send(&api).await;
    assert_eq!(all.expect(200)["clear"]["done"], true);
    assert_eq!(read(&api, "p-2").await.header("x-cache"), "miss");
}

#[tokio::test]
async fn emergency_mode_is_switched_and_shows() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
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
async fn what_is_measured_shows_under_performance() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
    let told = async || {
        let report =
            Request::get("/admin/performance").token("operator", &["millrace/admin"]).send(&api).await.expect(200);
        (report["cacheHistory"].clone(), report["processes"].clone())
    };
    assert_eq!(told().await, (json!([]), json!([])));
    // What a process has done rides along with the next copy that it puts.
    apply(&api, "p-1", grant(1)).await;
    apply(&api, "p-1", grant(1)).await;
    let upkeep = started(back_ends.maintain_cache()).await;
    upkeep.invoke(&json!({"action": "statistics"})).await.unwrap_or_else(|error| panic!("{error}"));
    let (samples, processes) = told().await;
    assert_eq!(samples.as_array().map(Vec::len), Some(1), "{samples:#}");
    assert!(samples[0]["at"].is_string(), "{samples:#}");
    assert_eq!(processes[0]["commands"]["applied"], 1, "{processes:#}");
    back_ends.redis.kill();
    assert_eq!(told().await, (Value::Null, Value::Null), "and what the process has done is told all the same");
}

#[tokio::test]
async fn runs_that_advance_queues_show_under_performance() {
    let back_ends = BackEnds::start().await;
    let url = format!("redis://{}", back_ends.wire.address());
    let advance = started(back_ends.function("advance-queues").env("MILLRACE_REDIS_URL", url)).await;
    let api = api(&back_ends).await;
    // What the first run did rides along with the copies of the second.
    for player in ["p-1", "p-2"] {
        apply(&api, player, enqueue("t", json!({"durationMs": 1}))).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let answer = advance.invoke("{}").await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer["advance"]["ticks"], 1, "{answer:#}");
    }
    let performance = Request::get("/admin/performance").token("operator", &["millrace/admin"]).send(&api).await;
    let processes = performance.expect(200)["processes"].clone();
    let of_advance = |process: &&Value| process["commands"]["received"] == 0;
    let told: Vec<&Value> = processes.as_array().into_iter().flatten().filter(of_advance).collect();
    assert_eq!(told.len(), 1, "{processes:#}");
    // One commit decides, and one takes the queue out of the index.
    assert_eq!((&told[0]["invocations"], &told[0]["committed"]), (&json!(1), &json!(2)), "{processes:#}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
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
    back_ends.redis.kill();
    for (action, body) in [("clear", json!({})), ("emergency-mode", json!({"enabled": true}))] {
        let response = maintain(&api, action, &body).await;
        response.problem(503, "cache_unavailable");
        assert_eq!(response.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn without_a_shared_cache_the_answer_says_so() {
    let scene = Scene::new().await;
    let answer = maintain(&scene.api, "warm", &json!({})).await.expect(200);
    assert_eq!((&answer["redis"], &answer["warm"]["skipped"]), (&json!("off"), &json!("redisOff")));
}
