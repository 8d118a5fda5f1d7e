//! The format of the answers of `process-tasks`, for SQS, EventBridge and direct invocations.

use millrace_domain::Timestamp;
use millrace_tests::{
    FunctionError, Invocation,
    answers::{Counts, counts, failures, result},
    database::{Database, RowDamage},
    eventbridge,
    sqs::{self, Message},
};
use serde_json::{Value, json};

fn grant(player: &str, command_id: Option<&str>) -> Value {
    let mut command = json!({"type": "grantResources", "playerId": player, "resources": {"gold": 1}});
    if let Some(id) = command_id {
        command["commandId"] = id.into();
    }
    command
}

fn cancel(player: &str) -> Value {
    json!({"type": "cancelTask", "playerId": player, "taskId": "nothing"})
}

fn field_names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is not an object")).keys().map(String::as_str).collect()
}

/// Asserts that each field of the report has its type, and that the numbers add up.
fn assert_report(answer: &Value) {
    assert_eq!(field_names(answer), ["batchItemFailures", "report", "results", "resultsOmitted"]);
    let report = &answer["report"];
    for field in
        ["requestId", "coldStart", "processingTimeMs", "commands", "players", "cache", "commits", "writes", "memory"]
    {
        assert!(!report[field].is_null(), "no {field} in {report:#}");
    }
    assert!(report["processingTimeMs"].as_f64().expect("a number") > 0.0);
    assert!(report["coldStart"].is_boolean());
    counts(answer);

    let number =
        |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report:#}"));
    let (lookups, hits, misses) = (number("/cache/lookups"), number("/cache/hits"), number("/cache/misses"));
    assert_eq!(hits + misses, lookups, "{report:#}");
    assert_eq!(number("/cache/local/hits") + number("/cache/redis/hits"), hits, "{report:#}");
    assert_eq!(number("/cache/redis/errors"), 0);
    assert_eq!(report["cache"]["redis"]["state"], "off");
    match report["cache"]["hitRate"].as_f64() {
        Some(rate) => assert!((rate - hits as f64 / lookups as f64).abs() < 0.001, "{report:#}"),
        None => assert_eq!(lookups, 0, "{report:#}"),
    }
    assert_eq!(number("/commits/conflicts"), 0);
    assert!(number("/commits/calls") <= number("/commits/committed"));

    let writes = &report["writes"];
    let (items, calls) = (number("/writes/items"), number("/writes/calls"));
    assert_eq!(number("/writes/roundTripsSaved"), items - calls, "{writes}");
    assert_eq!(number("/writes/retriedItems"), 0);
    for grouping in ["byTable", "byPriority"] {
        let sum = |field: &str| -> u64 {
            let groups = writes[grouping].as_object().unwrap_or_else(|| panic!("no {grouping} in {writes}"));
            groups.values().map(|group| group[field].as_u64().expect("a count")).sum()
        };
        assert_eq!((sum("items"), sum("calls")), (items, calls), "{grouping} in {writes}");
    }
    assert!(number("/memory/residentBytes") > 1 << 20);
    number("/memory/localCacheEntries");
    number("/memory/localCacheBytes");
}

#[tokio::test]
async fn an_sqs_answer_lists_only_results_that_are_not_applied() {
    let (_database, function) = Database::with_process_tasks().await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-2", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 5}}]});
    let messages = [
        Message::new(1, grant("p-1", None)).group("p-1"),
        Message::new(2, grant("p-1", Some("c-named"))).group("p-1"),
        Message::new(3, cancel("p-1")).group("p-1"),
        Message::new(4, json!({"commands": [enqueue, cancel("p-2")]})).group("p-2"),
        Message::new(5, "no json").group("p-2"),
    ];
    for (payload, round) in [(sqs::fifo(&messages), 0), (sqs::standard(&messages), 1)] {
        let answer = function.answer(payload).await;
        assert_report(&answer);
        assert_eq!(failures(&answer), [""; 0]);
        let ids: Vec<&str> = answer["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|result| result["commandId"].as_str().expect("an id"))
            .collect();
        let id = |at: usize, index: usize| format!("{}:{index}", messages[at].id());
        if round == 0 {
            assert_eq!(
                counts(&answer),
                Counts { received: 6, applied: 3, rejected: 2, malformed: 1, ..Counts::default() }
            );
            assert_eq!(ids.len(), 3, "{answer:#}");
            for (command_id, player, reason) in [
                (id(2, 0), Some("p-1"), "unknown_task"),
                (id(3, 1), Some("p-2"), "unknown_task"),
                (id(4, 0), None, "malformed"),
            ] {
                let result = result(&answer, &command_id);
                assert_eq!((&result["status"], &result["reason"]), (&json!("rejected"), &json!(reason)));
                assert_eq!(result["playerId"].as_str(), player);
                assert!(result["detail"].is_string());
            }
        } else {
            assert_eq!(counts(&answer), Counts { received: 6, duplicate: 5, malformed: 1, ..Counts::default() });
            assert_eq!(result(&answer, "c-named")["status"], "duplicate");
            assert_eq!(result(&answer, &id(2, 0))["status"], "duplicate", "a rejection is remembered");
        }
        assert_eq!(answer["report"]["players"], 2);
    }
}

#[tokio::test]
async fn the_report_counts_cache_hits_and_commits() {
    let (_database, function) = Database::with_process_tasks().await;
    let batch = |number: u64| {
        let messages: Vec<Message> =
            (0..3).map(|player| Message::new(10 * number + player, grant(&format!("p-{player}"), None))).collect();
        sqs::standard(&messages)
    };
    let first = function.answer(batch(1)).await;
    assert_report(&first);
    assert_eq!((&first["report"]["cache"]["lookups"], &first["report"]["cache"]["hits"]), (&json!(3), &json!(0)));
    assert_eq!(first["report"]["cache"]["hitRate"], 0.0);
    assert_eq!(
        (&first["report"]["commits"]["committed"], &first["report"]["commits"]["calls"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(first["report"]["coldStart"], true);
    let second = function.answer(batch(2)).await;
    assert_report(&second);
    assert_eq!(second["report"]["cache"]["hits"], 3);
    assert_eq!(second["report"]["cache"]["local"]["hits"], 3);
    assert_eq!(second["report"]["cache"]["hitRate"], 1.0);
    assert_eq!(second["report"]["coldStart"], false);
    assert_ne!(first["report"]["requestId"], second["report"]["requestId"]);
}

#[tokio::test]
async fn the_metrics_of_an_invocation_have_lookups_and_hits() {
    let (_database, function) = Database::with_process_tasks().await;
    let messages: Vec<Message> =
        (0..3).map(|player| Message::new(player, grant(&format!("p-{player}"), None))).collect();
    function.answer(sqs::standard(&messages)).await;
    function.answer(sqs::standard(&messages[..2])).await;
    let lines = function.metrics();
    let numbers: Vec<[&Value; 2]> = lines.iter().map(|line| [&line["CacheLookups"], &line["CacheHits"]]).collect();
    assert_eq!(numbers, [[&json!(3), &json!(0)], [&json!(2), &json!(2)]], "{lines:?}");
}

#[tokio::test]
async fn the_report_counts_writes_by_table_and_priority() {
    let (database, function) = Database::with_process_tasks().await;
    // Each of three players finishes two tasks and gets one rejection.
    let messages: Vec<Message> = (0..3)
        .flat_map(|n| {
            let player = format!("p-{n}");
            let task = |id: &str| json!({"taskId": id, "kind": "k", "work": {"units": 9}});
            let enqueue = json!({"type": "enqueueTasks", "playerId": player, "tasks": [task("a"), task("b")]});
            let clear = json!({"type": "clearQueue", "playerId": player});
            [enqueue, clear, cancel(&player)]
                .into_iter()
                .enumerate()
                .map(move |(at, body)| Message::new(10 * n + at as u64, body))
        })
        .collect();
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_report(&answer);
    let writes = &answer["report"]["writes"];
    assert_eq!(writes["byTable"]["history"], json!({"items": 6, "calls": 1}));
    assert_eq!(writes["byTable"]["rejections"], json!({"items": 3, "calls": 1}));
    assert_eq!(writes["byTable"]["stats"], json!({"items": 3, "calls": 1}));
    assert_eq!(writes["byPriority"]["critical"]["items"], 6);
    assert_eq!(database.history("p-1").await.len(), 2);
}

#[tokio::test]
async fn eventbridge_and_direct_answers_list_all_results() {
    let (database, function) = Database::with_process_tasks().await;
    let time = Timestamp::from_millis(sqs::START_MS);

    let event = eventbridge::command("6a7e8feb-b491-4cf7-a9f1-bf3703467718", time, &grant("p-1", None));
    let answer = function.answer(&event).await;
    assert_report(&answer);
    assert_eq!(result(&answer, "6a7e8feb-b491-4cf7-a9f1-bf3703467718:0")["status"], "applied");

    let list = json!({"commands": [grant("p-1", None), grant("p-1", Some("c-1")), cancel("p-1")]});
    let event = eventbridge::command("0d1f5c5c-0000-4000-8000-000000000001", time, &list);
    let answer = function.answer(&event).await;
    assert_report(&answer);
    assert_eq!(answer["results"].as_array().expect("results").len(), 3);
    assert_eq!(result(&answer, "0d1f5c5c-0000-4000-8000-000000000001:0")["status"], "applied");
    assert_eq!(result(&answer, "c-1")["status"], "applied");
    let refused = result(&answer, "0d1f5c5c-0000-4000-8000-000000000001:2");
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("rejected"), &json!("unknown_task")));

    let before = std::time::SystemTime::now();
    let invocation =
        Invocation::from(json!({"commands": [grant("p-2", None), grant("p-2", Some("c-1"))]})).request_id("req-1");
    let answer = function.answer(invocation.clone()).await;
    assert_report(&answer);
    assert_eq!(answer["report"]["requestId"], "req-1");
    for id in ["req-1:0", "c-1"] {
        assert_eq!(result(&answer, id)["status"], "applied");
    }
    let age = database.queue("p-2").await.expect("a queue").advanced_to.as_millis();
    let before = before.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    assert!((before..before + 60_000).contains(&age), "a direct command takes effect at the time of arrival");
    // A retry of an asynchronous invocation has the same request id.
    let answer = function.answer(invocation).await;
    assert_eq!(counts(&answer).duplicate, 2);
}

#[tokio::test]
async fn a_tick_advances_its_players_and_is_not_counted_as_a_command() {
    let (database, function) = Database::with_process_tasks().await;
    let enqueue = |player: &str| {
        json!({"type": "enqueueTasks", "playerId": player, "tasks": [
            {"taskId": "t", "kind": "k", "work": {"durationMs": 1000}, "rewards": {"gold": 3}}]})
    };
    let messages = [Message::new(1, enqueue("p-1")), Message::new(2, enqueue("p-2"))];
    function.answer(sqs::standard(&messages)).await;
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1", "p-none"]});
    let answer = function.answer(&tick).await;
    assert_report(&answer);
    assert_eq!(counts(&answer), Counts::default());
    assert_eq!(answer["results"], json!([]));
    assert_eq!(answer["report"]["commits"]["committed"], 1);
    let done = database.history("p-1").await;
    assert_eq!(
        done[0].finished_at.as_millis(),
        sqs::START_MS + 1 + 1000,
        "the task completes at its due moment, not at the time of the tick"
    );
    assert!(database.history("p-2").await.is_empty());
    assert!(database.queue("p-none").await.is_none(), "a tick does not create a queue");
    // The same tick as a message of the ticks queue.
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1", "p-2"]});
    let answer = function.answer(sqs::standard(&[Message::new(9, &tick)])).await;
    assert_report(&answer);
    assert_eq!(failures(&answer), [""; 0]);
    assert_eq!(answer["report"]["commits"]["committed"], 1, "only the second player had something due");
    assert_eq!(database.queue("p-2").await.expect("a queue").balances.get("gold"), 3);
}

#[tokio::test]
async fn failed_commands_from_eventbridge_fail_the_invocation() {
    let (database, function) = Database::with_process_tasks().await;
    let time = Timestamp::from_millis(sqs::START_MS);
    function.answer(sqs::standard(&[Message::new(1, grant("p-bad", None))])).await;
    function.kill().await;
    database.damage_row("p-bad", RowDamage::FlippedByte);
    let function = database.process_tasks().started().await;
    let list = json!({"commands": [grant("p-1", None), grant("p-bad", None)]});
    let event = eventbridge::command("0d1f5c5c-0000-4000-8000-000000000002", time, &list);
    match function.invoke(&event).await {
        Err(FunctionError::Reported { error_type, message, .. }) => {
            assert_eq!(error_type, "CommandsFailed");
            assert!(message.contains("1 of 2"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 1, "the other command took effect");
    // Lambda retries the invocation. The command that took effect is not applied again.
    function.invoke(&event).await.expect_err("the row is still unreadable");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 1);
}

#[tokio::test]
async fn messages_are_handed_back_when_there_is_no_time_before_the_deadline() {
    let database = Database::new();
    // The deadline margin is longer than the time-out of the invocation.
    let function = database.process_tasks().env("MILLRACE_DEADLINE_MARGIN_MS", "60000").started().await;
    let messages = [Message::new(1, grant("p-1", None)), Message::new(2, grant("p-2", None))];
    let invocation = Invocation::from(sqs::standard(&messages)).within(std::time::Duration::from_secs(20));
    let answer = function.answer(invocation).await;
    assert_eq!(failures(&answer), [messages[0].id(), messages[1].id()]);
    assert_eq!(counts(&answer), Counts { received: 2, failed: 2, ..Counts::default() });
    assert_eq!(result(&answer, &format!("{}:0", messages[0].id()))["reason"], "deadline");
    assert!(database.queue("p-1").await.is_none());
}
