//! Stale copies in the shared cache: how they affect decisions, and when they are replaced.

use std::sync::{Arc, atomic::Ordering};

use millrace_cache::Emergency;
use millrace_domain::{PlayerId, Timestamp, record::Table};
use millrace_pipeline::PipelineSettings;
use millrace_simulation::{
    Options, Process, START_MS, SqsMessage, access_denied, answer_lost, enqueue_task, eventbridge_payload,
    failed_message_ids, grant_gold, invocation, report_progress, shared_cache::FakeSharedCache, sqs_payload,
    standard_message, throttled,
};
use millrace_store::{
    StoreError,
    memory::{Fault, Operation},
};
use serde_json::{Value, json};

/// Makes every record write fail.
fn fail_record_writes(process: &Process) {
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { .. }));
}

fn tick(players: &[&str]) -> Value {
    json!({"type": "advanceQueues", "playerIds": players})
}

const PLAYERS: [&str; 3] = ["p", "q", "r"];

/// Creates three queues whose shared copies are stale.
///
/// The shared copies are idle and have version 1. In the table, the queues have version 2 and a
/// task that is due in 10 s. Returns the process whose cache writes were lost.
async fn create_stale_copies(process: &Process, shared_cache: &FakeSharedCache) -> Process {
    for player in PLAYERS {
        process.send("m", &grant_gold(player, 1)).await;
    }
    let uncached_writer = process.start_with_connection(shared_cache.connect_losing_writes());
    for player in PLAYERS {
        uncached_writer.send("n", &enqueue_task(player, "t", json!({"durationMs": 10_000}))).await;
        assert_eq!((shared_cache.copies.version(player), process.version(player)), (Some(1), 2));
    }
    uncached_writer
}

#[tokio::test]
async fn tick_with_nothing_due_in_its_copies_reads_the_table_in_one_call() {
    let (process, shared_cache) = Process::with_shared_cache();
    create_stale_copies(&process, &shared_cache).await;
    process.advance_clock(11_000);
    let answer = process.invoke(&tick(&PLAYERS)).await;
    assert!(answer.results.is_empty(), "{:?}", answer.results);
    let report = &answer.report;
    assert_eq!((report.cache.redis.hits, report.loads.calls), (3, 1), "one call reads all three queues");
    assert_eq!((report.commits.committed, report.commits.conflicts, report.commits.calls), (3, 0, 1));
    for player in PLAYERS {
        assert_eq!((process.queue(player).totals.completed, shared_cache.copies.version(player)), (1, Some(3)));
    }
}

#[tokio::test]
async fn tick_reads_the_table_only_if_nothing_is_due_in_the_copy() {
    let (process, shared_cache) = Process::with_shared_cache();
    for player in PLAYERS {
        process.send("m", &enqueue_task(player, "t", json!({"durationMs": 10_000}))).await;
    }
    process.advance_clock(11_000);
    let due = process.invoke(&tick(&PLAYERS)).await.report;
    assert_eq!((due.cache.redis.hits, due.loads.calls, due.commits.committed), (3, 0, 3));
    process.advance_clock(2_000);
    let idle = process.invoke(&tick(&PLAYERS)).await.report;
    assert_eq!((idle.cache.redis.hits, idle.loads.calls, idle.commits.calls), (3, 1, 0));
    let cold = process.start_with_connection(shared_cache.connect());
    let unknown = cold.invoke(&tick(&["unknown"])).await.report;
    assert_eq!((unknown.loads.calls, unknown.commits.calls), (1, 0), "the table is read once");
}

#[tokio::test]
async fn tick_is_redelivered_if_the_table_cannot_be_read() {
    let (process, shared_cache) = Process::with_shared_cache();
    create_stale_copies(&process, &shared_cache).await;
    process.advance_clock(11_000);
    process.inject(
        access_denied(),
        |operation| matches!(operation, Operation::Load { player, .. } if player.as_str() == "q"),
    );
    let messages: Vec<SqsMessage> = PLAYERS.iter().map(|player| standard_message(player, &tick(&[player]))).collect();
    let answer = process.invoke(&sqs_payload(&messages)).await;
    assert_eq!(failed_message_ids(&answer), ["q"]);
    assert_eq!((process.version("p"), process.version("q"), process.version("r")), (3, 2, 3));
}

#[tokio::test]
async fn tick_on_a_stale_copy_writes_the_records_left_by_a_crash() {
    let (process, shared_cache) = Process::with_shared_cache();
    let uncached_writer = create_stale_copies(&process, &shared_cache).await;
    process.advance_clock(11_000);
    fail_record_writes(&uncached_writer);
    let error = uncached_writer.try_invoke(&tick(&["p"])).await.unwrap_err();
    assert_eq!(error.error_type(), "CommandsFailed", "a tick fails as a command does");
    assert_eq!((process.version("p"), process.store.records(Table::History).len()), (3, 0));
    process.invoke(&tick(&["p"])).await;
    assert_eq!((process.version("p"), process.store.records(Table::History).len()), (3, 1));
    assert_eq!(shared_cache.copies.version("p"), Some(3));
}

/// A process that advances due queues directly and is not redelivered.
fn advance_process(process: &Process, shared_cache: Arc<FakeSharedCache>) -> Process {
    let settings = PipelineSettings { is_redelivered: false, ..PipelineSettings::default() };
    process.start_another(Options { settings, shared_cache: Some(shared_cache), ..Options::default() })
}

#[tokio::test]
async fn run_on_stale_copies_advances_due_queues() {
    let (process, shared_cache) = Process::with_shared_cache();
    create_stale_copies(&process, &shared_cache).await;
    process.advance_clock(11_000);
    let run = advance_process(&process, shared_cache.connect()).advance(None, &invocation(10)).await.unwrap();
    assert_eq!((run.advance.due, run.advance.ticks, run.advance.settled, run.advance.done), (3, 3, 3, true));
    assert_eq!((run.report.loads.calls, run.report.commits.conflicts), (1, 0));
    assert!(PLAYERS.iter().all(|player| process.queue(player).totals.completed == 1));
}

#[tokio::test]
async fn run_counts_a_concurrently_changed_queue_as_failed() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m", &enqueue_task("p", "t", json!({"durationMs": 1}))).await;
    process.advance_clock(10);
    // A crash between the commit and the record writes leaves the queue in the index although
    // nothing is due.
    let crashing = advance_process(&process, shared_cache.connect());
    fail_record_writes(&crashing);
    let crashed = crashing.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(crashed.error_type(), "NothingAdvanced");
    process.advance_clock(60_000);
    let runner = advance_process(&process, shared_cache.connect());
    let other = process.start_with_connection(shared_cache.connect_losing_writes());
    runner.interleave(0, other, grant_gold("p", 5));
    let run = runner.advance(None, &invocation(10)).await.unwrap();
    let advance = run.advance;
    assert_eq!((advance.due, advance.ticks, advance.failed, advance.settled, advance.done), (1, 0, 1, 0, false));
    assert_eq!(run.report.commits.conflicts, 1);
    assert_eq!((process.version("p"), shared_cache.copies.version("p")), (3, None), "the stale copy is invalidated");
}

#[tokio::test]
async fn version_conflict_with_a_duplicate_refreshes_the_shared_copy() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m0", &grant_gold("p", 1)).await;
    // The process commits, and crashes before it refreshes the shared copy.
    let uncached_writer = process.start_with_connection(shared_cache.connect_losing_writes());
    uncached_writer.send("m1", &grant_gold("p", 1)).await;
    assert_eq!((process.version("p"), shared_cache.copies.version("p")), (2, Some(1)));
    process.advance_clock(2_000);
    let again = process.send("m1", &grant_gold("p", 1)).await.report;
    assert_eq!((again.commands.duplicate, again.commits.conflicts, again.loads.calls), (1, 1, 1));
    assert_eq!(shared_cache.copies.version("p"), Some(2));
}

#[tokio::test]
async fn failed_record_writes_invalidate_all_shared_copies_in_one_call() {
    let (process, shared_cache) = Process::with_shared_cache();
    let batch = |number: u64, units: u64| {
        let sent_at = process.clock.load(Ordering::Relaxed);
        let command = |index: usize| match units {
            0 => enqueue_task(&format!("p{index}"), "t", json!({"units": 1})),
            units => report_progress(&format!("p{index}"), "t", units),
        };
        let messages = (0..10)
            .map(|index| SqsMessage { sent_at, ..standard_message(&format!("m{number}-{index}"), &command(index)) });
        sqs_payload(&messages.collect::<Vec<_>>())
    };
    process.invoke(&batch(0, 0)).await;
    process.advance_clock(10);
    fail_record_writes(&process);
    let payload = batch(1, 1);
    assert_eq!(failed_message_ids(&process.invoke(&payload).await).len(), 10);
    assert_eq!(shared_cache.forgets.load(Ordering::Relaxed), 1);
    assert!(
        (0..10).all(|index| shared_cache.copies.version(&format!("p{index}")).is_none()),
        "the shared copies are invalidated"
    );
    // The next process has no copy, so it reads the table and writes the records of the outbox.
    let next = process.start_with_connection(shared_cache.connect());
    let answer = next.invoke(&payload).await;
    assert_eq!((answer.report.commands.duplicate, answer.report.commits.conflicts), (10, 0));
    assert_eq!(process.store.records(Table::History).len(), 10);
    assert_eq!(shared_cache.copies.version("p3"), Some(2));
}

#[tokio::test]
async fn commit_with_unknown_outcome_invalidates_the_shared_copy() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m0", &grant_gold("p", 1)).await;
    process.inject(answer_lost(), |operation| matches!(operation, Operation::Commit { .. }));
    let answer = process.send("m1", &grant_gold("p", 1)).await;
    assert_eq!((failed_message_ids(&answer), shared_cache.copies.version("p")), (vec!["m1"], None));
    let reader = process.start_with_connection(shared_cache.connect());
    let read = reader.read_queue(&PlayerId::new("p").unwrap(), 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.balances.get("gold"), 2);
}

#[tokio::test]
async fn refused_commit_keeps_the_shared_copy() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m0", &grant_gold("p", 1)).await;
    process.inject(throttled(), |operation| matches!(operation, Operation::Commit { .. }));
    let answer = process.send("m1", &grant_gold("p", 1)).await;
    assert_eq!((failed_message_ids(&answer), shared_cache.copies.version("p")), (vec!["m1"], Some(1)));
    assert_eq!(shared_cache.forgets.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn failed_commit_keeps_the_shared_copy_in_emergency_mode() {
    let (process, shared_cache) = Process::with_shared_cache();
    process.send("m0", &grant_gold("p", 1)).await;
    let (switched_at, until) = (Timestamp::from_millis(START_MS), Timestamp::from_millis(START_MS + 900_000));
    *shared_cache.emergency.lock().unwrap() = Some(Emergency { enabled: true, switched_at, until });
    let unavailable = Fault::Error(StoreError::Unavailable { detail: "simulated".to_owned() });
    process.inject(unavailable, |operation| matches!(operation, Operation::Commit { .. }));
    let answer = process.send("m1", &grant_gold("p", 1)).await;
    assert_eq!((failed_message_ids(&answer), shared_cache.copies.version("p")), (vec!["m1"], Some(1)));
}

#[tokio::test]
async fn report_below_the_progress_of_a_stale_copy_is_checked_against_the_table() {
    let (process, shared_cache) = Process::with_shared_cache();
    let mut task = enqueue_task("p", "t", json!({"units": 100}));
    task["tasks"][0]["retryDelayMs"] = json!(0);
    process.send("m0", &task).await;
    process.advance_clock(10);
    process.send("m1", &report_progress("p", "t", 90)).await;
    process.advance_clock(10);
    let other = process.start_with_connection(shared_cache.connect());
    other.send("m2", &json!({"type": "failTask", "playerId": "p", "taskId": "t", "reason": "no"})).await;
    process.advance_clock(10);
    // This process still has a copy of the first attempt, with 90 units done.
    let answer = process.send("m3", &report_progress("p", "t", 60)).await;
    assert_eq!((answer.report.commands.applied, answer.report.cache.local.hits), (1, 1));
    assert_eq!((answer.report.loads.calls, answer.report.commits.committed), (1, 1), "50 % is a milestone");
    let task = &process.queue("p").tasks[0];
    assert_eq!((task.attempts, task.units_done), (1, 60));

    process.advance_clock(10);
    let low = process.send("m4", &report_progress("p", "t", 10)).await.report;
    assert_eq!((low.commands.applied, low.loads.calls, low.commits.calls, low.writes.calls), (1, 1, 0, 0));
    let high = process.send("m5", &report_progress("p", "t", 61)).await.report;
    assert_eq!(
        (high.commands.applied, high.loads.calls, high.writes.calls),
        (1, 0, 1),
        "a report with new progress takes no read"
    );
}

/// An EventBridge event is redelivered as a whole, so all of its commands must stay remembered.
#[tokio::test]
async fn tick_between_deliveries_keeps_all_commands_of_a_batch_remembered() {
    let (process, _) = Process::with_shared_cache();
    process.send("m0", &enqueue_task("p", "t", json!({"durationMs": 5_000}))).await;
    let grants: Vec<Value> = (0..100).map(|_| grant_gold("p", 1)).collect();
    let payload = eventbridge_payload(&json!({"commands": grants}));
    process.inject(answer_lost(), |operation| matches!(operation, Operation::Commit { .. }));
    assert!(process.try_invoke(&payload).await.is_err());
    process.store.clear_faults();
    process.advance_clock(6_000);
    assert_eq!(process.invoke(&tick(&["p"])).await.report.commits.committed, 1);
    let again = process.invoke(&payload).await.report.commands;
    assert_eq!((again.duplicate, again.applied), (100, 0));
    assert_eq!(process.queue("p").balances.get("gold"), 101, "100 gold are granted, and one is the reward of the task");
    // Only an applied command shortens the list of remembered commands.
    process.send("m1", &grant_gold("p", 1)).await;
    assert_eq!(process.queue("p").command_memory.len(), 96);
}
