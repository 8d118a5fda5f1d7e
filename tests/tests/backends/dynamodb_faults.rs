//! DynamoDB in trouble: the right messages are handed back with the right reason, and once it is over
//! their redelivery makes up for all of it, once.

use std::time::Duration;

use millrace_domain::PlayerId;
use millrace_servers::{DynamoProxy, Fault, rules};
use millrace_tests::{
    Function, Invocation,
    answers::{counts, failures},
    backends::BackEnds,
    sqs::{self, Message},
};
use serde_json::json;

use crate::{apply, fail, figure, grants, messages, players, reasons, send, started};

const PLAYERS: usize = 30;

async fn back_ends() -> (BackEnds, Function, Vec<PlayerId>) {
    let back_ends = BackEnds::start().await;
    let function = started(back_ends.process_tasks()).await;
    let players = players(PLAYERS);
    apply(&function, &grants(&players, 0)).await;
    (back_ends, function, players)
}

/// Every player holds exactly `gold`.
async fn check_gold(back_ends: &BackEnds, players: &[PlayerId], gold: u64) {
    for queue in back_ends.queues(players).await {
        assert_eq!(queue.balances.get("gold"), gold, "gold of {}", queue.player_id);
    }
}

/// Delivers again what was handed back until nothing is, and then everything once more: all of it is known.
async fn redeliver(function: &Function, all: &[Message], mut failed: Vec<String>) {
    for _ in 0..5 {
        let left: Vec<Message> = all.iter().filter(|message| failed.contains(&message.id())).cloned().collect();
        if left.is_empty() {
            break;
        }
        failed = failures(&send(function, &left).await).into_iter().map(str::to_owned).collect();
    }
    assert!(failed.is_empty(), "still failing: {failed:?}");
    let answer = send(function, all).await;
    assert_eq!(counts(&answer).duplicate, all.len() as u64, "{answer:#}");
}

/// With this fault on every call, all messages fail with one of these reasons, and none is lost.
async fn everything_fails(set: impl Fn(&DynamoProxy), end: impl Fn(&DynamoProxy), allowed: &[&str]) {
    let (back_ends, function, players) = back_ends().await;
    set(&back_ends.dynamodb);
    let batch = grants(&players, 1);
    let answer = send(&function, &batch).await;
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert_eq!(failed, batch.iter().map(Message::id).collect::<Vec<_>>(), "{answer:#}");
    let reasons = reasons(&answer);
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| allowed.contains(reason)), "{reasons:?}");
    check_gold(&back_ends, &players, 1).await;
    end(&back_ends.dynamodb);
    redeliver(&function, &batch, failed).await;
    check_gold(&back_ends, &players, 2).await;
}

#[tokio::test]
async fn throttling_of_everything_hands_everything_back() {
    let throttle = |proxy: &DynamoProxy| proxy.set_rule(rules::always(Fault::throughput_exceeded()));
    everything_fails(throttle, DynamoProxy::clear_rule, &["store_throttled"]).await;
}

#[tokio::test]
async fn refused_connections_hand_everything_back() {
    everything_fails(DynamoProxy::refuse, DynamoProxy::accept, &["store_unavailable"]).await;
}

#[tokio::test]
async fn server_errors_hand_everything_back() {
    let break_it = |proxy: &DynamoProxy| proxy.set_rule(rules::always(Fault::internal_server_error()));
    everything_fails(break_it, DynamoProxy::clear_rule, &["store_unavailable"]).await;
}

#[tokio::test]
async fn denied_access_and_missing_tables_are_named() {
    let deny = |proxy: &DynamoProxy| proxy.set_rule(rules::always(Fault::access_denied()));
    everything_fails(deny, DynamoProxy::clear_rule, &["access_denied"]).await;
    let remove = |proxy: &DynamoProxy| proxy.set_rule(rules::always(Fault::resource_not_found()));
    everything_fails(remove, DynamoProxy::clear_rule, &["no_such_table"]).await;
}

#[tokio::test]
async fn statements_that_are_throttled_hand_back_their_own_messages() {
    let (back_ends, function, players) = back_ends().await;
    // Every second queue of a call, whichever process or try it is.
    back_ends
        .dynamodb
        .set_rule(rules::on_operation("BatchExecuteStatement", Fault::statement_errors_every(2, "ThrottlingError")));
    let batch = grants(&players, 1);
    let answer = send(&function, &batch).await;
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert!(!failed.is_empty() && failed.len() < batch.len(), "{} of {}", failed.len(), batch.len());
    assert_eq!(reasons(&answer), ["store_throttled"]);
    // What is not handed back is in the table, and nothing else.
    for (message, queue) in batch.iter().zip(back_ends.queues(&players).await) {
        let gold = if failed.contains(&message.id()) { 1 } else { 2 };
        assert_eq!(queue.balances.get("gold"), gold, "{}", queue.player_id);
    }
    back_ends.dynamodb.clear_rule();
    redeliver(&function, &batch, failed).await;
    check_gold(&back_ends, &players, 2).await;
}

#[tokio::test]
async fn rows_that_are_not_processed_are_sent_again() {
    let (back_ends, function, players) = back_ends().await;
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;
    back_ends.dynamodb.set_rule(rules::on_operation("BatchGetItem", Fault::unprocessed_every(2)));
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    // Another process, so that the queues have to be read, and some keys are not processed either.
    let other = started(back_ends.process_tasks()).await;
    let answer = apply(&other, &grants(&players, 2)).await;
    assert!(figure(&answer, "/loads/calls") > 1, "{answer:#}");
    back_ends.dynamodb.clear_rule();
    for player in &players {
        assert_eq!(back_ends.history(player.as_str()).await.len(), 1, "{player}");
    }
    // All of the records' calls this time.
    apply(
        &other,
        &messages(
            &players,
            3,
            |_| json!({"type": "enqueueTasks", "tasks": [{"taskId": "u", "kind": "k", "work": {"durationMs": 1}}]}),
        ),
    )
    .await;
    back_ends.dynamodb.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(2)));
    let answer = apply(&other, &grants(&players, 4)).await;
    assert!(figure(&answer, "/writes/retriedItems") > 0, "{answer:#}");
    for player in &players {
        assert_eq!(back_ends.history(player.as_str()).await.len(), 2, "{player}");
    }
    check_gold(&back_ends, &players, 3).await;
}

#[tokio::test]
async fn one_table_that_is_throttled_fails_only_what_needs_it() {
    let (back_ends, function, players) = back_ends().await;
    let (working, idle) = players.split_at(PLAYERS / 2);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}, "rewards": {"wood": 1}}]});
    apply(&function, &messages(working, 1, |_| task.clone())).await;
    let history = format!("{}history", back_ends.prefix());
    back_ends.dynamodb.set_rule(rules::on_table(&history, Fault::throughput_exceeded()));
    let batch = grants(&players, 2);
    let failed = fail(&function, &batch).await;
    // Their queues are committed, but not recorded: only the history knows what ended.
    assert_eq!(failed, batch[..working.len()].iter().map(Message::id).collect::<Vec<_>>());
    check_gold(&back_ends, idle, 2).await;
    back_ends.dynamodb.clear_rule();
    redeliver(&function, &batch, failed).await;
    check_gold(&back_ends, &players, 2).await;
    for player in working {
        let history = back_ends.history(player.as_str()).await;
        assert_eq!(history.len(), 1, "{player}");
        assert_eq!(back_ends.queue(player.as_str()).await.balances.get("wood"), 1, "credited once");
    }
}

#[tokio::test]
async fn a_slow_table_is_waited_for_and_never_beyond_the_deadline() {
    let (back_ends, function, players) = back_ends().await;
    back_ends.dynamodb.set_rule(rules::always(Fault::delay(Duration::from_secs(2))));
    // Time enough: everything is applied, only later.
    apply(&function, &grants(&players, 1)).await;
    check_gold(&back_ends, &players, 2).await;
    // Not enough: handed back before the time-out, which the test's Lambda enforces.
    let batch = grants(&players, 2);
    let invocation = Invocation::from(sqs::standard(&batch)).within(Duration::from_millis(2_000));
    let answer = function.invoke(invocation).await.unwrap_or_else(|error| panic!("{error}"));
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert_eq!(failed.len(), batch.len(), "{answer:#}");
    assert_eq!(reasons(&answer), ["deadline"]);
    back_ends.dynamodb.clear_rule();
    // The commits may have taken place after all: then the redelivery finds them.
    redeliver(&function, &batch, failed).await;
    check_gold(&back_ends, &players, 3).await;
}

#[tokio::test]
async fn answers_that_are_lost_double_nothing() {
    let (back_ends, function, players) = back_ends().await;
    for (round, operation) in ["BatchExecuteStatement", "BatchGetItem", "BatchWriteItem"].into_iter().enumerate() {
        back_ends.dynamodb.set_rule(rules::first(2, move |call| call.operation == operation, Fault::lose_answer()));
        let batch = grants(&players, round + 1);
        let answer = send(&function, &batch).await;
        let failed = failures(&answer).into_iter().map(str::to_owned).collect();
        back_ends.dynamodb.clear_rule();
        redeliver(&function, &batch, failed).await;
        check_gold(&back_ends, &players, round as u64 + 2).await;
        assert!(back_ends.dynamodb.count("BatchExecuteStatement") > 0, "{operation}");
    }
}

#[tokio::test]
async fn a_queue_is_full_before_its_row_is_too_large_for_the_table() {
    let (back_ends, function, players) = back_ends().await;
    let player = &players[..1];
    apply(&function, &messages(player, 1, |_| json!({"type": "configureQueue", "maxTasks": 200}))).await;
    // Tasks as large as they can be: 40 amounts under long names.
    let amounts = |kind: char| -> serde_json::Map<String, serde_json::Value> {
        (0..20).map(|at| (format!("{kind}{at:063}"), json!(1))).collect()
    };
    let mut full = 0;
    for round in 0..60 {
        let task = json!({
            "taskId": format!("{round:0128}"), "kind": "k".repeat(64), "work": {"units": 10},
            "costs": amounts('c'), "rewards": amounts('r'),
        });
        let answer =
            send(&function, &messages(player, 2 + round, |_| json!({"type": "enqueueTasks", "tasks": [task]}))).await;
        assert!(failures(&answer).is_empty(), "the table takes every row: {answer:#}");
        if counts(&answer).rejected == 1 {
            assert_eq!(answer["results"][0]["reason"], "queue_full", "{answer:#}");
            full += 1;
        }
    }
    let tasks = back_ends.queue(player[0].as_str()).await.tasks.len();
    assert_eq!((tasks + full, tasks > 30), (60, true), "{tasks} tasks fit");
}
