//! Runs that advance due queues directly, on an in-memory store.
//!
//! Covers runs with faults of shards and queues, concurrent changes, crashes and deadlines.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use millrace_domain::{FailureReason, Record, Rules, Timestamp, record::Table};
use millrace_due::{Advanced, Mode};
use millrace_pipeline::PipelineSettings;
use millrace_simulation::{
    Options, Process, START_MS, access_denied, enqueue_task, grant_gold, idle_row, invocation, queue_tasks, shard_of,
    throttled,
};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::json;

const SHARDS: u64 = DUE_SHARDS as u64;

/// A process whose runs are not redelivered.
fn advance_process(rows: &Process) -> Process {
    rows.start_without_redelivery(PipelineSettings::default())
}

/// Runs once with ten seconds until the time-out.
async fn run_directly(process: &Process) -> Advanced {
    process.advance(None, &invocation(10)).await.unwrap()
}

/// Asserts that the queue, the history and the stats of every player show one completed task.
fn assert_completed_once(process: &Process, count: usize) {
    for index in 0..count {
        let queue = process.queue(&format!("p{index}"));
        assert_eq!((queue.totals.completed, queue.balances.get("gold")), (1, 1), "p{index}");
    }
    assert_eq!(process.store.records(Table::History).len(), count);
    let stats = process.store.records(Table::Stats);
    assert!(stats.iter().all(|row| matches!(row, Record::Stats(row) if row.totals.completed == 1)));
    assert_eq!(stats.len(), count);
}

fn due_index_is_empty(process: &Process) -> bool {
    process.store.queues().iter().all(|(player, _)| process.store.due_at(player).is_none())
}

#[tokio::test]
async fn run_advances_due_queues_only() {
    let rows = Process::new();
    queue_tasks(&rows, 60, |index| if index < 40 { 1_000 + index as u64 } else { 9_000 }).await;
    let process = advance_process(&rows);
    process.advance_clock(5_000);
    let Advanced { advance, report } = run_directly(&process).await;
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.failed), (Mode::Direct, 40, 40, 0));
    assert_eq!((advance.done, advance.up_to), (true, Some(Timestamp::from_millis(START_MS + 5_000))));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.messages), (SHARDS, 0, 0));
    assert_eq!((report.players, report.commands.received), (40, 0));
    // The queues were due between 1,000 ms and 1,039 ms. The run is at 5,000 ms.
    let lateness = report.lateness;
    assert_eq!((lateness.count, lateness.max_ms), (40, Some(4_000)));
    assert!(lateness.p50_ms >= Some(3_980) && lateness.p99_ms <= Some(4_000), "{lateness:?}");
    // Each call commits at most 25 queues: two calls advance the queues, and two remove them from
    // the index.
    assert_eq!((report.commits.committed, report.commits.calls, advance.settled), (80, 4, 40));
    assert_eq!((report.writes.items, process.store.records(Table::History).len()), (80, 40));

    process.advance_clock(4_000);
    let last = run_directly(&process).await.advance;
    assert_eq!((last.due, last.ticks, last.done), (20, 20, true));
    assert_completed_once(&process, 60);
    assert!(due_index_is_empty(&process));
}

#[tokio::test]
async fn run_with_nothing_due_reads_each_shard_once() {
    let rows = Process::new();
    let process = advance_process(&rows);
    for idle in [0, 2_000] {
        let writes: Vec<QueueWrite> = (0..idle).map(|index| idle_row(&format!("idle-{index}"))).collect();
        assert!(rows.store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
        let Advanced { advance, report } = run_directly(&process).await;
        assert_eq!((advance.due, advance.done, advance.calls.due), (0, true, SHARDS), "{idle} idle queues");
        assert_eq!((report.loads.calls, report.commits.calls, report.writes.calls), (0, 0, 0));
        assert_eq!((report.cache.hit_rate, report.lateness.p99_ms), (None, None));
    }
}

#[tokio::test]
async fn unreadable_shard_is_reported_and_other_shards_are_advanced() {
    let rows = Process::new();
    queue_tasks(&rows, 100, |_| 1).await;
    let process = advance_process(&rows);
    process.advance_clock(10);
    process.inject(access_denied(), |operation| matches!(operation, Operation::Due { shard: 3 }));
    let advance = run_directly(&process).await.advance;
    let missing = (0..100).filter(|index| shard_of(*index) == 3).count() as u64;
    assert!(missing > 0);
    assert_eq!((advance.ticks, advance.failed, advance.done), (100 - missing, 0, false));
    let reported: Vec<_> = advance.errors.iter().map(|error| (error.shard, error.failure.reason)).collect();
    assert_eq!(reported, [(3, FailureReason::AccessDenied)]);
    process.store.clear_faults();
    assert_eq!(run_directly(&process).await.advance.ticks, missing);
    assert_completed_once(&process, 100);

    process.inject(throttled(), |_| true);
    let failed = process.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(failed.error_type(), "IndexUnreadable");
}

#[tokio::test]
async fn unreadable_queue_does_not_stop_other_queues() {
    let rows = Process::new();
    queue_tasks(&rows, 50, |_| 1).await;
    let process = advance_process(&rows);
    process.advance_clock(10);
    process.inject(
        Fault::Error(StoreError::unreadable(Table::Queues, "damaged")),
        |operation| matches!(operation, Operation::Load { table: Table::Queues, player } if player.as_str() == "p7"),
    );
    let advance = run_directly(&process).await.advance;
    assert_eq!((advance.due, advance.ticks, advance.failed, advance.done), (50, 49, 1, false));
}

/// A run is not redelivered, so the next run must find the unfinished queues in the due index.
#[tokio::test]
async fn next_run_writes_the_records_left_by_a_crash() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |_| 1).await;
    rows.advance_clock(10);
    let crashing = advance_process(&rows);
    // A crash between the commit and the record writes leaves the queues in the index.
    crashing.inject(access_denied(), |operation| matches!(operation, Operation::Write { .. }));
    let crashed = crashing.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(crashed.error_type(), "NothingAdvanced");
    assert_eq!((rows.queue("p3").totals.completed, rows.store.records(Table::History).len()), (1, 0));

    rows.advance_clock(60_000);
    let next = advance_process(&rows);
    let recovery = run_directly(&next).await;
    assert_eq!((recovery.advance.due, recovery.advance.settled, recovery.advance.done), (10, 10, true));
    assert_eq!(recovery.report.lateness.count, 0, "no task completes a second time");
    assert_completed_once(&rows, 10);
    assert!(due_index_is_empty(&rows));
    assert_eq!(run_directly(&next).await.advance.due, 0);
}

#[tokio::test]
async fn concurrent_change_before_settling_is_not_overwritten() {
    let rows = Process::new();
    queue_tasks(&rows, 1, |_| 1).await;
    rows.advance_clock(10);
    let process = advance_process(&rows);
    // Another process grants gold after the commit and before the queue leaves the index.
    process.interleave(1, rows.start_another(Options::default()), grant_gold("p0", 5));
    let Advanced { advance, report } = run_directly(&process).await;
    assert_eq!((advance.ticks, advance.settled, advance.failed), (1, 0, 0));
    assert_eq!(report.commits.conflicts, 1);
    assert_eq!(rows.queue("p0").balances.get("gold"), 6);
    assert!(due_index_is_empty(&rows));
}

#[tokio::test(start_paused = true)]
async fn two_concurrent_runs_complete_each_task_once() {
    let rows = Process::new();
    queue_tasks(&rows, 300, |index| 1 + index as u64 % 7).await;
    rows.advance_clock(10);
    let (one, other) = (advance_process(&rows), advance_process(&rows));
    for process in [&one, &other] {
        // The delay lets the other run continue in the middle of each call.
        process.inject(Fault::Delay(Duration::from_millis(1)), |operation| !matches!(operation, Operation::Ping));
    }
    let (first, second) = tokio::join!(run_directly(&one), run_directly(&other));
    assert!(first.advance.due > 0 && second.advance.due > 0, "{:?} {:?}", first.advance, second.advance);
    assert!(first.report.commits.conflicts + second.report.commits.conflicts > 0, "the runs had no version conflict");
    assert_eq!(first.report.lateness.count + second.report.lateness.count, 300);
    assert_completed_once(&rows, 300);
    run_directly(&one).await;
    assert!(due_index_is_empty(&rows));
}

#[tokio::test]
async fn inactive_queue_is_paused_and_leaves_the_index() {
    let rules = Rules::default().pause_after_days(3);
    let settings = PipelineSettings { rules, ..PipelineSettings::default() };
    let rows = Process::on_store(
        MemoryStore::new(),
        Arc::new(AtomicU64::new(START_MS)),
        Options { settings: settings.clone(), ..Options::default() },
    );
    let day = 86_400_000;
    let tasks: Vec<_> = (0..7).map(|n| enqueue_task("p0", &format!("t-{n}"), json!({"durationMs": day}))).collect();
    rows.send("m", &json!({ "commands": tasks })).await;
    let process = rows.start_without_redelivery(settings);
    process.advance_clock(3 * day - 1);
    assert_eq!(run_directly(&process).await.advance.due, 1);
    let queue = process.queue("p0");
    assert_eq!((queue.totals.completed, queue.paused_at), (2, None));
    process.advance_clock(day);
    assert_eq!(run_directly(&process).await.advance.due, 1);
    let queue = process.queue("p0");
    assert_eq!(queue.totals.completed, 3);
    assert_eq!(
        queue.paused_at,
        Some(Timestamp::from_millis(START_MS + 3 * day)),
        "the queue is paused at the due moment, not at the time of the run"
    );
    assert!(due_index_is_empty(&process));
    process.advance_clock(365 * day);
    assert_eq!(run_directly(&process).await.advance.due, 0);
}

#[tokio::test(start_paused = true)]
async fn run_cut_off_by_the_deadline_is_continued_by_the_next_run() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |index| 1 + index as u64).await;
    let process = advance_process(&rows);
    process.advance_clock(5_000);
    // A call with 25 commits takes one second.
    process.inject(
        Fault::Delay(Duration::from_millis(40)),
        |operation| matches!(operation, Operation::Commit { write } if write.version == 2),
    );
    let cut_off = process.advance(None, &invocation(6)).await.unwrap().advance;
    assert!(!cut_off.done && cut_off.ticks > 0 && cut_off.due < 2_000, "{cut_off:?}");
    let completed = |index: usize| process.queue(&format!("p{index}")).totals.completed;
    // Every queue that was due before `upTo` is advanced, in all shards: the oldest come first.
    let up_to = cut_off.up_to.unwrap().as_millis() - START_MS - 1;
    assert!(up_to >= 300, "{cut_off:?}");
    assert!((0..up_to as usize).all(|index| completed(index) == 1));
    assert!((0..2_000).filter(|index| completed(*index) == 1).count() < 2_000);
    process.store.clear_faults();
    let next = process.advance(None, &invocation(60)).await.unwrap().advance;
    assert!(next.done, "{next:?}");
    assert_completed_once(&process, 2_000);
    assert!(due_index_is_empty(&process));
}
