//! The ways in which AWS services wrap commands.

use millrace_domain::Timestamp;
use millrace_tests::{
    Invocation,
    answers::{failures, result},
    database::Database,
    eventbridge, regressions,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{ago, grant, now_ms};

/// From the reports of users of similar systems, one file for each kind of input.
#[tokio::test]
async fn every_input_that_was_once_misunderstood_gets_its_answer() {
    for input in regressions::all(|name| !name.starts_with("http-")) {
        let (_database, function) = Database::with_process_tasks().await;
        let answer = function.answer(Invocation::new(input.payload)).await;
        regressions::assert_has(&answer, &input.answer, &input.name);
    }
}

/// From a rule of EventBridge whose target is a queue, and from a queue that is subscribed to a
/// topic: the services send their own JSON with the commands in it.
#[tokio::test]
async fn a_wrapped_body_has_the_effect_of_the_commands_in_it_and_their_names() {
    let (database, function) = Database::with_process_tasks().await;
    let event = |id: &str| eventbridge::command(id, ago(0), &grant("p-1"));
    let notification = |id: &str, message: &Value| {
        json!({
            "Type": "Notification", "MessageId": id, "TopicArn": "arn:aws:sns:eu-central-1:123456789012:commands",
            "Message": message.to_string(), "Timestamp": "2026-01-15T09:00:00.000Z", "SignatureVersion": "1",
            "Signature": "EXAMPLE==", "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/example.pem",
            "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
        })
    };
    let bodies = [
        event("event-1"),
        notification("notification-1", &grant("p-1")),
        // A topic that is the target of a rule.
        notification("notification-2", &event("event-2")),
    ];
    let messages: Vec<Message> = (0..).zip(&bodies).map(|(number, body)| Message::new(number, body)).collect();
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_eq!((failures(&answer), &answer["results"]), (vec![], &json!([])), "{answer:#}");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 3);
    // The same event comes again in another message, and directly.
    let again = function.answer(sqs::standard(&[Message::new(10, event("event-2"))])).await;
    assert_eq!(result(&again, "event-2:0")["status"], "duplicate");
    let direct = function.answer(event("event-1")).await;
    assert_eq!(result(&direct, "event-1:0")["status"], "duplicate");
    let again = function.answer(sqs::standard(&[Message::new(11, &bodies[1])])).await;
    assert_eq!(result(&again, "notification-1:0")["status"], "duplicate");
}

/// From a pipe of EventBridge Pipes: it hands over an array, also of one element.
#[tokio::test]
async fn an_array_has_the_effect_of_its_elements_and_a_bad_element_spoils_only_itself() {
    let (database, function) = Database::with_process_tasks().await;
    let mut records = sqs::standard(&[Message::new(1, grant("p-1")), Message::new(2, "harvest")]);
    let mut elements = records["Records"].as_array_mut().expect("records").split_off(0);
    elements.extend([
        grant("p-1"),
        json!({"commands": [grant("p-1"), grant("p-2")]}),
        json!({"type": "fly", "playerId": "p-1"}),
        json!(7),
        eventbridge::command("event-1", ago(0), &grant("p-1")),
        json!({"type": "advanceQueues", "playerIds": ["p-1"]}),
    ]);
    let answer = function.answer(Invocation::from(json!(elements)).request_id("req-1")).await;
    let report = json!({"commands": {"received": 8, "applied": 5, "malformed": 3, "failed": 0}});
    regressions::assert_has(&answer["report"], &report, "report");
    // Commands without a name are counted through the whole array.
    for (id, status) in
        [("req-1:0", "applied"), ("req-1:1", "applied"), ("req-1:2", "applied"), ("req-1:3", "rejected")]
    {
        assert_eq!(result(&answer, id)["status"], status, "{answer:#}");
    }
    assert_eq!(result(&answer, &format!("{}:0", Message::new(1, "").id()))["status"], "applied");
    assert_eq!(result(&answer, "event-1:0")["status"], "applied");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 4);
    // Delivered again, the array changes nothing.
    let answer = function.answer(Invocation::from(json!(elements)).request_id("req-1")).await;
    assert_eq!(answer["report"]["commands"]["duplicate"], 5, "{answer:#}");
}

/// From a client that may call `PutEvents`, which takes any `Time`.
#[tokio::test]
async fn the_time_of_an_event_is_not_the_time_of_its_commands() {
    let (database, function) = Database::with_process_tasks().await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 86_400_000}, "rewards": {"gold": 100}}]});
    let before = now_ms();
    let week_ago = Timestamp::from_millis(before - 7 * 86_400_000);
    let event = eventbridge::command("event-1", week_ago, &enqueue);
    function.answer(&event).await;
    let queue = database.queue("p-1").await.expect("a queue");
    assert_eq!((queue.totals.completed, queue.tasks.len()), (0, 1));
    assert!(queue.advanced_to.as_millis() >= before, "the time of arrival");
}

/// From a game client in C++ that cuts a text in the middle of a character.
#[tokio::test]
async fn text_that_is_not_utf_8_is_malformed_and_affects_no_other_message() {
    let (database, function) = Database::with_process_tasks().await;
    let bad = json!({"type": "failTask", "playerId": "p-1", "taskId": "t-1", "reason": "axe @"});
    let payload = sqs::standard(&[Message::new(1, bad), Message::new(2, grant("p-2"))]).to_string();
    let (before, after) = payload.split_once('@').expect("the text");
    let payload = [before.as_bytes(), b"\xe2\x82", after.as_bytes()].concat();
    let answer = function.answer(Invocation::new(payload)).await;
    let refused = result(&answer, &format!("{}:0", Message::new(1, "").id()));
    assert_eq!(refused["reason"], "malformed");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("UTF-8")), "{refused}");
    assert_eq!(answer["report"]["commands"]["applied"], 1, "{answer:#}");
    assert_eq!(database.rejections_of_unknown_players().await.len(), 1);

    // A direct call takes all or nothing.
    let direct =
        function.answer(Invocation::new(b"{\"type\": \"pauseQueue\", \"playerId\": \"p\xff\"}".to_vec())).await;
    assert_eq!(direct["results"][0]["reason"], "malformed", "{direct:#}");
}

/// From a game that sends its whole state: a payload of a few kilobytes with thousands of levels. A
/// reader of the event could fail at them.
#[tokio::test]
async fn a_deeply_nested_payload_is_refused_by_name_in_every_envelope() {
    const MARK: u64 = 987_654_321;
    let (database, function) = Database::with_process_tasks().await;
    let task = json!({"taskId": "t", "kind": "k", "work": {"units": 1}, "payload": MARK});
    let command = |player: &str| json!({"type": "enqueueTasks", "playerId": player, "tasks": [task]});
    let in_message = |body: &Value| sqs::standard(&[Message::new(1, body)]);
    let event = |player: &str| eventbridge::command(player, ago(0), &command(player));
    let topic = json!({"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:eu-central-1:1:topic",
        "Message": command("p-6").to_string(), "Timestamp": "2026-01-15T09:00:00.000Z"});
    let inputs = [
        command("p-0"),
        json!({"commands": [command("p-1")]}),
        json!([command("p-2")]),
        event("p-3"),
        in_message(&command("p-4")),
        in_message(&event("p-5")),
        in_message(&topic),
    ];
    for (at, input) in inputs.iter().enumerate() {
        for levels in [33, 2_000, 32] {
            let nested = "[".repeat(levels) + &"]".repeat(levels);
            let input = input.to_string().replace(&MARK.to_string(), &nested);
            let answer = function.answer(Invocation::new(input)).await;
            if levels > 32 {
                let refused = &answer["results"][0];
                let detail = refused["detail"].as_str().unwrap_or_default();
                let expected = format!("tasks[0].payload: {levels} levels of arrays and objects are given");
                assert_eq!(refused["reason"], "malformed", "input {at}: {answer:#}");
                assert!(detail.contains(&expected), "input {at}: {detail}");
            } else {
                assert_eq!(answer["report"]["commands"]["applied"], 1, "input {at}: {answer:#}");
                let queue = database.queue(&format!("p-{at}")).await.expect("a queue");
                assert_eq!(queue.tasks[0].payload.as_ref().map(|payload| payload.size()), Some(64));
            }
        }
    }
}
