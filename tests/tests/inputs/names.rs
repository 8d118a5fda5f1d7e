//! The names of commands without `commandId`, and the rows of refused ones.

use millrace_domain::{record::RejectionRecord, rejection::RejectionReason};
use millrace_tests::{
    Invocation,
    answers::{counts, result},
    database::Database,
    eventbridge,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{ago, apply, grant};

/// From an operator who puts an undelivered event again, and names its command after the event.
#[tokio::test]
async fn a_command_without_a_name_can_be_sent_again_under_the_name_that_it_had() {
    let (database, function) = Database::with_process_tasks().await;
    let named = |id: &str| {
        let mut command = grant("p-1");
        command["commandId"] = format!("{id}:0").into();
        command
    };
    let message = Message::new(1, grant("p-1"));
    apply(&function, sqs::standard(std::slice::from_ref(&message))).await;
    apply(&function, eventbridge::command("event-1", ago(0), &grant("p-1"))).await;
    let direct = function.answer(Invocation::from(grant("p-1")).request_id("request-1")).await;
    assert_eq!(counts(&direct).applied, 1, "{direct:#}");

    for id in [message.id().as_str(), "event-1", "request-1"] {
        let answer = function.answer(sqs::standard(&[Message::new(2, named(id))])).await;
        assert_eq!(result(&answer, &format!("{id}:0"))["status"], "duplicate", "{answer:#}");
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 3);
}

fn bodies(rows: &[RejectionRecord]) -> Vec<Value> {
    let body = |row: &RejectionRecord| serde_json::from_str(row.body.as_deref().expect("a body")).expect("JSON");
    rows.iter().map(body).collect()
}

/// From a client that numbers its commands from 1 in each request.
#[tokio::test]
async fn malformed_commands_with_the_same_command_id_keep_their_bodies() {
    let (database, function) = Database::with_process_tasks().await;
    let bad = |n: u64| json!({"type": "nonsense", "playerId": "p-1", "commandId": "c-1", "n": n});
    let refused = json!({"type": "cancelTask", "playerId": "p-1", "commandId": "c-1", "taskId": "t-1"});
    let list = Message::new(1, json!({"commands": [bad(1), bad(2), refused, bad(3)]}));
    let other = Message::new(2, bad(4)).sent_at(ago(0));
    let payload = sqs::standard(&[list, other]);
    for _ in 0..3 {
        let answer = function.answer(payload.clone()).await;
        assert_eq!((counts(&answer).malformed, answer["batchItemFailures"].clone()), (4, json!([])));
    }
    let rows = database.rejections("p-1").await;
    let (malformed, refused): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.reason == RejectionReason::Malformed);
    assert_eq!(bodies(&malformed), [bad(1), bad(2), bad(3), bad(4)], "one row each, however often they come");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason.as_str(), "unknown_task");
}

/// From a test rig whose tasks take no time: the same task is queued, fails, and is queued again
/// within a millisecond.
#[tokio::test]
async fn a_task_that_finishes_twice_within_a_millisecond_has_two_history_rows() {
    let (database, function) = Database::with_process_tasks().await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"units": 1}}]});
    let cancel = json!({"type": "cancelTask", "playerId": "p-1", "taskId": "t-1"});
    let commands: Vec<Value> = [enqueue, cancel].into_iter().cycle().take(6).collect();
    let list = Message::new(1, json!({"commands": commands}));
    apply(&function, sqs::standard(&[list])).await;
    let history = database.history("p-1").await;
    assert_eq!(history.len(), 3, "{history:#?}");
    assert!(history.iter().all(|row| row.finished_at == history[0].finished_at));
}
