//! Commands over HTTP. The answer has the result of each command and the new queue.

use millrace_tests::http::Request;
use serde_json::json;

use crate::{Fixture, commands_of, enqueue, grant, queue_of};

#[tokio::test]
async fn the_answer_has_all_results_in_order_and_the_new_queue() {
    let fixture = Fixture::new().await;
    let list = json!({"commands": [
        {"type": "grantResources", "commandId": "c-1", "resources": {"gold": 5}},
        {"type": "fly"},
        {"type": "cancelTask", "taskId": "none", "commandId": "c-3"},
        {"type": "enqueueTasks", "playerId": "p-1", "commandId": "c-4", "tasks": [
            {"taskId": "t-1", "kind": "k", "work": {"durationMs": 60000}, "costs": {"gold": 2}}]},
    ]});
    let response = commands_of("p-1", &list).trusted().send(&fixture.api).await;
    let answer = response.expect(200);
    let results = answer["results"].as_array().expect("results");
    let short: Vec<_> = results.iter().map(|one| (one["status"].as_str(), one["reason"].as_str())).collect();
    assert_eq!(
        short,
        [
            (Some("applied"), None),
            (Some("rejected"), Some("malformed")),
            (Some("rejected"), Some("unknown_task")),
            (Some("applied"), None)
        ]
    );
    assert_eq!(results[0]["commandId"], "c-1");
    assert!(
        results[1]["commandId"].as_str().is_some_and(|id| id.ends_with(":1")),
        "the default id is made from the request id: {results:?}"
    );
    assert!(results.iter().all(|result| result["playerId"] == "p-1"));
    // After the rejection is recorded, a second commit removes the queue from the due index.
    let queue = &answer["queue"];
    assert_eq!(
        (&queue["playerId"], &queue["version"], &queue["balances"]["gold"]),
        (&json!("p-1"), &json!(2), &json!(3))
    );
    assert_eq!((&queue["tasks"][0]["taskId"], &queue["tasks"][0]["state"]), (&json!("t-1"), &json!("active")));
    assert_eq!(response.header("x-queue-version"), "2");
    let report = &answer["report"];
    let counts = json!({"received": 4, "applied": 2, "duplicate": 0, "rejected": 1, "failed": 0, "malformed": 1});
    assert_eq!((&report["commands"], &report["players"]), (&counts, &json!(1)));
    assert!(report["processingTimeMs"].as_f64().is_some_and(|time| time > 0.0));
    assert!(response.header("server-timing").contains("cache-hit-rate;desc=\"0\""), "{:?}", response.headers);
    // Both refusals are recorded. The malformed command is recorded for the player of the path.
    assert_eq!(fixture.database.rejections("p-1").await.len(), 2);
}

#[tokio::test]
async fn a_command_that_is_sent_again_is_a_duplicate() {
    let fixture = Fixture::new().await;
    let command = json!({"type": "grantResources", "commandId": "once", "resources": {"gold": 5}});
    for expected in ["applied", "duplicate", "duplicate"] {
        let answer = commands_of("p-1", &command).trusted().send(&fixture.api).await.expect(200);
        assert_eq!(answer["results"][0]["status"], expected);
        assert_eq!((&answer["queue"]["balances"]["gold"], &answer["queue"]["version"]), (&json!(5), &json!(1)));
    }
}

#[tokio::test]
async fn a_command_creates_the_queue_of_an_unknown_player() {
    let fixture = Fixture::new().await;
    queue_of("new").trusted().send(&fixture.api).await.problem(404, "unknown_player");
    fixture.apply("new", grant(1)).await;
    assert_eq!(queue_of("new").trusted().send(&fixture.api).await.expect(200)["balances"]["gold"], 1);
}

#[tokio::test]
async fn malformed_input_is_400_and_recorded() {
    let fixture = Fixture::new().await;
    for (body, part) in [
        ("nonsense", "not JSON"),
        ("", "not JSON"),
        ("[]", "an object"),
        ("{}", "type: missing"),
        (r#"{"commands": []}"#, "0 commands"),
        (r#"{"type": "fly"}"#, "unknown type `fly`"),
        (r#"{"type": "pauseQueue", "wings": 2}"#, "wings"),
        (r#"{"type": "advanceQueues", "playerIds": ["p-1"]}"#, "unknown type `advanceQueues`"),
        (r#"{"commands": [{"type": "advanceQueues"}]}"#, "unknown type `advanceQueues`"),
        (r#"{"type": "pauseQueue", "playerId": "p-2"}"#, "`p-2` is not allowed here; allowed: `p-1`"),
        (r#"{"commands": [{"type": "pauseQueue", "playerId": "p-2"}]}"#, "`p-2` is not allowed here"),
    ] {
        let request = Request::new("POST", "/players/p-1/commands").header("content-type", "application/json");
        let response = request.body(body).token("p-1", &[]).send(&fixture.api).await;
        let problem = response.problem(400, "malformed");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{body}: {problem:#}");
        assert_eq!(problem["results"][0]["reason"], "malformed");
    }
    assert!(fixture.database.queue("p-1").await.is_none(), "no queue was created");
    assert!(fixture.database.rejections("p-2").await.is_empty(), "the rejections of another player are not written");
    assert!(fixture.database.rejections_of_unknown_players().await.is_empty());
    assert_eq!(fixture.database.rejections("p-1").await.len(), 11);
}

#[tokio::test]
async fn progress_between_milestones_is_in_the_answer_and_in_reads() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_LOCAL_CACHE", "off")).await;
    fixture.apply("p-1", enqueue("t-1", json!({"units": 100}))).await;
    let report = |units: u64| json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": units});
    let answer = fixture.apply("p-1", report(7)).await;
    assert_eq!((&answer["queue"]["tasks"][0]["unitsDone"], &answer["queue"]["version"]), (&json!(7), &json!(1)));
    // Without a cache, the progress comes from the progress table.
    let task = &queue_of("p-1").trusted().send(&fixture.api).await.expect(200)["tasks"][0];
    assert_eq!((&task["unitsDone"], &task["progress"]), (&json!(7), &json!(0.07)));
    // Other commands load the progress too.
    let answer = fixture.apply("p-1", json!({"type": "setPriority", "taskId": "t-1", "priority": "high"})).await;
    assert_eq!(answer["queue"]["tasks"][0]["unitsDone"], 7);
}

#[tokio::test]
async fn a_list_of_100_commands_takes_one_commit() {
    let fixture = Fixture::new().await;
    let commands: Vec<_> = (0..100).map(|_| grant(1)).collect();
    let answer = fixture.apply("p-1", json!({"commands": commands})).await;
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(100));
    assert_eq!((&answer["queue"]["balances"]["gold"], &answer["report"]["commits"]["calls"]), (&json!(100), &json!(1)));
    let too_many: Vec<_> = (0..101).map(|_| grant(1)).collect();
    let response = commands_of("p-1", &json!({"commands": too_many})).trusted().send(&fixture.api).await;
    assert!(response.problem(400, "malformed")["detail"].as_str().is_some_and(|detail| detail.contains("1 to 100")));
}
