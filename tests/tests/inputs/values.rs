//! Numbers, nulls and texts as senders write them.

use millrace_tests::{
    answers::{failures, result},
    database::Database,
    sqs::{self, Message},
};
use serde_json::json;

use crate::apply;

/// From languages that have one type of number, such as JavaScript and Lua: whole numbers come with
/// a fraction or an exponent.
#[tokio::test]
async fn a_whole_number_is_the_same_however_it_is_written() {
    let (database, function) = Database::with_process_tasks().await;
    let written = ["5", "5.0", "5e0", "0.5e1", "50E-1", "5.000"];
    let body = |amount: &str| {
        format!(
            r#"{{"commands": [{{"type": "grantResources", "playerId": "p-1", "resources": {{"gold": {amount}}}}},
                {{"type": "configureQueue", "playerId": "p-1", "slots": {amount}, "maxTasks": {amount}}},
                {{"type": "enqueueTasks", "playerId": "p-{amount}", "tasks": [
                    {{"taskId": "t", "kind": "k", "work": {{"units": {amount}}}, "maxRetries": {amount}, "retryDelayMs": {amount}}}]}}]}}"#
        )
    };
    let messages: Vec<Message> =
        (0..).zip(written).map(|(number, amount)| Message::new(number, body(amount))).collect();
    apply(&function, sqs::standard(&messages)).await;
    let queue = database.queue("p-1").await.expect("a queue");
    assert_eq!((queue.balances.get("gold"), queue.slots, queue.max_tasks), (30, 5, 5));
}

/// From serializers that write every field of a class.
#[tokio::test]
async fn null_in_an_optional_field_means_that_the_field_is_absent() {
    let (database, function) = Database::with_process_tasks().await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "commandId": null, "taskId": null, "unitsDone": null,
        "reason": null, "priority": null, "resources": null, "slots": null, "maxTasks": null, "playerIds": null,
        "commands": null, "tasks": [{
            "taskId": "t-1", "kind": "k", "work": {"durationMs": null, "units": 3}, "priority": null, "notBefore": null,
            "prerequisites": null, "costs": null, "rewards": null, "maxRetries": null, "retryDelayMs": null}]});
    let configure = json!({"type": "configureQueue", "playerId": "p-1", "slots": null, "maxTasks": 7});
    apply(&function, sqs::standard(&[Message::new(1, enqueue), Message::new(2, configure)])).await;
    let queue = database.queue("p-1").await.expect("a queue");
    assert_eq!((queue.tasks[0].max_retries, queue.tasks[0].retry_delay_ms), (3, 1_000));
    assert_eq!((queue.slots, queue.max_tasks), (1, 7));
    // A required field is missing if it is null.
    let without = json!({"type": "grantResources", "playerId": "p-1", "resources": null});
    let message = Message::new(3, without);
    let answer = function.answer(sqs::standard(std::slice::from_ref(&message))).await;
    let refused = result(&answer, &format!("{}:0", message.id()));
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("resources: missing")), "{refused}");
}

/// From every sender whose developer reads the message and looks for the value.
#[tokio::test]
async fn every_message_of_the_parser_shows_the_value_as_it_was_sent() {
    let (_database, function) = Database::with_process_tasks().await;
    let grant =
        |amount: &str| format!(r#"{{"type": "grantResources", "playerId": "p-1", "resources": {{"gold": {amount}}}}}"#);
    let task = |fields: &str| {
        format!(r#"{{"type": "enqueueTasks", "playerId": "p-1", "tasks": [{{"taskId": "t", "kind": "k", {fields}}}]}}"#)
    };
    let cases = [
        (grant("5.5"), "5.5"),
        (grant("-1"), "-1"),
        (grant("1e300"), "1e300"),
        (grant("9007199254740993"), "9007199254740993"),
        (grant("\"five\""), "five"),
        (grant("true"), "true"),
        (grant("[5]"), "[5]"),
        (grant("{\"n\": 5}"), "{\"n\": 5}"),
        (grant("null"), "null"),
        (task(r#""work": {"units": 0}"#), "0"),
        (task(r#""work": 30000"#), "30000"),
        (task(r#""work": {"units": 1}, "priority": "urgent""#), "urgent"),
        (task(r#""work": {"units": 1}, "priority": 3"#), "3"),
        (task(r#""work": {"units": 1}, "notBefore": "tomorrow""#), "tomorrow"),
        (task(r#""work": {"units": 1}, "prerequisites": "t-0""#), "t-0"),
        (task(r#""work": {"units": 1}, "maxRetries": 11"#), "11"),
        (r#"{"type": "pauseQueue", "playerId": 17}"#.to_owned(), "17"),
        (r#"{"type": "pauseQueue", "playerId": "p-1", "commandId": "a b"}"#.to_owned(), "a b"),
        (r#"{"type": 12, "playerId": "p-1"}"#.to_owned(), "12"),
        (r#"{"type": "advanceQueues", "playerIds": "p-1"}"#.to_owned(), "p-1"),
        (r#"{"commands": {"type": "pauseQueue"}}"#.to_owned(), r#"{"type": "pauseQueue"}"#),
    ];
    for (number, (body, sent)) in (0..).zip(&cases) {
        let message = Message::new(number, body);
        let answer = function.answer(sqs::standard(std::slice::from_ref(&message))).await;
        assert_eq!(failures(&answer), [""; 0], "{body}");
        let refused = &answer["results"][0];
        assert_eq!(refused["reason"], "malformed", "{body}: {answer:#}");
        let detail = refused["detail"].as_str().expect("a detail");
        let is_quoted = [format!("`{sent}`"), format!("\"{sent}\"")].iter().any(|quoted| detail.contains(quoted));
        assert!(is_quoted, "{body}\n gave: {detail}");
    }
}
