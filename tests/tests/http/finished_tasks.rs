//! One finished task: what the queue remembers, with what its row of the history adds.

use std::time::Duration;

use millrace_tests::{
    backends::Backends,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::{Fixture, apply};

fn task_of(task: &str) -> Request {
    Request::get(&format!("/players/p-1/tasks/{task}")).trusted()
}

fn reported(task: &str, work: Value) -> Value {
    json!({"type": "enqueueTasks", "tasks": [
        {"taskId": task, "kind": "k", "work": work, "payload": {"trees": 2}, "maxRetries": 1, "retryDelayMs": 0}]})
}

/// The rows of the history, newest first.
async fn history(fixture: &Fixture) -> Vec<Value> {
    let page = Request::get("/players/p-1/history").trusted().send(&fixture.api).await.expect(200);
    page["items"].as_array().expect("items").clone()
}

/// Checks that a task is shown as the history shows it, as of this version of the queue.
fn assert_shown_as(shown: &Value, row: &Value, version: u64) {
    let mut shown = shown.clone();
    let fields = shown.as_object_mut().expect("an object");
    assert!(fields.remove("asOf").is_some_and(|at| at.is_string()), "{fields:?}");
    for (name, value) in [("playerId", json!("p-1")), ("version", json!(version)), ("state", json!("finished"))] {
        assert_eq!(fields.remove(name), Some(value), "{name}");
    }
    assert_eq!(shown, *row);
}

#[tokio::test]
async fn a_finished_task_has_its_result_and_its_failures() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", reported("t-1", json!({"units": 10}))).await;
    fixture.apply("p-1", json!({"type": "failTask", "taskId": "t-1", "attempt": 1, "reason": "the saw broke"})).await;
    let complete = json!({"type": "completeTask", "taskId": "t-1", "attempt": 2, "result": {"wood": [1, null]}});
    let answer = fixture.apply("p-1", complete).await;
    let task = task_of("t-1").send(&fixture.api).await.expect(200);
    assert_eq!((&task["outcome"], &task["result"]), (&json!("completed"), &json!({"wood": [1, null]})));
    let failures = task["failures"].as_array().expect("failures");
    assert_eq!(failures.len(), 1, "{task:#}");
    assert_eq!((&failures[0]["attempt"], &failures[0]["reason"]), (&json!(1), &json!("the saw broke")));
    let version = answer["queue"]["version"].as_u64().expect("a version");
    assert_shown_as(&task, &history(&fixture).await[0], version);
}

#[tokio::test]
async fn tasks_that_end_at_one_moment_are_told_apart() {
    let fixture = Fixture::new().await;
    let names: Vec<String> = (0..6).map(|at| format!("t-{at}")).collect();
    for name in &names {
        fixture.apply("p-1", reported(name, json!({"units": 10}))).await;
    }
    // The id of a cancelled task can be used again. The latest task counts.
    fixture.apply("p-1", json!({"type": "cancelTask", "taskId": "t-3"})).await;
    fixture.apply("p-1", reported("t-3", json!({"units": 33}))).await;
    let version = fixture.apply("p-1", json!({"type": "clearQueue"})).await["queue"]["version"].as_u64();
    let rows = history(&fixture).await;
    let ends: Vec<&Value> = rows[..6].iter().map(|row| &row["finishedAt"]).collect();
    assert!(rows.len() == 7 && ends.iter().all(|end| *end == ends[0]), "{rows:#?}");
    for name in &names {
        let row = rows.iter().find(|row| row["taskId"] == *name).expect("a row");
        let task = task_of(name).send(&fixture.api).await.expect(200);
        assert_shown_as(&task, row, version.expect("a version"));
    }
    assert_eq!(task_of("t-3").send(&fixture.api).await.json()["work"]["units"], 33);
}

/// The history gets its row with the next commit.
#[tokio::test]
async fn a_task_that_has_ended_by_the_clock_is_complete_before_its_row_is_written() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", reported("t-1", json!({"units": 10, "heartbeatMs": 1_000}))).await;
    let dead = json!({"type": "failTask", "taskId": "t-1", "attempt": 1, "reason": "the saw broke"});
    fixture.apply("p-1", dead).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = fixture.database.dump();
    let task = task_of("t-1").send(&fixture.api).await.expect(200);
    assert_eq!((&task["outcome"], &task["reason"]), (&json!("failed"), &json!("heartbeat_lost")));
    let failures: Vec<&Value> = task["failures"].as_array().into_iter().flatten().map(|one| &one["reason"]).collect();
    assert_eq!(failures, ["the saw broke", "heartbeat_lost"]);
    assert_eq!(history(&fixture).await, [Value::Null; 0]);
    assert_eq!(fixture.database.dump(), before, "reads write nothing");
    let version = fixture.apply("p-1", json!({"type": "pauseQueue"})).await["queue"]["version"].as_u64();
    assert_shown_as(
        &task_of("t-1").send(&fixture.api).await.expect(200),
        &history(&fixture).await[0],
        version.expect("a version"),
    );
}

#[tokio::test]
async fn after_its_row_has_expired_a_finished_task_has_its_outcome_only() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", reported("t-1", json!({"units": 10}))).await;
    fixture.apply("p-1", json!({"type": "completeTask", "taskId": "t-1", "result": 7})).await;
    let whole = task_of("t-1").send(&fixture.api).await.expect(200);
    assert_eq!(whole["result"], 7);
    fixture.database.expire_history("p-1");
    let mut short = task_of("t-1").send(&fixture.api).await.expect(200);
    short.as_object_mut().expect("an object").remove("asOf");
    assert_eq!(
        short,
        json!({"playerId": "p-1", "version": whole["version"], "state": "finished", "taskId": "t-1",
            "outcome": "completed", "finishedAt": whole["finishedAt"]})
    );
    task_of("forgotten").send(&fixture.api).await.problem(404, "unknown_task");
}

#[tokio::test]
async fn a_finished_task_takes_one_read_of_the_history_and_none_if_the_client_has_it() {
    let backends = Backends::start().await;
    let api = backends.queue_api().env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", "60000").started().await;
    apply(&api, "p-1", reported("t-1", json!({"units": 10}))).await;
    apply(&api, "p-1", json!({"type": "completeTask", "taskId": "t-1", "result": {"wood": 2}})).await;
    let counts = || ["Query", "BatchGetItem"].map(|name| backends.aws_proxy.count(name));
    backends.aws_proxy.reset_counts();
    let first: Response = task_of("t-1").send(&api).await;
    assert_eq!(first.expect(200)["result"], json!({"wood": 2}));
    assert_eq!((first.header("x-cache"), counts(), backends.aws_proxy.total()), ("local", [1, 0], 1));
    let again = task_of("t-1").header("if-none-match", first.header("etag")).send(&api).await;
    assert_eq!((again.status, backends.aws_proxy.total()), (304, 1));

    backends.aws_proxy.refuse();
    task_of("t-1").send(&api).await.problem(503, "store_unavailable");
    backends.aws_proxy.accept();
    task_of("t-1").send(&api).await.expect(200);
}
