//! Input that can never succeed is refused with a reason and does not affect other messages. Input
//! that cannot be stored, and commands for unreadable rows, are handed back.

use millrace_domain::rejection::RejectionReason;
use millrace_tests::{
    Invocation,
    answers::{Counts, counts, failures, result},
    database::{Database, RowDamage},
    sqs::{self, Message},
};
use serde_json::{Value, json};

fn grant(player: &str, gold: u64) -> Value {
    json!({"type": "grantResources", "playerId": player, "resources": {"gold": gold}})
}

fn enqueue(tasks: &Value) -> Value {
    json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": tasks})
}

#[tokio::test]
async fn malformed_input_is_recorded_with_its_reason_and_affects_no_other_message() {
    let task = |id: &str| json!({"taskId": id, "kind": "k", "work": {"units": 1}});
    let with = |field: &str, value: Value| {
        let mut task = task("t");
        task[field] = value;
        enqueue(&json!([task])).to_string()
    };
    let tasks: Vec<Value> = (0..51).map(|n| task(&format!("t-{n}"))).collect();
    let pause = |player: &str| json!({"type": "pauseQueue", "playerId": player}).to_string();
    let amount =
        |amount: Value| json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": amount}}).to_string();
    let cases: Vec<(String, &str)> = vec![
        ("harvest the wheat".to_owned(), "expected value"),
        (String::new(), "EOF"),
        ("\u{0}\u{1}".to_owned(), "expected value"),
        ("7".to_owned(), "an object"),
        ("null".to_owned(), "an object"),
        ("{}".to_owned(), "type: missing"),
        (r#"{"Records": []}"#.to_owned(), "Records"),
        (json!({"type": "pauseQueue", "playerId": "p-1", "force": true}).to_string(), "force"),
        (json!({"type": "pauseQueue", "playerId": "p-1", "slots": 1}).to_string(), "slots"),
        (json!({"type": "teleport", "playerId": "p-1"}).to_string(), "`teleport`"),
        (pause("p 1"), "`p 1`"),
        (pause(""), "1 to 128 characters"),
        (pause(&"x".repeat(129)), "it has 129"),
        (with("taskId", json!("a/b")), "`a/b`"),
        (with("kind", json!("k".repeat(65))), "1 to 64 characters"),
        (amount(json!(-1)), "`-1`"),
        (amount(json!(0.5)), "`0.5`"),
        (amount(json!(9_007_199_254_740_992_u64)), "`9007199254740992`"),
        (amount(json!("5")), "whole number"),
        (with("work", json!({"durationMs": 86_400_001})), "1 to 86400000"),
        (with("maxRetries", json!(11)), "0 to 10"),
        (with("prerequisites", json!((0..21).map(|n| format!("t-{n}")).collect::<Vec<_>>())), "20"),
        (enqueue(&json!(tasks)).to_string(), "51 tasks are given; allowed: 1 to 50"),
        (enqueue(&json!([])).to_string(), "allowed: 1 to 50"),
        (json!({"commands": vec![grant("p-1", 1); 101]}).to_string(), "101 commands are given; allowed: 1 to 100"),
    ];
    let (database, function) = Database::with_process_tasks().await;
    for (number, (body, part)) in (0_u64..).zip(&cases) {
        let bad = Message::new(2 * number, body);
        let good = Message::new(2 * number + 1, grant("p-good", 1));
        let answer = function.answer(sqs::standard(&[bad.clone(), good])).await;
        assert_eq!(failures(&answer), [""; 0], "{body}");
        assert_eq!(counts(&answer), Counts { received: 2, applied: 1, malformed: 1, ..Counts::default() }, "{body}");
        let command_id = format!("{}:0", bad.id());
        let refused = result(&answer, &command_id);
        assert_eq!((&refused["status"], &refused["reason"]), (&json!("rejected"), &json!("malformed")), "{body}");
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(detail.contains(part), "{body}\n gave: {detail}\n without: {part}");
        // It is recorded for its player if it names one, otherwise in a partition for unknown
        // players.
        let partition = refused["playerId"].as_str();
        let mut rows = database.rejections_of_unknown_players().await;
        if let Some(player) = partition {
            rows.extend(database.rejections(player).await);
        }
        let row = rows.iter().find(|row| row.command_id.as_str() == command_id);
        let row = row.unwrap_or_else(|| panic!("{body} is not in the rejections table"));
        assert_eq!((row.reason, row.body.as_deref()), (RejectionReason::Malformed, Some(body.as_str())));
        assert!(row.detail.contains(part), "{}", row.detail);
    }
    let balance = database.queue("p-good").await.expect("a queue").balances.get("gold");
    assert_eq!(balance, cases.len() as u64, "every valid message took effect");
    assert!(database.queue("p-1").await.is_none(), "malformed input created no queue");
}

#[tokio::test]
async fn a_malformed_command_in_a_list_does_not_affect_the_others() {
    let (database, function) = Database::with_process_tasks().await;
    let list = json!({"commands": [grant("p-1", 1), {"type": "fly", "playerId": "p-1", "commandId": "c-fly"}, 7, grant("p-1", 2)]});
    let answer = function.answer(sqs::standard(&[Message::new(1, &list)])).await;
    assert_eq!(counts(&answer), Counts { received: 4, applied: 2, malformed: 2, ..Counts::default() });
    assert_eq!(result(&answer, "c-fly")["reason"], "malformed");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 3);
    assert_eq!(database.rejections("p-1").await[0].body.as_deref(), Some(list["commands"][1].to_string().as_str()));
}

#[tokio::test]
async fn valid_commands_that_the_rules_forbid_are_rejected() {
    let (database, function) = Database::with_process_tasks().await;
    let self_reference = json!([{"taskId": "t", "kind": "k", "work": {"units": 1}, "prerequisites": ["t"]}]);
    let twice =
        json!([{"taskId": "u", "kind": "k", "work": {"units": 1}}, {"taskId": "u", "kind": "k", "work": {"units": 1}}]);
    let messages = [Message::new(1, enqueue(&self_reference)), Message::new(2, enqueue(&twice))];
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_eq!(counts(&answer), Counts { received: 2, rejected: 2, ..Counts::default() });
    for (message, (reason, tasks)) in messages.iter().zip([("unknown_prerequisite", 1), ("duplicate_task", 2)]) {
        let id = format!("{}:0", message.id());
        assert_eq!(result(&answer, &id)["reason"], reason);
        let rows = database.rejections("p-1").await;
        let row = rows.iter().find(|row| row.command_id.as_str() == id).expect("a row");
        assert_eq!(row.reason.as_str(), reason);
        let kept: Value = serde_json::from_str(row.body.as_deref().expect("the command")).expect("JSON");
        assert_eq!((kept["commandId"].as_str(), &kept["playerId"]), (Some(id.as_str()), &json!("p-1")));
        assert_eq!(kept["tasks"].as_array().map(Vec::len), Some(tasks));
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").tasks.len(), 0);
}

#[tokio::test]
async fn malformed_input_that_is_too_large_for_a_row_is_handed_back() {
    let (database, function) = Database::with_process_tasks().await;
    let big = Message::new(1, "x".repeat(1 << 20));
    let messages = [big.clone(), Message::new(2, "small"), Message::new(3, grant("p-1", 5))];
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_eq!(failures(&answer), [big.id()]);
    let counted = counts(&answer);
    assert_eq!((counted.received, counted.applied, counted.failed), (3, 1, 1));
    assert_eq!(database.rejections_of_unknown_players().await.len(), 1, "the small message is recorded");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 5);
}

#[tokio::test]
async fn a_message_of_one_mebibyte_is_applied() {
    let (database, function) = Database::with_process_tasks().await;
    // A hundred players with fifty tasks each. The task ids have the greatest length.
    let task = |n: usize| json!({"taskId": format!("{n:0>128}"), "kind": "k", "work": {"units": 1}});
    let tasks: Vec<Value> = (0..50).map(task).collect();
    let command = |n: usize| json!({"type": "enqueueTasks", "playerId": format!("p-{n}"), "tasks": tasks});
    let commands: Vec<Value> = (0..100).map(command).collect();
    let body = json!({"commands": commands}).to_string();
    assert!(body.len() > 850_000, "{}", body.len());
    // Padded with white space to the greatest size that SQS accepts.
    let body = format!("{body}{}", " ".repeat((1 << 20) - body.len()));
    let answer = function.answer(sqs::standard(&[Message::new(1, &body)])).await;
    assert_eq!(failures(&answer), [""; 0]);
    assert_eq!(counts(&answer), Counts { received: 100, applied: 100, ..Counts::default() });
    assert_eq!(database.queue("p-99").await.expect("a queue").tasks.len(), 50);
}

#[tokio::test]
async fn an_unreadable_row_fails_only_its_player_and_is_not_changed() {
    for damage in [RowDamage::FlippedByte, RowDamage::NewerFormat] {
        let (database, function) = Database::with_process_tasks().await;
        let both = [Message::new(1, grant("p-bad", 1)), Message::new(2, grant("p-good", 1))];
        assert_eq!(counts(&function.answer(sqs::standard(&both)).await).applied, 2);
        // A new process has no cached copy of the row.
        function.kill().await;
        let damaged = database.damage_row("p-bad", damage);
        let function = database.process_tasks().started().await;
        let messages = [Message::new(3, grant("p-bad", 1)), Message::new(4, grant("p-good", 1))];
        let answer = function.answer(sqs::standard(&messages)).await;
        assert_eq!(failures(&answer), [messages[0].id()], "{damage:?}");
        let failed = result(&answer, &format!("{}:0", messages[0].id()));
        assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("row_unreadable")), "{damage:?}");
        assert_eq!(database.queue_row("p-bad"), damaged, "{damage:?}: the row is unchanged");
        assert_eq!(database.queue("p-good").await.expect("a queue").balances.get("gold"), 2);
    }
}

#[tokio::test]
async fn messages_of_a_group_behind_a_failed_one_are_not_applied() {
    let (database, function) = Database::with_process_tasks().await;
    assert_eq!(counts(&function.answer(sqs::standard(&[Message::new(1, grant("p-bad", 1))])).await).applied, 1);
    function.kill().await;
    database.damage_row("p-bad", RowDamage::FlippedByte);
    let function = database.process_tasks().started().await;
    let messages = [
        Message::new(2, grant("p-before", 1)).group("guild"),
        Message::new(3, grant("p-bad", 1)).group("guild"),
        Message::new(4, grant("p-other", 1)).group("other"),
        Message::new(5, grant("p-behind", 1)).group("guild"),
    ];
    let answer = function.answer(sqs::fifo(&messages)).await;
    assert_eq!(failures(&answer), [messages[1].id(), messages[3].id()]);
    assert_eq!(result(&answer, &format!("{}:0", messages[3].id()))["reason"], "earlier_message_failed");
    assert_eq!(counts(&answer), Counts { received: 4, applied: 2, failed: 2, ..Counts::default() });
    assert!(database.queue("p-behind").await.is_none(), "the message behind the failed one was not applied");
    assert!(database.queue("p-before").await.is_some());
    assert!(database.queue("p-other").await.is_some());
}

#[tokio::test]
async fn the_same_message_twice_in_one_batch_is_applied_once() {
    let (database, function) = Database::with_process_tasks().await;
    let message = Message::new(1, grant("p-1", 7));
    for batch in [
        sqs::standard(&[message.clone(), message.clone()]),
        sqs::fifo(&[message.clone().group("p-1"), message.group("p-1")]),
    ] {
        let answer = function.answer(batch).await;
        assert_eq!(failures(&answer), [""; 0]);
        assert_eq!(counts(&answer).received, 2);
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 7);
}

#[tokio::test]
async fn an_empty_batch_is_answered() {
    let (_database, function) = Database::with_process_tasks().await;
    let answer = function.answer(json!({"Records": []})).await;
    assert_eq!(failures(&answer), [""; 0]);
    assert_eq!(counts(&answer), Counts::default());
    assert!(answer["report"]["cache"]["hitRate"].is_null(), "nothing was looked up");
}

#[tokio::test]
async fn a_payload_that_is_not_an_event_is_malformed_and_the_next_invocation_succeeds() {
    let (_database, function) = Database::with_process_tasks().await;
    for payload in ["", "not json", "[]", "7", "{\"Records\": 7}", "{\"Records\": [{\"eventSource\": \"aws:sqs\"}]}"] {
        let answer = function.answer(Invocation::new(payload)).await;
        assert_eq!((counts(&answer).received, counts(&answer).malformed), (1, 1), "{payload}: {answer}");
        let answer = function.answer(sqs::standard(&[])).await;
        assert_eq!(counts(&answer).received, 0);
    }
}

#[tokio::test]
async fn a_bad_setting_stops_the_start_with_one_line() {
    for (name, value, allowed) in
        [("MILLRACE_BATCH_MAX_ITEMS", "26", "1 to 25"), ("MILLRACE_STORE", "postgres://localhost", "dynamodb")]
    {
        let database = Database::new();
        let error = database.process_tasks().env(name, value).start().await.expect_err("a bad setting");
        assert!(!error.status.success(), "{error}");
        let line = error.stderr.trim();
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in [name, value, allowed] {
            assert!(line.contains(part), "no {part} in: {line}");
        }
    }
}

#[tokio::test]
async fn an_unknown_setting_is_logged_as_a_warning() {
    let database = Database::new();
    let setup = database.process_tasks().env("MILLRACE_BATCH_MAX_ITMES", "25");
    let function = setup.started().await;
    function.answer(sqs::standard(&[])).await;
    let log: Vec<String> = function.log().iter().map(ToString::to_string).collect();
    let warned = |line: &String| line.contains("MILLRACE_BATCH_MAX_ITMES") && line.contains("WARN");
    assert!(log.iter().any(warned), "{log:?}");
}

/// Callers of the Invoke API send a client context. Node and .NET pass any JSON on, and the mobile
/// SDKs leave out fields that they do not know.
#[tokio::test]
async fn a_client_context_of_any_form_does_not_end_the_process() {
    let (database, function) = Database::with_process_tasks().await;
    let contexts = [
        r#"{"custom": {"attempt": 1}}"#,
        r#"{"client": {}}"#,
        r#"{"custom": {"name": "Zoë"}, "environment": null}"#,
        r#"{"client": {"installation_id": 7}, "services": [{"mobile_analytics": null}]}"#,
        "null",
        "[]",
        "7",
        "no JSON",
        "",
    ];
    for context in contexts {
        let answer = function.answer(Invocation::from(grant("p-1", 1)).client_context(context)).await;
        assert_eq!(counts(&answer), Counts { received: 1, applied: 1, ..Counts::default() }, "{context}");
        assert!(function.is_running(), "{context}");
    }
    function.answer(grant("p-1", 1)).await;
    let gold = database.queue("p-1").await.expect("a queue").balances.get("gold");
    assert_eq!(gold, contexts.len() as u64 + 1);
}
