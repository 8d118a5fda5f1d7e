//! What grows without bound: answers, balances, totals.

use std::time::Duration;

use millrace_tests::{
    answers::{counts, failures},
    database::Database,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{apply, grant};

/// The largest answer of a synchronous invocation.
const MAX_ANSWER: usize = 6 * 1024 * 1024;

/// From a client that was released with another form of commands, behind a queue with batches of
/// 1,000: the answer had 7 MB, so Lambda refused it and all messages came again.
#[tokio::test]
async fn the_answer_stays_small_however_much_is_refused() {
    let (_database, function) = Database::with_process_tasks().await;
    // Each message has a long text in its error.
    let bad = |n: usize| json!({"type": ("x".repeat(2_000)), "playerId": "p-1", "commandId": format!("{n}-{}", "c".repeat(100))});
    let messages: Vec<Message> = (0..1_000)
        .map(|number| match number {
            0..230 => Message::new(number, json!({"commands": (0..100).map(bad).collect::<Vec<_>>()})),
            _ => Message::new(number, grant(&format!("p-{number}"))),
        })
        .collect();
    let answer = function.answer(sqs::standard(&messages)).await;
    let bytes = answer.to_string().len();
    assert!(bytes < MAX_ANSWER / 3, "{bytes} bytes");
    assert_eq!(failures(&answer), [""; 0]);
    assert_eq!((counts(&answer).malformed, counts(&answer).applied), (23_000, 770));
    assert_eq!(answer["results"].as_array().expect("results").len(), 200);
    assert_eq!(answer["resultsOmitted"], 22_800);

    // Each message that is handed back is named, however many there are.
    let too_large = |n: u64| Message::new(n, format!("{{\"x\": \"{}\"}}", "x".repeat(400_000)));
    let messages: Vec<Message> = (0..20).map(too_large).chain((20..1_000).map(|n| Message::new(n, "{}"))).collect();
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_eq!(failures(&answer).len(), 20, "what does not fit a row is handed back");
    let results = answer["results"].as_array().expect("results");
    assert!(results[..20].iter().all(|result| result["status"] == "failed"), "failed ones come first");
    assert_eq!((results.len(), &answer["resultsOmitted"]), (200, &json!(800)));
}

fn sword(n: usize) -> String {
    format!("sword-4f0c6d1a-9d0e-4e57-8c51-{n:012}")
}

/// A task that costs and earns these resources.
fn task(id: usize, costs: &[String], rewards: &[String]) -> Value {
    let amounts =
        |names: &[String]| names.iter().map(|name| (name.clone(), json!(1))).collect::<serde_json::Map<_, _>>();
    json!({"taskId": format!("t-{id}"), "kind": "k", "work": {"durationMs": 1}, "costs": amounts(costs), "rewards": amounts(rewards)})
}

/// From a game in which each item is a separate resource, such as `sword-<uuid>`.
#[tokio::test]
async fn thousands_of_different_rewards_leave_a_queue_that_takes_tasks() {
    let (database, function) = Database::with_process_tasks().await;
    let swords: Vec<String> = (0..1_200).map(sword).collect();
    let enqueue = |tasks: Vec<Value>| json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": tasks});
    // Each command arrives when the task of the one before it is over.
    let send = async |command: Value| {
        tokio::time::sleep(Duration::from_millis(2)).await;
        apply(&function, command).await;
    };
    for (at, swords) in swords.chunks(20).enumerate() {
        send(enqueue(vec![task(at, &[], swords)])).await;
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    function.answer(json!({"type": "advanceQueues", "playerIds": ["p-1"]})).await;
    let queue = database.queue("p-1").await.expect("a queue");
    assert_eq!((queue.totals.completed, queue.tasks.len(), queue.balances.len()), (60, 0, 1_200));
    assert!(queue.totals.rewards.len() <= 256, "totals by resource are bounded");
    assert!(database.queue_row("p-1").len() < 100_000, "{} bytes", database.queue_row("p-1").len());

    // Swords that are spent leave no trace.
    for (at, swords) in swords.chunks(20).enumerate() {
        send(enqueue(vec![task(1_000 + at, swords, &[])])).await;
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    function.answer(json!({"type": "advanceQueues", "playerIds": ["p-1"]})).await;
    let queue = database.queue("p-1").await.expect("a queue");
    assert_eq!((queue.totals.completed, queue.balances.len()), (120, 0));
}

/// From the same game after a year: each limit says which one it is, and how to get below it.
#[tokio::test]
async fn each_limit_of_a_queue_has_its_own_reason() {
    let (_database, function) = Database::with_process_tasks().await;
    let enqueue = |tasks: Vec<Value>| json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": tasks});
    let mut number = 0;
    let mut refusal = async |command: Value| {
        number += 1;
        let answer = function.answer(sqs::standard(&[Message::new(number, command)])).await;
        let result = &answer["results"][0];
        let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("detail"))
    };
    // The number of tasks.
    let (reason, detail) = refusal(enqueue((0..50).map(|n| task(n, &[], &[])).collect())).await;
    assert_eq!((reason.as_str(), detail.as_str()), ("", ""), "50 tasks are allowed");
    refusal(json!({"type": "clearQueue", "playerId": "p-1"})).await;
    refusal(json!({"type": "configureQueue", "playerId": "p-1", "maxTasks": 3})).await;
    let (reason, detail) = refusal(enqueue((0..4).map(|n| task(100 + n, &[], &[])).collect())).await;
    assert_eq!(reason, "queue_full", "{detail}");

    // The bytes of the tasks.
    refusal(json!({"type": "configureQueue", "playerId": "p-1", "maxTasks": 200})).await;
    refusal(json!({"type": "pauseQueue", "playerId": "p-1"})).await;
    let long = |n: usize| format!("{}-{n}", "r".repeat(60 - n.to_string().len()));
    let mut reason = (String::new(), String::new());
    for id in 0..150 {
        let rewards: Vec<String> = (0..20).map(|n| long(20 * id + n)).collect();
        reason = refusal(enqueue(vec![task(200 + id, &[], &rewards)])).await;
        if !reason.0.is_empty() {
            break;
        }
    }
    assert_eq!(reason.0, "queue_too_large", "{}", reason.1);
    assert!(reason.1.contains("allowed"), "{}", reason.1);

    // The bytes of the balances, of another player.
    let mut reason = (String::new(), String::new());
    for id in 0..200 {
        let rewards: Vec<String> = (0..20).map(|n| long(20 * id + n)).collect();
        let mut command = enqueue(vec![task(id, &[], &rewards)]);
        command["playerId"] = "p-2".into();
        reason = refusal(command).await;
        if !reason.0.is_empty() {
            break;
        }
    }
    assert_eq!(reason.0, "too_many_resources", "{}", reason.1);
}
