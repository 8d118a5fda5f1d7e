//! Commands of HTTP callers. They are not redelivered, so a commit keeps the queue in the due index
//! until its records are written.

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_domain::{PlayerId, record::Table};
use millrace_pipeline::{CommandsAnswer, Invocation, PipelineSettings};
use millrace_simulation::{
    Options, Process, access_denied, enqueue_task, grant_gold, invocation, sqs_payload, standard_message,
};
use millrace_store::memory::Operation;
use serde_json::{Value, json};

/// A process that serves HTTP callers, on the store of another process.
fn http_process(rows: &Process) -> Process {
    rows.start_without_redelivery(PipelineSettings::default())
}

fn player() -> PlayerId {
    PlayerId::new("p").unwrap()
}

async fn post(api: &Process, command: Value) -> CommandsAnswer {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let request_id = format!("req-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    api.apply_commands(&player(), &command, &Invocation { request_id, ..invocation(10) }).await
}

/// The commits and the commit calls of an answer.
fn commit_counts(answer: &CommandsAnswer) -> (u64, u64) {
    (answer.report.commits.committed, answer.report.commits.calls)
}

/// A process whose player has an active task of one hour and a second task behind it.
async fn process_with_two_tasks() -> Process {
    let process = Process::new();
    for (id, task) in [("m0", "a"), ("m1", "b")] {
        process
            .invoke(&sqs_payload(&[standard_message(id, &enqueue_task("p", task, json!({"durationMs": 3_600_000})))]))
            .await;
    }
    process.advance_clock(10);
    process
}

/// Makes every record write fail, as if the process crashed right after the commit.
fn crash_after_commit(process: &Process) {
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { .. }));
}

#[tokio::test]
async fn only_commands_with_records_take_a_second_commit() {
    let rows = process_with_two_tasks().await;
    let api = http_process(&rows);
    let moved = post(&api, json!({"type": "moveToFront", "taskId": "b"})).await;
    assert_eq!((commit_counts(&moved), moved.report.writes.items), ((1, 1), 0));
    let cleared = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!(
        (commit_counts(&cleared), cleared.report.writes.items),
        ((2, 2), 3),
        "the records are two history rows and one stats row"
    );
    assert_eq!(rows.store.due_at(&player()), None, "the queue is not in the due index");
    let queue = cleared.queue.expect("the answer contains the queue");
    assert_eq!((queue.version, queue.tasks.len()), (rows.version("p"), 0));
    assert_eq!(rows.store.records(Table::History).len(), 2);
    let row = rows.store.queue(&player()).unwrap();
    assert_eq!(row.outbox, None, "the outbox is empty");
    let refused = post(&api, json!({"type": "cancelTask", "taskId": "none"})).await;
    assert_eq!((commit_counts(&refused), refused.report.commands.rejected), ((2, 2), 1), "a rejection is a record");
}

#[tokio::test]
async fn tick_writes_the_records_of_a_crashed_call() {
    let rows = process_with_two_tasks().await;
    let api = http_process(&rows);
    crash_after_commit(&api);
    let crashed = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!((crashed.report.commands.failed, crashed.queue.is_none()), (1, true));
    assert_eq!((rows.queue("p").tasks.len(), rows.store.records(Table::History).len()), (0, 0));
    // No task is due, but the queue stays in the index so that `advance-queues` sends a tick.
    let due = rows.store.due_at(&player()).expect("the queue is in the due index");
    assert!(due.as_millis() <= rows.clock.load(Ordering::Relaxed));

    let tick = json!({"type": "advanceQueues", "playerIds": ["p"]});
    let tick_process = rows.start_another(Options::default());
    let recovery = tick_process.invoke(&tick).await;
    assert!(recovery.results.is_empty(), "{:?}", recovery.results);
    assert_eq!(
        (recovery.report.loads.calls, recovery.report.commits.committed, recovery.report.writes.items),
        (1, 1, 3)
    );
    assert_eq!((rows.store.records(Table::History).len(), rows.store.due_at(&player())), (2, None));
    // A second tick has no records to write.
    rows.advance_clock(2_000);
    let idle = tick_process.invoke(&tick).await.report;
    assert_eq!((idle.loads.calls, idle.commits.calls, idle.writes.calls), (1, 0, 0));
}

#[tokio::test]
async fn run_or_retry_writes_the_records_of_a_crashed_call() {
    for by_run in [true, false] {
        let rows = process_with_two_tasks().await;
        let crashing = http_process(&rows);
        crash_after_commit(&crashing);
        let command = json!({"type": "clearQueue", "commandId": "c"});
        assert_eq!(post(&crashing, command.clone()).await.report.commands.failed, 1);
        let next = http_process(&rows);
        if by_run {
            let run = next.advance(None, &invocation(10)).await.unwrap().advance;
            assert_eq!((run.due, run.ticks, run.settled, run.done), (1, 1, 1, true));
        } else {
            let retry = post(&next, command).await;
            assert_eq!((retry.report.commands.duplicate, commit_counts(&retry)), (1, (1, 1)));
            assert_eq!(retry.queue.map(|queue| queue.version), Some(rows.version("p")));
        }
        assert_eq!((rows.store.records(Table::History).len(), rows.store.due_at(&player())), (2, None));
    }
}

#[tokio::test]
async fn concurrent_commit_before_settling_does_not_change_the_answer() {
    let rows = process_with_two_tasks().await;
    let api = http_process(&rows);
    api.interleave(1, rows.start_another(Options::default()), grant_gold("p", 5));
    let answer = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!((answer.report.commands.applied, answer.report.commits.conflicts), (1, 1));
    let queue = answer.queue.expect("the answer contains the queue of the first commit");
    assert_eq!((queue.version, queue.tasks.len(), rows.version("p")), (3, 0, 4));
    assert_eq!((rows.store.due_at(&player()), rows.queue("p").balances.get("gold")), (None, 5));
}
