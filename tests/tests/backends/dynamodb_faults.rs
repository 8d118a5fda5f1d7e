//! Errors of DynamoDB. The affected messages are handed back with the right failure reason.
//! Afterwards their redelivery applies each command once.

use std::time::Duration;

use millrace_domain::PlayerId;
use millrace_servers::{AwsProxy, Fault, rules};
use millrace_tests::{
    Function, Invocation,
    answers::{counts, failures},
    backends::Backends,
    sqs::{self, Message},
};
use serde_json::json;

use crate::{apply, failure_reasons, grants, messages, number, players, send, send_with_failures};

const PLAYERS: usize = 30;

async fn backends() -> (Backends, Function, Vec<PlayerId>) {
    let backends = Backends::start().await;
    let function = backends.process_tasks().started().await;
    let players = players(PLAYERS);
    apply(&function, &grants(&players, 0)).await;
    (backends, function, players)
}

/// Asserts that the balance of every player is `gold`.
async fn assert_gold(backends: &Backends, players: &[PlayerId], gold: u64) {
    for queue in backends.queues(players).await {
        assert_eq!(queue.balances.get("gold"), gold, "gold of {}", queue.player_id);
    }
}

/// Delivers messages again until none is handed back. Then delivers all messages once more and
/// asserts that all commands are duplicates.
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

/// Asserts that all messages fail with one of the `allowed` reasons between `begin` and `end`, and
/// that their redelivery applies all of them.
async fn assert_all_fail(begin: impl Fn(&AwsProxy), end: impl Fn(&AwsProxy), allowed: &[&str]) {
    let (backends, function, players) = backends().await;
    begin(&backends.aws_proxy);
    let batch = grants(&players, 1);
    let answer = send(&function, &batch).await;
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert_eq!(failed, batch.iter().map(Message::id).collect::<Vec<_>>(), "{answer:#}");
    let reasons = failure_reasons(&answer);
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| allowed.contains(reason)), "{reasons:?}");
    assert_gold(&backends, &players, 1).await;
    end(&backends.aws_proxy);
    redeliver(&function, &batch, failed).await;
    assert_gold(&backends, &players, 2).await;
}

#[tokio::test]
async fn throttling_of_all_calls_hands_all_messages_back() {
    let throttle = |proxy: &AwsProxy| proxy.set_rule(rules::always(Fault::throughput_exceeded()));
    assert_all_fail(throttle, AwsProxy::clear_rule, &["store_throttled"]).await;
}

#[tokio::test]
async fn refused_connections_hand_all_messages_back() {
    assert_all_fail(AwsProxy::refuse, AwsProxy::accept, &["store_unavailable"]).await;
}

#[tokio::test]
async fn server_errors_hand_all_messages_back() {
    let fail = |proxy: &AwsProxy| proxy.set_rule(rules::always(Fault::internal_server_error()));
    assert_all_fail(fail, AwsProxy::clear_rule, &["store_unavailable"]).await;
}

#[tokio::test]
async fn denied_access_and_missing_tables_have_their_own_reasons() {
    let deny = |proxy: &AwsProxy| proxy.set_rule(rules::always(Fault::access_denied()));
    assert_all_fail(deny, AwsProxy::clear_rule, &["access_denied"]).await;
    let remove = |proxy: &AwsProxy| proxy.set_rule(rules::always(Fault::resource_not_found()));
    assert_all_fail(remove, AwsProxy::clear_rule, &["no_such_table"]).await;
}

#[tokio::test]
async fn throttled_statements_hand_back_only_their_messages() {
    let (backends, function, players) = backends().await;
    // Every second statement of each call is throttled, also in retries.
    backends
        .aws_proxy
        .set_rule(rules::on_operation("BatchExecuteStatement", Fault::entry_errors_every(2, "ThrottlingError")));
    let batch = grants(&players, 1);
    let answer = send(&function, &batch).await;
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert!(!failed.is_empty() && failed.len() < batch.len(), "{} of {}", failed.len(), batch.len());
    assert_eq!(failure_reasons(&answer), ["store_throttled"]);
    // Exactly the messages that are not handed back are in the table.
    for (message, queue) in batch.iter().zip(backends.queues(&players).await) {
        let gold = if failed.contains(&message.id()) { 1 } else { 2 };
        assert_eq!(queue.balances.get("gold"), gold, "{}", queue.player_id);
    }
    backends.aws_proxy.clear_rule();
    redeliver(&function, &batch, failed).await;
    assert_gold(&backends, &players, 2).await;
}

#[tokio::test]
async fn unprocessed_keys_and_rows_are_requested_again() {
    let (backends, function, players) = backends().await;
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, &messages(&players, 1, |_| task.clone())).await;
    backends.aws_proxy.set_rule(rules::on_operation("BatchGetItem", Fault::unprocessed_every(2)));
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    // A new process has no local copies, so it loads the queues and meets unprocessed keys.
    let other = backends.process_tasks().started().await;
    let answer = apply(&other, &grants(&players, 2)).await;
    assert!(number(&answer, "/loads/calls") > 1, "{answer:#}");
    backends.aws_proxy.clear_rule();
    for player in &players {
        assert_eq!(backends.history(player.as_str()).await.len(), 1, "{player}");
    }
    // Now the calls that write records leave items unprocessed.
    apply(
        &other,
        &messages(
            &players,
            3,
            |_| json!({"type": "enqueueTasks", "tasks": [{"taskId": "u", "kind": "k", "work": {"durationMs": 1}}]}),
        ),
    )
    .await;
    backends.aws_proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(2)));
    let answer = apply(&other, &grants(&players, 4)).await;
    assert!(number(&answer, "/writes/retriedItems") > 0, "{answer:#}");
    for player in &players {
        assert_eq!(backends.history(player.as_str()).await.len(), 2, "{player}");
    }
    assert_gold(&backends, &players, 3).await;
}

#[tokio::test]
async fn a_throttled_table_fails_only_messages_that_need_it() {
    let (backends, function, players) = backends().await;
    let (working, idle) = players.split_at(PLAYERS / 2);
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1}, "rewards": {"wood": 1}}]});
    apply(&function, &messages(working, 1, |_| task.clone())).await;
    let history = format!("{}history", backends.prefix());
    backends.aws_proxy.set_rule(rules::on_table(&history, Fault::throughput_exceeded()));
    let batch = grants(&players, 2);
    let failed = send_with_failures(&function, &batch).await;
    // Their queues are committed, but their history is not written.
    assert_eq!(failed, batch[..working.len()].iter().map(Message::id).collect::<Vec<_>>());
    assert_gold(&backends, idle, 2).await;
    backends.aws_proxy.clear_rule();
    redeliver(&function, &batch, failed).await;
    assert_gold(&backends, &players, 2).await;
    for player in working {
        let history = backends.history(player.as_str()).await;
        assert_eq!(history.len(), 1, "{player}");
        assert_eq!(backends.queue(player.as_str()).await.balances.get("wood"), 1, "credited once");
    }
}

#[tokio::test]
async fn a_slow_table_is_awaited_until_the_deadline() {
    let (backends, function, players) = backends().await;
    backends.aws_proxy.set_rule(rules::always(Fault::delay(Duration::from_secs(2))));
    // There is enough time: all commands are applied.
    apply(&function, &grants(&players, 1)).await;
    assert_gold(&backends, &players, 2).await;
    // There is not enough time: all messages are handed back before the time-out.
    let batch = grants(&players, 2);
    let invocation = Invocation::from(sqs::standard(&batch)).within(Duration::from_millis(2_000));
    let answer = function.answer(invocation).await;
    let failed: Vec<String> = failures(&answer).into_iter().map(str::to_owned).collect();
    assert_eq!(failed.len(), batch.len(), "{answer:#}");
    assert_eq!(failure_reasons(&answer), ["deadline"]);
    backends.aws_proxy.clear_rule();
    // The commits may have succeeded after the deadline. Then the redelivery finds duplicates.
    redeliver(&function, &batch, failed).await;
    assert_gold(&backends, &players, 3).await;
}

#[tokio::test]
async fn lost_answers_apply_nothing_twice() {
    let (backends, function, players) = backends().await;
    for (round, operation) in ["BatchExecuteStatement", "BatchGetItem", "BatchWriteItem"].into_iter().enumerate() {
        backends.aws_proxy.set_rule(rules::first(2, move |call| call.operation == operation, Fault::lose_answer()));
        let batch = grants(&players, round + 1);
        let answer = send(&function, &batch).await;
        let failed = failures(&answer).into_iter().map(str::to_owned).collect();
        backends.aws_proxy.clear_rule();
        redeliver(&function, &batch, failed).await;
        assert_gold(&backends, &players, round as u64 + 2).await;
        assert!(backends.aws_proxy.count("BatchExecuteStatement") > 0, "{operation}");
    }
}

#[tokio::test]
async fn tasks_are_refused_before_the_row_is_too_large_for_the_table() {
    let (backends, function, players) = backends().await;
    let player = &players[..1];
    apply(&function, &messages(player, 1, |_| json!({"type": "configureQueue", "maxTasks": 200}))).await;
    // Each task has the greatest size: 40 amounts of resources with long names.
    let amounts = |kind: char| -> serde_json::Map<String, serde_json::Value> {
        (0..20).map(|at| (format!("{kind}{at:063}"), json!(1))).collect()
    };
    let mut refused = 0;
    for round in 0..60 {
        let task = json!({
            "taskId": format!("{round:0128}"), "kind": "k".repeat(64), "work": {"units": 10},
            "costs": amounts('c'), "rewards": amounts('r'),
        });
        let answer =
            send(&function, &messages(player, 2 + round, |_| json!({"type": "enqueueTasks", "tasks": [task]}))).await;
        assert!(failures(&answer).is_empty(), "a row was too large for the table: {answer:#}");
        if counts(&answer).rejected == 1 {
            assert_eq!(answer["results"][0]["reason"], "queue_too_large", "{answer:#}");
            refused += 1;
        }
    }
    let tasks = backends.queue(player[0].as_str()).await.tasks.len();
    assert_eq!((tasks + refused, tasks > 25), (60, true), "{tasks} tasks fit");
}
