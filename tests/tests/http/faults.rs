//! Errors of Redis and of the store. Answers stay right, or the error says that a retry may
//! succeed.

use std::time::Duration;

use millrace_domain::PlayerId;
use millrace_servers::{Fault, rules};
use millrace_store::QueueStore;
use millrace_tests::{
    Function, Invocation,
    backends::Backends,
    database::RowDamage,
    http::{Request, Response},
};
use serde_json::json;

use crate::{Fixture, apply, commands_of, enqueue, grant, queue_of};

/// `queue-api` without a local cache and with short time-outs of Redis.
async fn api(backends: &Backends) -> Function {
    let builder = backends.queue_api().env("MILLRACE_LOCAL_CACHE", "off");
    builder
        .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "250")
        .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "250")
        .started()
        .await
}

async fn health(api: &Function) -> Response {
    Request::get("/health").send(api).await
}

#[tokio::test]
async fn answers_stay_right_without_redis_and_health_is_degraded() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    apply(&api, "p-1", grant(1)).await;
    let healthy = health(&api).await.expect(200);
    assert_eq!((&healthy["status"], &healthy["cache"]["state"]), (&json!("ok"), &json!("up")));
    assert!(healthy["cache"]["latencyMs"].as_f64().is_some_and(|latency| latency > 0.0), "{healthy}");

    backends.redis.kill();
    let degraded = health(&api).await.expect(200);
    assert_eq!((&degraded["status"], &degraded["store"]["state"]), (&json!("degraded"), &json!("up")));
    assert_eq!(degraded["cache"], json!({"state": "down", "errorType": "cache_unavailable"}));
    for gold in 1..5 {
        let response = queue_of("p-1").trusted().send(&api).await;
        assert_eq!((response.header("x-cache"), &response.expect(200)["balances"]["gold"]), ("miss", &json!(gold)));
        let answer = apply(&api, "p-1", grant(1)).await;
        let version = answer["queue"]["version"].to_string();
        queue_of("p-1").header("x-min-queue-version", &version).trusted().send(&api).await.expect(200);
    }
    backends.redis.restart().await;
    for _ in 0..200 {
        if health(&api).await.expect(200)["status"] == "ok" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    queue_of("p-1").trusted().send(&api).await.expect(200);
    assert_eq!(queue_of("p-1").trusted().send(&api).await.header("x-cache"), "redis");
}

#[tokio::test]
async fn without_the_store_only_cached_queues_are_read_and_other_requests_are_503() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    apply(&api, "p-1", grant(1)).await;
    apply(&api, "p-2", grant(1)).await;
    let _: i64 = backends.redis.cli(&["DEL", &key_of(&backends, "p-2").await]).await;
    backends.aws_proxy.refuse();

    let body = health(&api).await.expect(503);
    assert_eq!(
        (&body["status"], &body["store"]),
        (&json!("down"), &json!({"state": "down", "errorType": "store_unavailable"}))
    );
    assert_eq!(queue_of("p-1").trusted().send(&api).await.header("x-cache"), "redis");
    let mut refused = vec![queue_of("p-2").trusted().send(&api).await];
    for list in ["history", "rejections"] {
        refused.push(Request::get(&format!("/players/p-1/{list}")).trusted().send(&api).await);
    }
    for response in &refused {
        let problem = response.problem(503, "store_unavailable");
        assert_eq!(response.header("retry-after"), "1");
        assert!(
            !problem.to_string().contains("127.0.0.1"),
            "the problem must not show the address of the store: {problem}"
        );
    }
    let command = json!({"type": "grantResources", "commandId": "c", "resources": {"gold": 1}});
    let response = commands_of("p-1", &command).trusted().send(&api).await;
    let problem = response.problem(503, "store_unavailable");
    assert_eq!(
        (&problem["results"][0]["commandId"], &problem["results"][0]["status"]),
        (&json!("c"), &json!("failed"))
    );
    assert_eq!(response.header("retry-after"), "1");

    backends.aws_proxy.accept();
    health(&api).await.expect(200);
    // The same command is applied once.
    for expected in ["applied", "duplicate"] {
        let answer = commands_of("p-1", &command).trusted().send(&api).await.expect(200);
        assert_eq!(
            (&answer["results"][0]["status"], &answer["queue"]["balances"]["gold"]),
            (&json!(expected), &json!(2))
        );
    }
}

/// The key of a player's copy in Redis.
async fn key_of(backends: &Backends, player: &str) -> String {
    let keys: Vec<String> = backends.redis.cli(&["KEYS", "*"]).await;
    keys.into_iter().find(|key| key.contains(player)).unwrap_or_else(|| panic!("no copy of {player}"))
}

#[tokio::test]
async fn each_error_of_the_store_has_its_status_code() {
    let backends = Backends::start().await;
    let api = backends.function("queue-api").env("MILLRACE_LOCAL_CACHE", "off").started().await;
    apply(&api, "p-1", grant(1)).await;
    for (fault, status, code) in [
        (Fault::throughput_exceeded(), 503, "store_throttled"),
        (Fault::internal_server_error(), 503, "store_unavailable"),
        (Fault::access_denied(), 500, "access_denied"),
        (Fault::resource_not_found(), 500, "no_such_table"),
    ] {
        backends.aws_proxy.set_rule(rules::always(fault));
        for request in [queue_of("p-1"), Request::get("/players/p-1/history"), commands_of("p-1", &grant(1))] {
            let response = request.trusted().send(&api).await;
            response.problem(status, code);
            assert_eq!(response.header("retry-after"), if status == 503 { "1" } else { "" });
        }
        backends.aws_proxy.clear_rule();
    }
    assert_eq!(queue_of("p-1").trusted().send(&api).await.expect(200)["balances"]["gold"], 1);
}

/// `queue-api` cannot write the records of a commit, and the caller does not retry the command.
#[tokio::test]
async fn records_that_queue_api_could_not_write_are_written_when_the_queue_is_due() {
    let backends = Backends::start().await;
    let (api, process_tasks) = (api(&backends).await, backends.process_tasks().started().await);
    let advance_queues = backends.function("advance-queues").started().await;
    let due_at = async |player: &str| {
        let player = PlayerId::new(player).unwrap();
        let mut loaded = backends.store().load(std::slice::from_ref(&player), &[], &[]).await;
        loaded.take_queue(&player).expect("a row that can be read").expect("a row").due_at
    };
    for player in ["p-1", "p-2"] {
        apply(&api, player, enqueue("t", json!({"durationMs": 3_600_000}))).await;
        backends.aws_proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::internal_server_error()));
        let request = commands_of(player, &json!({"type": "clearQueue"})).trusted();
        let invocation = Invocation::from(request.payload()).within(Duration::from_millis(2_000));
        assert_eq!(request.send_as(&api, invocation).await.status, 503);
        backends.aws_proxy.clear_rule();
        assert_eq!((backends.queue(player).await.tasks.len(), backends.history(player).await.len()), (0, 0));
        assert!(due_at(player).await.is_some(), "the queue is in the due index");
    }
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1"]});
    let answer = process_tasks.answer(tick).await;
    assert_eq!(answer["results"], json!([]), "{answer:#}");
    let answer = advance_queues.answer(json!({})).await;
    assert_eq!((&answer["advance"]["due"], &answer["advance"]["settled"]), (&json!(1), &json!(1)), "{answer:#}");
    for player in ["p-1", "p-2"] {
        assert_eq!((backends.history(player).await.len(), due_at(player).await), (1, None), "{player}");
        let queue = queue_of(player).trusted().send(&api).await.expect(200);
        assert_eq!(queue["tasks"], json!([]), "no stale copy is left");
    }
}

#[tokio::test]
async fn a_slow_store_is_503_before_the_time_out() {
    let backends = Backends::start().await;
    let api = backends.function("queue-api").env("MILLRACE_LOCAL_CACHE", "off").started().await;
    apply(&api, "p-1", grant(1)).await;
    backends.aws_proxy.set_rule(rules::always(Fault::delay(Duration::from_secs(5))));
    for request in [queue_of("p-1"), Request::get("/players/p-1/rejections"), commands_of("p-1", &grant(1))] {
        let request = request.trusted();
        let invocation = Invocation::from(request.payload()).within(Duration::from_millis(1_500));
        request.send_as(&api, invocation).await.problem(503, "deadline");
    }
}

#[tokio::test]
async fn an_unreadable_row_is_500_and_not_changed() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_LOCAL_CACHE", "off")).await;
    fixture.apply("p-1", grant(1)).await;
    fixture.apply("p-2", grant(1)).await;
    for damage in [RowDamage::FlippedByte, RowDamage::NewerFormat] {
        let damaged = fixture.database.damage_row("p-1", damage);
        for request in [queue_of("p-1"), commands_of("p-1", &grant(1))] {
            request.trusted().send(&fixture.api).await.problem(500, "row_unreadable");
        }
        assert_eq!(fixture.database.queue_row("p-1"), damaged);
        queue_of("p-2").trusted().send(&fixture.api).await.expect(200);
    }
}
