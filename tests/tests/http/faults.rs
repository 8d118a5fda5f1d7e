//! Redis or the store in trouble: reads and commands stay right, or say that it passes.

use std::time::Duration;

use millrace_domain::PlayerId;
use millrace_servers::{Fault, rules};
use millrace_store::QueueStore;
use millrace_tests::{
    Function, Invocation,
    backends::BackEnds,
    http::{Request, Response},
    tables::Damage,
};
use serde_json::json;

use crate::{Scene, apply, commands_of, enqueue, grant, queue_of, started};

/// Nothing is kept in the process, and Redis is given up soon.
async fn api(back_ends: &BackEnds) -> Function {
    let setup = back_ends.queue_api().env("MILLRACE_LOCAL_CACHE", "off");
    started(setup.env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "250").env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "250"))
        .await
}

async fn health(api: &Function) -> Response {
    Request::get("/health").send(api).await
}

#[tokio::test]
async fn without_redis_everything_is_right_and_health_says_degraded() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
    apply(&api, "p-1", grant(1)).await;
    let healthy = health(&api).await.expect(200);
    assert_eq!((&healthy["status"], &healthy["cache"]["state"]), (&json!("ok"), &json!("up")));
    assert!(healthy["cache"]["latencyMs"].as_f64().is_some_and(|latency| latency > 0.0), "{healthy}");

    back_ends.redis.kill();
    let ill = health(&api).await.expect(200);
    assert_eq!((&ill["status"], &ill["store"]["state"]), (&json!("degraded"), &json!("up")));
    assert_eq!(ill["cache"], json!({"state": "down", "errorType": "cache_unavailable"}));
    for gold in 1..5 {
        let response = queue_of("p-1").trusted().send(&api).await;
        assert_eq!((response.header("x-cache"), &response.expect(200)["balances"]["gold"]), ("miss", &json!(gold)));
        let answer = apply(&api, "p-1", grant(1)).await;
        let version = answer["queue"]["version"].to_string();
        queue_of("p-1").header("x-min-queue-version", &version).trusted().send(&api).await.expect(200);
    }
    back_ends.redis.restart().await;
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
async fn without_the_store_copies_are_read_and_the_rest_is_503() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
    apply(&api, "p-1", grant(1)).await;
    apply(&api, "p-2", grant(1)).await;
    let _: i64 = back_ends.redis.cli(&["DEL", &key_of(&back_ends, "p-2").await]).await;
    back_ends.dynamodb.refuse();

    let ill = health(&api).await;
    let body = ill.expect(503);
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
        assert!(!problem.to_string().contains("127.0.0.1"), "what the store is stays in the log: {problem}");
    }
    let command = json!({"type": "grantResources", "commandId": "c", "resources": {"gold": 1}});
    let response = commands_of("p-1", &command).trusted().send(&api).await;
    let problem = response.problem(503, "store_unavailable");
    assert_eq!(
        (&problem["results"][0]["commandId"], &problem["results"][0]["status"]),
        (&json!("c"), &json!("failed"))
    );
    assert_eq!(response.header("retry-after"), "1");

    back_ends.dynamodb.accept();
    health(&api).await.expect(200);
    // The same command again: it happens once.
    for expected in ["applied", "duplicate"] {
        let answer = commands_of("p-1", &command).trusted().send(&api).await.expect(200);
        assert_eq!(
            (&answer["results"][0]["status"], &answer["queue"]["balances"]["gold"]),
            (&json!(expected), &json!(2))
        );
    }
}

async fn key_of(back_ends: &BackEnds, player: &str) -> String {
    let keys: Vec<String> = back_ends.redis.cli(&["KEYS", "*"]).await;
    keys.into_iter().find(|key| key.contains(player)).unwrap_or_else(|| panic!("no copy of {player}"))
}

#[tokio::test]
async fn each_failure_of_the_store_has_its_status() {
    let back_ends = BackEnds::start().await;
    let api = started(back_ends.without_redis().named("queue-api").env("MILLRACE_LOCAL_CACHE", "off")).await;
    apply(&api, "p-1", grant(1)).await;
    for (fault, status, code) in [
        (Fault::throughput_exceeded(), 503, "store_throttled"),
        (Fault::internal_server_error(), 503, "store_unavailable"),
        (Fault::access_denied(), 500, "access_denied"),
        (Fault::resource_not_found(), 500, "no_such_table"),
    ] {
        back_ends.dynamodb.set_rule(rules::always(fault));
        for request in [queue_of("p-1"), Request::get("/players/p-1/history"), commands_of("p-1", &grant(1))] {
            let response = request.trusted().send(&api).await;
            response.problem(status, code);
            assert_eq!(response.header("retry-after"), if status == 503 { "1" } else { "" });
        }
        back_ends.dynamodb.clear_rule();
    }
    assert_eq!(queue_of("p-1").trusted().send(&api).await.expect(200)["balances"]["gold"], 1);
}

/// Where `queue-api` could not write what a command has led to, and the caller never comes back.
#[tokio::test]
async fn what_a_command_has_led_to_is_recorded_by_whoever_finds_it_due() {
    let back_ends = BackEnds::start().await;
    let (api, process_tasks) = (api(&back_ends).await, started(back_ends.process_tasks()).await);
    let advance_queues = started(back_ends.function("advance-queues")).await;
    let place = async |player: &str| {
        let player = PlayerId::new(player).unwrap();
        let mut loaded = back_ends.store().load(std::slice::from_ref(&player), &[]).await;
        loaded.take_queue(&player).expect("a row that can be read").expect("a row").due_at
    };
    for player in ["p-1", "p-2"] {
        apply(&api, player, enqueue("t", json!({"durationMs": 3_600_000}))).await;
        back_ends.dynamodb.set_rule(rules::on_operation("BatchWriteItem", Fault::internal_server_error()));
        let request = commands_of(player, &json!({"type": "clearQueue"})).trusted();
        let invocation = Invocation::from(request.event()).within(Duration::from_millis(2_000));
        assert_eq!(request.send_as(&api, invocation).await.status, 503);
        back_ends.dynamodb.clear_rule();
        assert_eq!((back_ends.queue(player).await.tasks.len(), back_ends.history(player).await.len()), (0, 0));
        assert!(place(player).await.is_some(), "nothing is due, and it is in the index");
    }
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1"]});
    let answer = process_tasks.invoke(tick).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer["results"], json!([]), "{answer:#}");
    let answer = advance_queues.invoke(json!({})).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((&answer["advance"]["due"], &answer["advance"]["settled"]), (&json!(1), &json!(1)), "{answer:#}");
    for player in ["p-1", "p-2"] {
        assert_eq!((back_ends.history(player).await.len(), place(player).await), (1, None), "{player}");
        let queue = queue_of(player).trusted().send(&api).await.expect(200);
        assert_eq!(queue["tasks"], json!([]), "no old copy is left");
    }
}

#[tokio::test]
async fn the_answer_comes_before_the_time_out() {
    let back_ends = BackEnds::start().await;
    let api = started(back_ends.without_redis().named("queue-api").env("MILLRACE_LOCAL_CACHE", "off")).await;
    apply(&api, "p-1", grant(1)).await;
    back_ends.dynamodb.set_rule(rules::always(Fault::delay(Duration::from_secs(5))));
    for request in [queue_of("p-1"), Request::get("/players/p-1/rejections"), commands_of("p-1", &grant(1))] {
        let request = request.trusted();
        let invocation = Invocation::from(request.event()).within(Duration::from_millis(1_500));
        request.send_as(&api, invocation).await.problem(503, "deadline");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_500_and_left_as_it_is() {
    let scene = Scene::with(|setup| setup.env("MILLRACE_LOCAL_CACHE", "off")).await;
    scene.apply("p-1", grant(1)).await;
    scene.apply("p-2", grant(1)).await;
    for damage in [Damage::FlippedByte, Damage::NewerFormat] {
        let damaged = scene.database.damage("p-1", damage);
        for request in [queue_of("p-1"), commands_of("p-1", &grant(1))] {
            request.trusted().send(&scene.api).await.problem(500, "row_unreadable");
        }
        assert_eq!(scene.database.row("p-1"), damaged);
        queue_of("p-2").trusted().send(&scene.api).await.expect(200);
    }
}
