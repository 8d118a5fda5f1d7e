//! The pipeline on an in-memory store: its answers, writes and counts.

use std::sync::Arc;

use millrace_domain::{FeatureSwitch, record::Table};
use millrace_pipeline::PipelineSettings;
use millrace_simulation::{
    Options, Process, START_MS, SqsMessage, enqueue_task, failed_message_ids, fifo_message, grant_gold,
    report_progress, sqs_payload, standard_message,
};
use millrace_store::{
    QueueStore, QueueWrite,
    memory::{Fault, Operation},
};
use serde_json::json;

#[tokio::test]
async fn ten_players_share_one_commit_call_and_a_redelivery_writes_nothing() {
    let process = Process::new();
    let messages: Vec<SqsMessage> = (0..10)
        .map(|n| fifo_message(&format!("m{n}"), &format!("p{n}"), 1, &grant_gold(&format!("p{n}"), 5)))
        .collect();
    let payload = sqs_payload(&messages);

    let answer = process.invoke(&payload).await;
    assert!(answer.batch_item_failures.is_empty() && answer.results.is_empty());
    let report = &answer.report;
    assert_eq!((report.commands.received, report.commands.applied, report.players), (10, 10, 10));
    assert_eq!((report.commits.committed, report.commits.calls, report.commits.conflicts), (10, 1, 0));
    assert_eq!((report.cache.lookups, report.cache.misses, report.cache.hit_rate), (10, 10, Some(0.0)));

    let again = process.invoke(&payload).await;
    assert_eq!((again.report.commands.duplicate, again.report.commits.calls, again.report.writes.calls), (10, 0, 0));
    assert_eq!(
        (again.report.cache.hits, again.report.cache.local.hits, again.report.cache.hit_rate),
        (10, 10, Some(1.0))
    );
    assert!(again.results.iter().all(|result| result.status == "duplicate"));
    assert_eq!(process.queue("p3").balances.get("gold"), 5);
}

#[tokio::test]
async fn records_are_written_by_table_and_priority_in_calls_of_25() {
    let process = Process::new();
    // 30 players complete one task each. That is 30 history rows and 30 stats rows, 2 calls each.
    process.send_to_each("m", 30, |_, player| enqueue_task(player, "t", json!({"units": 1}))).await;
    process.advance_clock(10);
    let answer = process.send_to_each("n", 30, |_, player| report_progress(player, "t", 1)).await;
    let writes = answer.report.writes;
    assert_eq!((writes.items, writes.calls, writes.round_trips_saved), (60, 4, 56));
    let history = writes.by_table[&Table::History];
    assert_eq!((history.items, history.calls), (30, 2));
    let priorities: Vec<_> =
        serde_json::to_value(&writes).unwrap()["byPriority"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(priorities, ["critical", "low"]);
}

#[tokio::test]
async fn version_conflict_reloads_the_queue_and_applies_the_commands_again() {
    let process = Process::new();
    process.send("m0", &grant_gold("p", 1)).await;
    let other = process.start_another(Options::default());
    other.send("m1", &grant_gold("p", 10)).await;
    // The local cache of this process still holds version 1.
    let answer = process.send("m2", &grant_gold("p", 100)).await;
    assert_eq!(
        (answer.report.commits.committed, answer.report.commits.conflicts, answer.report.commits.calls),
        (1, 1, 2)
    );
    assert_eq!(process.queue("p").balances.get("gold"), 111);
}

#[tokio::test]
async fn malformed_input_is_acknowledged_if_a_rejection_row_can_hold_it() {
    let process = Process::new();
    let text_message =
        |id: &str, body: &str| SqsMessage { body: body.to_owned(), ..standard_message(id, &json!(null)) };
    let huge = format!("{{\"type\":\"pauseQueue\",\"playerId\":\"p\",\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let payload = sqs_payload(&[
        text_message("m0", "nonsense"),
        text_message("m1", &huge),
        standard_message(
            "m2",
            &json!({"commands": [grant_gold("p", 1), {"type": "fly", "playerId": "p", "commandId": "c-9"}]}),
        ),
    ]);
    let answer = process.invoke(&payload).await;
    assert_eq!(failed_message_ids(&answer), ["m1"]);
    let counts = answer.report.commands;
    assert_eq!((counts.received, counts.applied, counts.malformed, counts.failed), (4, 1, 2, 1));
    let rows = process.store.records(Table::Rejections);
    assert_eq!(rows.len(), 2);
    let rows = serde_json::to_value(&rows).unwrap().to_string();
    assert!(
        rows.contains(r#""body":"nonsense""#) && rows.contains("unknown#") && rows.contains(r#""commandId":"c-9""#),
        "{rows}"
    );
    process.invoke(&payload).await;
    assert_eq!(process.store.records(Table::Rejections).len(), 2, "a redelivery writes the same rows");
}

#[tokio::test]
async fn progress_between_milestones_is_not_committed_but_is_read_by_a_cold_process() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 100}))).await;
    let version = process.version("p");
    let report_at_10_ms = |id: &str, units| SqsMessage {
        sent_at: START_MS + 10,
        ..standard_message(id, &report_progress("p", "t", units))
    };
    process.advance_clock(10);
    let answer = process.invoke(&sqs_payload(&[report_at_10_ms("m1", 20), report_at_10_ms("m2", 10)])).await;
    assert_eq!((answer.report.commits.calls, answer.report.writes.calls, answer.report.commands.applied), (0, 1, 2));
    assert_eq!(process.version("p"), version);
    assert_eq!(process.queue("p").tasks[0].units_done, 0, "the queue row holds progress at milestones only");

    let cold = process.start_another(Options::default());
    let answer = cold.invoke(&sqs_payload(&[report_at_10_ms("m3", 15)])).await;
    assert_eq!((answer.report.commands.applied, answer.report.writes.items), (1, 0), "a lower progress writes nothing");
    let answer = cold.invoke(&sqs_payload(&[report_at_10_ms("m4", 26)])).await;
    assert_eq!(answer.report.commits.committed, 1, "25 % is a milestone");
    assert_eq!(process.queue("p").tasks[0].units_done, 26);

    // Reports that are redelivered after the task completed are duplicates.
    cold.invoke(&sqs_payload(&[report_at_10_ms("m5", 100)])).await;
    let answer = cold
        .invoke(&sqs_payload(&[report_at_10_ms("m3", 15), report_at_10_ms("m4", 26), report_at_10_ms("m5", 100)]))
        .await;
    assert_eq!(answer.report.commands.duplicate, 3);
    assert!(process.store.records(Table::Rejections).is_empty());
}

#[tokio::test]
async fn tick_completes_due_tasks_and_writes_only_then() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"durationMs": 5_000}))).await;
    let tick = json!({"type": "advanceQueues", "playerIds": ["p", "unknown"]});
    let answer = process.invoke(&tick).await;
    assert_eq!((answer.report.commits.calls, answer.report.players, answer.report.commands.received), (0, 2, 0));
    process.advance_clock(6_000);
    let answer = process.invoke(&tick).await;
    assert_eq!((answer.report.commits.committed, answer.report.writes.items), (1, 2));
    assert_eq!(process.queue("p").balances.get("gold"), 1);
    assert_eq!(process.version("unknown"), 0);
}

#[tokio::test]
async fn without_batching_and_cache_the_result_is_the_same_with_more_calls() {
    let settings = PipelineSettings { batching: FeatureSwitch::OFF, ..PipelineSettings::default() };
    let options = Options { settings, local_cache_switch: FeatureSwitch::OFF, ..Options::default() };
    let process = Process::new().start_another(options);
    let queued = process.send_to_each("m", 10, |_, player| enqueue_task(player, "t", json!({"units": 1}))).await;
    assert_eq!(queued.report.commits.calls, 10);
    process.advance_clock(10);
    let report = process.send_to_each("n", 10, |_, player| report_progress(player, "t", 1)).await.report;
    assert_eq!((report.writes.items, report.writes.calls, report.writes.round_trips_saved), (20, 20, 0));
    assert_eq!((report.cache.hits, report.cache.misses), (0, 10));
    assert_eq!(process.queue("p3").balances.get("gold"), 1);
}

#[tokio::test]
async fn all_1000_commands_of_one_batch_are_remembered() {
    let process = Process::new();
    let messages: Vec<SqsMessage> =
        (0..1_000).map(|n| standard_message(&format!("m{n}"), &grant_gold("p", 1))).collect();
    let payload = sqs_payload(&messages);
    process.invoke(&payload).await;
    assert_eq!(process.queue("p").balances.get("gold"), 1_000);
    let cold = process.start_another(Options::default());
    assert_eq!(cold.invoke(&payload).await.report.commands.duplicate, 1_000);
    assert_eq!(process.queue("p").balances.get("gold"), 1_000);
}

#[tokio::test]
async fn message_whose_records_exceed_one_outbox_takes_several_commits_and_is_applied_once() {
    let process = Process::new();
    // 50 times 50 tasks are enqueued and cancelled, which makes 2,500 history rows.
    let tasks = |round: usize| -> Vec<_> {
        (0..50).map(|n| json!({"taskId": format!("t-{round}-{n}"), "kind": "k", "work": {"units": 1}})).collect()
    };
    let commands: Vec<_> = (0..50)
        .flat_map(|round| {
            [
                json!({"type": "enqueueTasks", "playerId": "p", "tasks": tasks(round)}),
                json!({"type": "clearQueue", "playerId": "p"}),
            ]
        })
        .collect();
    let payload = sqs_payload(&[fifo_message("m0", "p", 5, &json!({ "commands": commands }))]);
    let answer = process.invoke(&payload).await;
    assert_eq!((answer.report.commands.applied, answer.batch_item_failures.len()), (100, 0));
    assert!(answer.report.commits.committed > 5, "{:?}", answer.report.commits);
    assert_eq!(process.store.records(Table::History).len(), 2_500);
    assert_eq!(process.queue("p").totals.cancelled, 2_500);
    let again = process.start_another(Options::default()).invoke(&payload).await;
    assert_eq!(again.report.commands.duplicate, 100);
}

#[tokio::test]
async fn stale_copy_never_leads_to_a_wrong_commit() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 1}))).await;
    let stale = process.start_another(Options::default());
    stale.send("m1", &grant_gold("p", 1)).await;
    process.send("m2", &json!({"type": "cancelTask", "playerId": "p", "taskId": "t"})).await;
    // The task is still active in the stale copy, so the report would complete it there.
    process.advance_clock(10);
    let answer = stale.send("m3", &report_progress("p", "t", 1)).await;
    assert_eq!(answer.results[0].reason, Some("unknown_task"));
    assert_eq!(process.queue("p").totals.completed, 0);
}

#[tokio::test]
async fn memory_above_the_threshold_halves_the_local_cache() {
    let settings = PipelineSettings { memory_threshold: 1 << 20, ..PipelineSettings::default() };
    let options = Options { settings, resident_bytes: || Some((1 << 20) + 1), ..Options::default() };
    let process = Process::new().start_another(options);
    let memory = process.send_to_each("m", 100, |_, player| grant_gold(player, 1)).await.report.memory;
    assert_eq!((memory.resident_bytes, memory.local_cache_entries), (Some((1 << 20) + 1), 50));
}

#[tokio::test]
async fn empty_batch_is_answered_with_zeros() {
    let answer = Process::new().invoke(&json!({"Records": []})).await;
    let report = serde_json::to_value(&answer.report).unwrap();
    assert_eq!(report["commands"]["received"], 0);
    assert_eq!(report["cache"]["hitRate"], json!(null));
    assert_eq!(report["cache"]["redis"]["state"], "off");
}

#[tokio::test]
async fn duplicate_message_in_one_batch_is_applied_once() {
    let process = Process::new();
    for payload in [
        sqs_payload(&[standard_message("m0", &grant_gold("p", 1)), standard_message("m0", &grant_gold("p", 1))]),
        sqs_payload(&[
            fifo_message("m1", "q", 3, &grant_gold("q", 1)),
            fifo_message("m1", "q", 3, &grant_gold("q", 1)),
        ]),
    ] {
        let counts = process.invoke(&payload).await.report.commands;
        assert_eq!((counts.applied, counts.duplicate), (1, 1));
    }
}

#[tokio::test]
async fn concurrent_insert_of_a_new_row_is_applied_once() {
    let process = Process::new();
    let other = process.store.handle();
    process.store.set_faults(Arc::new({
        let other = Arc::new(other);
        move |operation: &Operation<'_>| {
            if let Operation::Commit { write } = operation
                && write.expected == 0
            {
                // Another process inserts the row right before this commit.
                let concurrent: QueueWrite = (*write).clone();
                futures::executor::block_on(other.commit(&[concurrent]));
            }
            Fault::None
        }
    }));
    let answer = process.send("m0", &grant_gold("p", 2)).await;
    assert_eq!((answer.report.commits.conflicts, answer.report.commands.duplicate), (1, 1));
    assert_eq!(process.queue("p").balances.get("gold"), 2);
}
