//! Commands of callers who wait: nobody delivers them again, so a commit keeps its queue in the
//! index of what is due until its records are written.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use millrace_domain::{PlayerId, record::Table};
use millrace_pipeline::{CommandsAnswer, Invocation, PipelineSettings};
use millrace_simulation::{Options, Process, enqueue, invocation, sqs, standard};
use millrace_store::{
    StoreError,
    memory::{Fault, Operation},
};
use serde_json::{Value, json};

/// A process behind HTTP, on the rows of another.
fn api(rows: &Process) -> Process {
    let settings = PipelineSettings { is_redelivered: false, ..PipelineSettings::default() };
    rows.another(Options { settings, ..Options::default() })
}

fn player() -> PlayerId {
    PlayerId::new("p").unwrap()
}

async fn post(api: &Process, command: Value) -> CommandsAnswer {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let request_id = format!("req-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    api.apply_commands(&player(), &command, &Invocation { request_id, ..invocation(10) }).await
}

fn commits(answer: &CommandsAnswer) -> (u64, u64) {
    (answer.report.commits.committed, answer.report.commits.calls)
}

/// A queue with a task of an hour, and one that waits for it.
async fn busy() -> Process {
    let process = Process::new();
    for (id, task) in [("m0", "a"), ("m1", "b")] {
        process.invoke(&sqs(&[standard(id, &enqueue("p", task, json!({"durationMs": 3_600_000})))])).await;
    }
    process.wait(10);
    process
}

/// No record is written, as when the process dies right after the commit.
fn die_after_commit(process: &Process) {
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Write { .. } => Fault::Error(StoreError::AccessDenied { detail: "dying".to_owned() }),
        _ => Fault::None,
    }));
}

#[tokio::test]
async fn a_command_without_records_takes_one_commit_and_one_with_records_two() {
    let rows = busy().await;
    let api = api(&rows);
    let front = post(&api, json!({"type": "moveToFront", "taskId": "b"})).await;
    assert_eq!((commits(&front), front.report.writes.items), ((1, 1), 0));
    let cleared = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!((commits(&cleared), cleared.report.writes.items), ((2, 2), 3), "two finished tasks and the totals");
    assert_eq!(rows.store.due_at(&player()), None, "nothing is due");
    let queue = cleared.queue.expect("the queue is in the answer");
    assert_eq!((queue.version, queue.tasks.len()), (rows.version("p"), 0));
    assert_eq!(rows.store.records(Table::History).len(), 2);
    let row = rows.store.queue(&player()).unwrap();
    assert_eq!(row.outbox, None, "all is written");
    let refused = post(&api, json!({"type": "cancelTask", "taskId": "none"})).await;
    assert_eq!((commits(&refused), refused.report.commands.rejected), ((2, 2), 1), "a refusal is a record");
}

#[tokio::test]
async fn what_a_caller_leaves_behind_is_found_in_the_index_by_a_tick() {
    let rows = busy().await;
    let api = api(&rows);
    die_after_commit(&api);
    let cut = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!((cut.report.commands.failed, cut.queue.is_none()), (1, true));
    assert_eq!((rows.queue("p").tasks.len(), rows.store.records(Table::History).len()), (0, 0));
    // Nothing is due, and all the same it is in the index: `advance-queues` has it ticked.
    let due = rows.store.due_at(&player()).expect("it is in the index");
    assert!(due.as_millis() <= rows.clock.load(Ordering::Relaxed));

    let tick = json!({"type": "advanceQueues", "playerIds": ["p"]});
    let ticking = rows.another(Options::default());
    let healed = ticking.invoke(&tick).await;
    assert!(healed.results.is_empty(), "{:?}", healed.results);
    assert_eq!((healed.report.loads.calls, healed.report.commits.committed, healed.report.writes.items), (1, 1, 3));
    assert_eq!((rows.store.records(Table::History).len(), rows.store.due_at(&player())), (2, None));
    // Once is enough.
    rows.wait(2_000);
    let idle = ticking.invoke(&tick).await.report;
    assert_eq!((idle.loads.calls, idle.commits.calls, idle.writes.calls), (1, 0, 0));
}

#[tokio::test]
async fn a_run_finds_it_too_and_so_does_the_caller_who_tries_again() {
    for by_run in [true, false] {
        let rows = busy().await;
        let dying = api(&rows);
        die_after_commit(&dying);
        let command = json!({"type": "clearQueue", "commandId": "c"});
        assert_eq!(post(&dying, command.clone()).await.report.commands.failed, 1);
        let next = api(&rows);
        if by_run {
            let run = next.advance(None, &invocation(10)).await.unwrap().advance;
            assert_eq!((run.due, run.ticks, run.settled, run.done), (1, 1, 1, true));
        } else {
            let again = post(&next, command).await;
            assert_eq!((again.report.commands.duplicate, commits(&again)), (1, (1, 1)));
            assert_eq!(again.queue.map(|queue| queue.version), Some(rows.version("p")));
        }
        assert_eq!((rows.store.records(Table::History).len(), rows.store.due_at(&player())), (2, None));
    }
}

#[tokio::test]
async fn whoever_commits_before_it_is_settled_changes_nothing_in_the_answer() {
    let rows = busy().await;
    let api = api(&rows);
    let (other, commits) = (Arc::new(rows.another(Options::default())), AtomicU64::new(0));
    api.store.set_faults(Arc::new(move |operation| {
        if matches!(operation, Operation::Commit { .. }) && commits.fetch_add(1, Ordering::Relaxed) == 1 {
            let other = Arc::clone(&other);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(other.invoke(&sqs(&[standard("g", &millrace_simulation::grant("p", 5))])));
                });
            });
        }
        Fault::None
    }));
    let answer = post(&api, json!({"type": "clearQueue"})).await;
    assert_eq!((answer.report.commands.applied, answer.report.commits.conflicts), (1, 1));
    let queue = answer.queue.expect("the queue as of its own commit");
    assert_eq!((queue.version, queue.tasks.len(), rows.version("p")), (3, 0, 4));
    assert_eq!((rows.store.due_at(&player()), rows.queue("p").balances.get("gold")), (None, 5));
}
