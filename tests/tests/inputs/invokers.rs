//! Sources that repeat only an invocation that fails: asynchronous calls, schedules and pipes.

use millrace_tests::{FunctionError, Invocation, answers::counts, backends::Backends, eventbridge, sqs, sqs::Message};
use serde_json::{Value, json};

use crate::{ago, grant};

/// From `InvocationType=Event`, a target of EventBridge Scheduler and a pipe, while the table could
/// not be reached: the invocation succeeded, and what it carried was lost.
#[tokio::test]
async fn what_fails_fails_the_invocation_and_is_applied_once_when_it_is_repeated() {
    let backends = Backends::start().await;
    let function = backends.process_tasks().env("MILLRACE_DB_CALL_TIMEOUT_MS", "500").started().await;
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1"]});
    let mut records = sqs::standard(&[Message::new(1, grant("p-1")), Message::new(2, grant("p-1"))]);
    let payloads: [(&str, Value); 6] = [
        ("a bare command", grant("p-1")),
        ("a list", json!({"commands": [grant("p-1"), grant("p-2")]})),
        ("an event", eventbridge::command("event-1", ago(0), &grant("p-1"))),
        ("an array of commands", json!([grant("p-1"), grant("p-2")])),
        ("an array of records", records["Records"].take()),
        ("a tick", tick),
    ];
    // So that the tick has something to do.
    let due = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 1}}]});
    function.answer(due).await;

    backends.aws_proxy.refuse();
    let invocation = |(name, payload): &(&str, Value)| Invocation::from(payload).request_id(&name.replace(' ', "-"));
    for payload in &payloads {
        match function.invoke(invocation(payload)).await {
            Err(FunctionError::Reported { error_type, message, .. }) => {
                assert_eq!(error_type, "CommandsFailed", "{}", payload.0);
                assert!(message.contains("store") || message.contains("DynamoDB"), "{}: {message}", payload.0);
            }
            other => panic!("{}: {other:?}", payload.0),
        }
    }
    backends.aws_proxy.accept();
    for round in ["applied", "duplicate"] {
        for payload in &payloads {
            let answer = function.answer(invocation(payload)).await;
            let counts = counts(&answer);
            let wanted = if round == "applied" { counts.applied } else { counts.duplicate };
            assert_eq!(wanted, counts.received, "{} in round {round}: {answer:#}", payload.0);
        }
    }
    assert_eq!(backends.queue("p-1").await.balances.get("gold"), 6);
    assert_eq!(backends.queue("p-1").await.totals.completed, 1);
}
