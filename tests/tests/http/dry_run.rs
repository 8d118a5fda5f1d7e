//! Commands on trial: the answer is the one of the real request, and nothing is written.

use millrace_servers::{Fault, rules};
use millrace_tests::{Function, backends::Backends, http::Request};
use serde_json::{Value, json};

use crate::{Fixture, apply, commands_of, enqueue, grant, queue_of};

fn try_commands(player: &str, commands: &Value) -> Request {
    Request::post(&format!("/players/{player}/commands?dryRun=true"), commands)
}

/// The numbers of reads and of writes of Redis since the process started.
async fn redis_calls(api: &Function) -> [u64; 2] {
    let report: Value = Request::get("/admin/performance").trusted().send(api).await.expect(200);
    ["/statistics/redis/get/roundTrips", "/statistics/redis/put/roundTrips"]
        .map(|path| report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report:#}")))
}

#[tokio::test]
async fn a_trial_answers_like_the_request_and_changes_nothing() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_EVENTS", "table")).await;
    fixture.apply("p-1", grant(3)).await;
    let list = json!({"commands": [
        {"type": "enqueueTasks", "commandId": "c-1", "tasks": [
            {"taskId": "t-1", "kind": "k", "work": {"durationMs": 60000}, "costs": {"gold": 2}}]},
        {"type": "cancelTask", "commandId": "c-2", "taskId": "none"},
        {"type": "fly", "commandId": "c-3"},
    ]});
    let before = queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    let mut tried = Vec::new();
    for _ in 0..2 {
        let response = try_commands("p-1", &list).trusted().send(&fixture.api).await;
        assert_eq!(response.header("x-queue-version"), before["version"].to_string(), "the version in the table");
        tried.push(response.expect(200));
    }
    assert_eq!(tried[0]["results"], tried[1]["results"], "a trial is not remembered");
    let queue = &tried[1]["queue"];
    assert_eq!((&queue["version"], &queue["balances"]["gold"]), (&before["version"], &json!(1)));
    assert_eq!((&queue["tasks"][0]["taskId"], &queue["tasks"][0]["state"]), (&json!("t-1"), &json!("active")));
    assert_eq!(fixture.database.rejections("p-1").await, []);
    let after = queue_of("p-1").trusted().send(&fixture.api).await.expect(200);
    for field in ["version", "balances", "tasks"] {
        assert_eq!(after[field], before[field], "{field}");
    }

    let answer = commands_of("p-1", &list).trusted().send(&fixture.api).await.expect(200);
    assert_eq!(answer["results"], tried[0]["results"]);
    assert_eq!(
        (&answer["queue"]["balances"], &answer["report"]["commands"]),
        (&queue["balances"], &tried[0]["report"]["commands"])
    );
    let again = try_commands("p-1", &list).trusted().send(&fixture.api).await.expect(200);
    let states: Vec<_> = again["results"].as_array().into_iter().flatten().map(|result| &result["status"]).collect();
    assert_eq!(states, ["duplicate", "duplicate", "rejected"], "a trial knows what is remembered");
    assert_eq!(fixture.database.rejections("p-1").await.len(), 2);
}

#[tokio::test]
async fn a_trial_takes_one_read_of_the_table_and_no_other_call() {
    let backends = Backends::start().await;
    let api = backends.queue_api().env("MILLRACE_EVENTS", "table").started().await;
    apply(&api, "p-1", enqueue("t-1", json!({"units": 10}))).await;
    let redis_before = redis_calls(&api).await;
    backends.aws_proxy.reset_counts();
    for (player, known) in [("p-1", true), ("p-2", false)] {
        let list = json!({"commands": [{"type": "cancelTask", "taskId": "t-1"}, grant(1)]});
        let answer = try_commands(player, &list).trusted().send(&api).await.expect(200);
        let expected = if known { ["applied", "applied"] } else { ["rejected", "applied"] };
        assert_eq!([&answer["results"][0]["status"], &answer["results"][1]["status"]], expected);
        let report = &answer["report"];
        assert_eq!((&report["loads"]["calls"], &report["commits"]["calls"]), (&json!(1), &json!(0)));
        assert_eq!((&report["writes"]["calls"], &report["events"]["published"]), (&json!(0), &json!(0)));
    }
    assert_eq!((backends.aws_proxy.count("BatchGetItem"), backends.aws_proxy.total()), (2, 2));
    assert_eq!(redis_calls(&api).await, redis_before);
    queue_of("p-2").trusted().send(&api).await.problem(404, "unknown_player");
    for (table, rows) in [("queues", 1), ("rejections", 0), ("history", 0), ("events", 1)] {
        assert_eq!(backends.count_rows(table).await, rows, "{table}");
    }
}

#[tokio::test]
async fn a_trial_leaves_an_outbox_that_is_not_written_to_the_next_command() {
    let backends = Backends::start().await;
    let api = backends.queue_api().started().await;
    let refused = json!({"type": "cancelTask", "taskId": "none"});
    let table = format!("{}rejections", backends.prefix());
    backends.aws_proxy.set_rule(rules::on_table(&table, Fault::access_denied()));
    commands_of("p-1", &refused).trusted().send(&api).await.problem(500, "access_denied");
    backends.aws_proxy.clear_rule();
    backends.aws_proxy.reset_counts();
    let answer = try_commands("p-1", &grant(1)).trusted().send(&api).await.expect(200);
    assert_eq!(answer["results"][0]["status"], "applied");
    assert_eq!(backends.aws_proxy.total(), 1, "one read");
    assert_eq!(backends.count_rows("rejections").await, 0);
    apply(&api, "p-1", grant(1)).await;
    assert_eq!(backends.count_rows("rejections").await, 1);
}

#[tokio::test]
async fn a_trial_needs_the_rights_of_the_request() {
    let fixture = Fixture::new().await;
    try_commands("p-1", &grant(1)).token("p-1", &[]).send(&fixture.api).await.problem(403, "forbidden");
    try_commands("p-1", &grant(1))
        .token("p-2", &["millrace/commands"])
        .send(&fixture.api)
        .await
        .problem(403, "forbidden");
    try_commands("p-1", &grant(1)).send(&fixture.api).await.problem(401, "unauthorized");
    let paused = try_commands("p-1", &json!({"type": "pauseQueue"})).token("p-1", &[]).send(&fixture.api).await;
    assert_eq!(paused.expect(200)["queue"]["status"], "paused");
    assert!(fixture.database.queue("p-1").await.is_none());
}

#[tokio::test]
async fn other_values_of_the_parameter_are_refused() {
    let fixture = Fixture::new().await;
    for query in ["dryRun=yes", "dryRun=", "dryRun=true&dryRun=true", "dryrun=true"] {
        let request = Request::post(&format!("/players/p-1/commands?{query}"), &grant(1));
        request.trusted().send(&fixture.api).await.problem(400, "invalid_parameter");
    }
    try_commands("p-1", &json!({"type": "fly"})).trusted().send(&fixture.api).await.problem(400, "malformed");
    assert_eq!(fixture.database.rejections("p-1").await, []);
    let real = Request::post("/players/p-1/commands?dryRun=false", &grant(1));
    assert_eq!(real.trusted().send(&fixture.api).await.expect(200)["queue"]["version"], 1);
}
