//! The pipeline on a store in memory: what is answered, written and counted, step by step.

use std::sync::Arc;

use millrace_domain::{FeatureSwitch, record::Table};
use millrace_pipeline::PipelineSettings;
use millrace_simulation::{BEGIN, Options, Process, Sent, enqueue, failures, fifo, grant, report, sqs, standard};
use millrace_store::{
    QueueStore, QueueWrite,
    memory::{Fault, Operation},
};
use serde_json::json;

#[tokio::test]
async fn ten_players_take_one_commit_call_and_a_second_delivery_writes_nothing() {
    let process = Process::new();
    let messages: Vec<Sent> =
        (0..10).map(|n| fifo(&format!("m{n}"), &format!("p{n}"), 1, &grant(&format!("p{n}"), 5))).collect();
    let event = sqs(&messages);

    let answer = process.invoke(&event).await;
    assert!(answer.batch_item_failures.is_empty() && answer.results.is_empty());
    let report = &answer.report;
    assert_eq!((report.commands.received, report.commands.applied, report.players), (10, 10, 10));
    assert_eq!((report.commits.committed, report.commits.calls, report.commits.conflicts), (10, 1, 0));
    assert_eq!((report.cache.lookups, report.cache.misses, report.cache.hit_rate), (10, 10, Some(0.0)));

    let again = process.invoke(&event).await;
    assert_eq!((again.report.commands.duplicate, again.report.commits.calls, again.report.writes.calls), (10, 0, 0));
    assert_eq!(
        (again.report.cache.hits, again.report.cache.local.hits, again.report.cache.hit_rate),
        (10, 10, Some(1.0))
    );
    assert!(again.results.iter().all(|result| result.status == "duplicate"));
    assert_eq!(process.queue("p3").balances.get("gold"), 5);
}

#[tokio::test]
async fn records_go_out_by_table_and_priority_in_calls_of_25() {
    let process = Process::new();
    // 30 players complete a task each: 30 history rows and 30 stats rows, 2 calls each.
    let queued: Vec<Sent> =
        (0..30).map(|n| standard(&format!("m{n}"), &enqueue(&format!("p{n}"), "t", json!({"units": 1})))).collect();
    process.invoke(&sqs(&queued)).await;
    process.wait(10);
    let reports: Vec<Sent> = (0..30)
        .map(|n| Sent { sent_at: BEGIN + 5, ..standard(&format!("n{n}"), &report(&format!("p{n}"), "t", 1)) })
        .collect();
    let writes = process.invoke(&sqs(&reports)).await.report.writes;
    assert_eq!((writes.items, writes.calls, writes.round_trips_saved), (60, 4, 56));
    let history = writes.by_table[&Table::History];
    assert_eq!((history.items, history.calls), (30, 2));
    let urgent: Vec<_> =
        serde_json::to_value(&writes).unwrap()["byPriority"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(urgent, ["critical", "low"]);
}

#[tokio::test]
async fn a_conflict_is_loaded_and_applied_again() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &grant("p", 1))])).await;
    let other = process.another(Options::default());
    other.invoke(&sqs(&[standard("m1", &grant("p", 10))])).await;
    // This process still holds the first version.
    let answer = process.invoke(&sqs(&[standard("m2", &grant("p", 100))])).await;
    assert_eq!(
        (answer.report.commits.committed, answer.report.commits.conflicts, answer.report.commits.calls),
        (1, 1, 2)
    );
    assert_eq!(process.queue("p").balances.get("gold"), 111);
}

#[tokio::test]
async fn malformed_input_is_kept_and_acknowledged_unless_no_row_can_keep_it() {
    let process = Process::new();
    let text = |id: &str, body: &str| Sent { body: body.to_owned(), ..standard(id, &json!(null)) };
    let huge = format!("{{\"type\":\"pauseQueue\",\"playerId\":\"p\",\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let event = sqs(&[
        text("m0", "nonsense"),
        text("m1", &huge),
        standard("m2", &json!({"commands": [grant("p", 1), {"type": "fly", "playerId": "p", "commandId": "c-9"}]})),
    ]);
    let answer = process.invoke(&event).await;
    assert_eq!(failures(&answer), ["m1"]);
    let counts = answer.report.commands;
    assert_eq!((counts.received, counts.applied, counts.malformed, counts.failed), (4, 1, 2, 1));
    let rows = process.store.records(Table::Rejections);
    assert_eq!(rows.len(), 2);
    let rows = serde_json::to_value(&rows).unwrap().to_string();
    assert!(
        rows.contains(r#""body":"nonsense""#) && rows.contains("unknown#") && rows.contains(r#""commandId":"c-9""#),
        "{rows}"
    );
    process.invoke(&event).await;
    assert_eq!(process.store.records(Table::Rejections).len(), 2, "the same rows again");
}

#[tokio::test]
async fn reports_between_milestones_commit_nothing_and_are_known_to_cold_processes() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 100})))])).await;
    let version = process.version("p");
    let at = |id: &str, units| Sent { sent_at: BEGIN + 10, ..standard(id, &report("p", "t", units)) };
    process.wait(10);
    let answer = process.invoke(&sqs(&[at("m1", 20), at("m2", 10)])).await;
    assert_eq!((answer.report.commits.calls, answer.report.writes.calls, answer.report.commands.applied), (0, 1, 2));
    assert_eq!(process.version("p"), version);
    assert_eq!(process.queue("p").tasks[0].units_done, 0, "the queue's own row learns of milestones");

    let cold = process.another(Options::default());
    let answer = cold.invoke(&sqs(&[at("m3", 15)])).await;
    assert_eq!((answer.report.commands.applied, answer.report.writes.items), (1, 0), "lower than what is done");
    let answer = cold.invoke(&sqs(&[at("m4", 26)])).await;
    assert_eq!(answer.report.commits.committed, 1, "25 % is a milestone");
    assert_eq!(process.queue("p").tasks[0].units_done, 26);

    // Redelivered after the end: remembered with the milestones, so no news.
    cold.invoke(&sqs(&[at("m5", 100)])).await;
    let answer = cold.invoke(&sqs(&[at("m3", 15), at("m4", 26), at("m5", 100)])).await;
    assert_eq!(answer.report.commands.duplicate, 3);
    assert!(process.store.records(Table::Rejections).is_empty());
}

#[tokio::test]
async fn a_tick_completes_what_is_due_and_costs_a_write_only_then() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"durationMs": 5_000})))])).await;
    let tick = json!({"type": "advanceQueues", "playerIds": ["p", "nobody"]});
    let answer = process.invoke(&tick).await;
    assert_eq!((answer.report.commits.calls, answer.report.players, answer.report.commands.received), (0, 2, 0));
    process.wait(6_000);
    let answer = process.invoke(&tick).await;
    assert_eq!((answer.report.commits.committed, answer.report.writes.items), (1, 2));
    assert_eq!(process.queue("p").balances.get("gold"), 1);
    assert_eq!(process.version("nobody"), 0);
}

#[tokio::test]
async fn without_batching_and_cache_the_same_is_done_in_more_calls() {
    let settings = PipelineSettings { batching: FeatureSwitch::OFF, ..PipelineSettings::default() };
    let options = Options { settings, local_switch: FeatureSwitch::OFF, ..Options::default() };
    let process = Process::new().another(options);
    let queued: Vec<Sent> =
        (0..10).map(|n| standard(&format!("m{n}"), &enqueue(&format!("p{n}"), "t", json!({"units": 1})))).collect();
    assert_eq!(process.invoke(&sqs(&queued)).await.report.commits.calls, 10);
    process.wait(10);
    let done: Vec<Sent> = (0..10)
        .map(|n| Sent { sent_at: BEGIN + 5, ..standard(&format!("n{n}"), &report(&format!("p{n}"), "t", 1)) })
        .collect();
    let report = process.invoke(&sqs(&done)).await.report;
    assert_eq!((report.writes.items, report.writes.calls, report.writes.round_trips_saved), (20, 20, 0));
    assert_eq!((report.cache.hits, report.cache.misses), (0, 10));
    assert_eq!(process.queue("p3").balances.get("gold"), 1);
}

#[tokio::test]
async fn a_thousand_commands_for_one_player_in_one_batch_are_all_remembered() {
    let process = Process::new();
    let messages: Vec<Sent> = (0..1_000).map(|n| standard(&format!("m{n}"), &grant("p", 1))).collect();
    let event = sqs(&messages);
    process.invoke(&event).await;
    assert_eq!(process.queue("p").balances.get("gold"), 1_000);
    let cold = process.another(Options::default());
    assert_eq!(cold.invoke(&event).await.report.commands.duplicate, 1_000);
    assert_eq!(process.queue("p").balances.get("gold"), 1_000);
}

#[tokio::test]
async fn one_message_whose_records_fit_no_single_row_takes_several_commits_and_is_once_all_the_same() {
    let process = Process::new();
    // 50 times 50 tasks queued and cancelled: 2,500 history rows.
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
    let event = sqs(&[fifo("m0", "p", 5, &json!({ "commands": commands }))]);
    let answer = process.invoke(&event).await;
    assert_eq!((answer.report.commands.applied, answer.batch_item_failures.len()), (100, 0));
    assert!(answer.report.commits.committed > 5, "{:?}", answer.report.commits);
    assert_eq!(process.store.records(Table::History).len(), 2_500);
    assert_eq!(process.queue("p").totals.cancelled, 2_500);
    let again = process.another(Options::default()).invoke(&event).await;
    assert_eq!(again.report.commands.duplicate, 100);
}

#[tokio::test]
async fn a_copy_that_another_process_made_old_never_leads_to_a_wrong_commit() {
    let process = Process::new();
    process.invoke(&sqs(&[standard("m0", &enqueue("p", "t", json!({"units": 1})))])).await;
    let stale = process.another(Options::default());
    stale.invoke(&sqs(&[standard("m1", &grant("p", 1))])).await;
    process.invoke(&sqs(&[standard("m2", &json!({"type": "cancelTask", "playerId": "p", "taskId": "t"}))])).await;
    // In the stale copy the task is still active, so the report would complete it.
    process.wait(10);
    let answer = stale.invoke(&sqs(&[Sent { sent_at: BEGIN + 10, ..standard("m3", &report("p", "t", 1)) }])).await;
    assert_eq!(answer.results[0].reason, Some("unknown_task"));
    assert_eq!(process.queue("p").totals.completed, 0);
}

#[tokio::test]
async fn memory_above_its_threshold_halves_the_local_cache() {
    let settings = PipelineSettings { memory_threshold: 1 << 20, ..PipelineSettings::default() };
    let options = Options { settings, resident: || Some((1 << 20) + 1), ..Options::default() };
    let process = Process::new().another(options);
    let messages: Vec<Sent> = (0..100).map(|n| standard(&format!("m{n}"), &grant(&format!("p{n}"), 1))).collect();
    let memory = process.invoke(&sqs(&messages)).await.report.memory;
    assert_eq!((memory.resident_bytes, memory.local_cache_entries), (Some((1 << 20) + 1), 50));
}

#[tokio::test]
async fn an_empty_batch_is_answered_with_zeros() {
    let answer = Process::new().invoke(&json!({"Records": []})).await;
    let report = serde_json::to_value(&answer.report).unwrap();
    assert_eq!(report["commands"]["received"], 0);
    assert_eq!(report["cache"]["hitRate"], json!(null));
    assert_eq!(report["cache"]["redis"]["state"], "off");
}

#[tokio::test]
async fn the_same_message_twice_in_one_batch_takes_effect_once() {
    let process = Process::new();
    for event in [
        sqs(&[standard("m0", &grant("p", 1)), standard("m0", &grant("p", 1))]),
        sqs(&[fifo("m1", "q", 3, &grant("q", 1)), fifo("m1", "q", 3, &grant("q", 1))]),
    ] {
        let counts = process.invoke(&event).await.report.commands;
        assert_eq!((counts.applied, counts.duplicate), (1, 1));
    }
}

#[tokio::test]
async fn a_row_that_was_never_there_is_inserted_by_one_of_two() {
    let process = Process::new();
    let other = process.store.handle();
    process.store.set_faults(Arc::new({
        let other = Arc::new(other);
        move |operation: &Operation<'_>| {
            if let Operation::Commit { write } = operation
                && write.expected == 0
            {
                // Somebody else is first, at the worst moment.
                let theirs: QueueWrite = (*write).clone();
                futures::executor::block_on(other.commit(&[theirs]));
            }
            Fault::None
        }
    }));
    let answer = process.invoke(&sqs(&[standard("m0", &grant("p", 2))])).await;
    assert_eq!((answer.report.commits.conflicts, answer.report.commands.duplicate), (1, 1));
    assert_eq!(process.queue("p").balances.get("gold"), 2);
}
