//! Old copies in the shared cache: what is decided on them, and how long they stay there.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use millrace_cache::Emergency;
use millrace_domain::{PlayerId, Timestamp, record::Table};
use millrace_pipeline::ServiceSettings;
use millrace_store::{
    StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::{Value, json};
use support::{
    BEGIN, Options, Process, Sent, enqueue, failures, grant, invocation, remote::Remote, report, sqs, standard,
};

/// A process with a shared tier.
fn process() -> (Process, Arc<Remote>) {
    let remote = Arc::new(Remote::default());
    let options = Options { remote: Some(Arc::clone(&remote)), ..Options::default() };
    (Process::on(MemoryStore::new(), Arc::new(AtomicU64::new(BEGIN)), options), remote)
}

/// Another process on the same rows and, in its way, the same copies.
fn beside(process: &Process, remote: Arc<Remote>) -> Process {
    process.another(Options { remote: Some(remote), ..Options::default() })
}

fn denied() -> Fault {
    Fault::Error(StoreError::AccessDenied { detail: "no".to_owned() })
}

/// No record is written.
fn deny_records(process: &Process) {
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Write { .. } => denied(),
        _ => Fault::None,
    }));
}

fn tick(players: &[&str]) -> Value {
    json!({"type": "advanceQueues", "playerIds": players})
}

/// Sends a command under this name, now.
async fn send(process: &Process, id: &str, command: &Value) -> millrace_pipeline::Answer {
    let sent_at = process.clock.load(Ordering::Relaxed);
    process.invoke(&sqs(&[Sent { sent_at, ..standard(id, command) }])).await
}

const PLAYERS: [&str; 3] = ["p", "q", "r"];

/// Three idle queues of version 1 in the shared tier, and of version 2 with a task due in 10 s in the table.
async fn behind_by_a_task(process: &Process, remote: &Remote) -> Process {
    for player in PLAYERS {
        send(process, "m", &grant(player, 1)).await;
    }
    let deaf = beside(process, remote.deaf());
    for player in PLAYERS {
        send(&deaf, "n", &enqueue(player, "t", json!({"durationMs": 10_000}))).await;
        assert_eq!((remote.copies.version(player), process.version(player)), (Some(1), 2));
    }
    deaf
}

#[tokio::test]
async fn a_tick_that_finds_nothing_due_in_a_copy_asks_the_table_in_one_call() {
    let (process, remote) = process();
    behind_by_a_task(&process, &remote).await;
    process.wait(11_000);
    let answer = process.invoke(&tick(&PLAYERS)).await;
    assert!(answer.results.is_empty(), "{:?}", answer.results);
    let report = &answer.report;
    assert_eq!((report.cache.redis.hits, report.loads.calls), (3, 1), "one read for all of them");
    assert_eq!((report.commits.committed, report.commits.conflicts, report.commits.calls), (3, 0, 1));
    for player in PLAYERS {
        assert_eq!((process.queue(player).totals.completed, remote.copies.version(player)), (1, Some(3)));
    }
}

#[tokio::test]
async fn a_tick_that_finds_something_due_costs_no_read_and_one_that_does_not_costs_one() {
    let (process, remote) = process();
    for player in PLAYERS {
        send(&process, "m", &enqueue(player, "t", json!({"durationMs": 10_000}))).await;
    }
    process.wait(11_000);
    let due = process.invoke(&tick(&PLAYERS)).await.report;
    assert_eq!((due.cache.redis.hits, due.loads.calls, due.commits.committed), (3, 0, 3));
    process.wait(2_000);
    let idle = process.invoke(&tick(&PLAYERS)).await.report;
    assert_eq!((idle.cache.redis.hits, idle.loads.calls, idle.commits.calls), (3, 1, 0));
    let cold = beside(&process, remote.another());
    let unknown = cold.invoke(&tick(&["nobody"])).await.report;
    assert_eq!((unknown.loads.calls, unknown.commits.calls), (1, 0), "the table is asked once");
}

#[tokio::test]
async fn a_tick_that_cannot_ask_the_table_is_handed_back() {
    let (process, remote) = process();
    behind_by_a_task(&process, &remote).await;
    process.wait(11_000);
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Load { player, .. } if player.as_str() == "q" => denied(),
        _ => Fault::None,
    }));
    let messages: Vec<Sent> = PLAYERS.iter().map(|player| standard(player, &tick(&[player]))).collect();
    let answer = process.invoke(&sqs(&messages)).await;
    assert_eq!(failures(&answer), ["q"]);
    assert_eq!((process.version("p"), process.version("q"), process.version("r")), (3, 2, 3));
}

#[tokio::test]
async fn a_tick_on_an_old_copy_writes_what_a_crash_has_left() {
    let (process, remote) = process();
    let deaf = behind_by_a_task(&process, &remote).await;
    process.wait(11_000);
    deny_records(&deaf);
    assert!(!deaf.invoke(&tick(&["p"])).await.results.is_empty());
    assert_eq!((process.version("p"), process.store.records(Table::History).len()), (3, 0));
    process.invoke(&tick(&["p"])).await;
    assert_eq!((process.version("p"), process.store.records(Table::History).len()), (3, 1));
    assert_eq!(remote.copies.version("p"), Some(3));
}

fn advancing(process: &Process, remote: Arc<Remote>) -> Process {
    let settings = ServiceSettings { delivered_again: false, ..ServiceSettings::default() };
    process.another(Options { settings, remote: Some(remote), ..Options::default() })
}

#[tokio::test]
async fn a_run_on_old_copies_advances_what_is_due() {
    let (process, remote) = process();
    behind_by_a_task(&process, &remote).await;
    process.wait(11_000);
    let run = advancing(&process, remote.another()).service.advance(None, &invocation(10)).await.unwrap();
    assert_eq!((run.advance.due, run.advance.ticks, run.advance.settled, run.advance.done), (3, 3, 3, true));
    assert_eq!((run.report.loads.calls, run.report.commits.conflicts), (1, 0));
    assert!(PLAYERS.iter().all(|player| process.queue(player).totals.completed == 1));
}

#[tokio::test]
async fn a_run_does_not_count_a_queue_that_somebody_changes_under_it() {
    let (process, remote) = process();
    send(&process, "m", &enqueue("p", "t", json!({"durationMs": 1}))).await;
    process.wait(10);
    // As good as dead between commit and records: the queue stays in the index with nothing due.
    let dying = advancing(&process, remote.another());
    deny_records(&dying);
    let died = dying.service.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(died.error_type(), "NothingAdvanced");
    process.wait(60_000);
    let runner = advancing(&process, remote.another());
    let other = Arc::new(beside(&process, remote.deaf()));
    runner.store.set_faults(Arc::new(move |operation| {
        if matches!(operation, Operation::Commit { .. }) {
            let other = Arc::clone(&other);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(send(&other, "g", &grant("p", 5)));
                });
            });
        }
        Fault::None
    }));
    let run = runner.service.advance(None, &invocation(10)).await.unwrap();
    let advance = run.advance;
    assert_eq!((advance.due, advance.ticks, advance.failed, advance.settled, advance.done), (1, 0, 1, 0, false));
    assert_eq!(run.report.commits.conflicts, 1);
    assert_eq!((process.version("p"), remote.copies.version("p")), (3, None), "no old copy is left");
}

#[tokio::test]
async fn a_conflict_that_ends_in_a_duplicate_renews_the_shared_copy() {
    let (process, remote) = process();
    send(&process, "m0", &grant("p", 1)).await;
    // CommitResponse, and dead before the refresh.
    let deaf = beside(&process, remote.deaf());
    send(&deaf, "m1", &grant("p", 1)).await;
    assert_eq!((process.version("p"), remote.copies.version("p")), (2, Some(1)));
    process.wait(2_000);
    let again = send(&process, "m1", &grant("p", 1)).await.report;
    assert_eq!((again.commands.duplicate, again.commits.conflicts, again.loads.calls), (1, 1, 1));
    assert_eq!(remote.copies.version("p"), Some(2));
}

#[tokio::test]
async fn players_whose_records_were_not_written_are_forgotten_in_one_call() {
    let (process, remote) = process();
    let all = |number: u64, units: u64| {
        let sent_at = process.clock.load(Ordering::Relaxed);
        let of = |at: usize| match units {
            0 => enqueue(&format!("p{at}"), "t", json!({"units": 1})),
            units => report(&format!("p{at}"), "t", units),
        };
        let messages = (0..10).map(|at| Sent { sent_at, ..standard(&format!("m{number}-{at}"), &of(at)) });
        sqs(&messages.collect::<Vec<_>>())
    };
    process.invoke(&all(0, 0)).await;
    process.wait(10);
    deny_records(&process);
    let event = all(1, 1);
    assert_eq!(failures(&process.invoke(&event).await).len(), 10);
    assert_eq!(remote.forgets.load(Ordering::Relaxed), 1);
    assert!((0..10).all(|at| remote.copies.version(&format!("p{at}")).is_none()), "the old copies are gone");
    // Whoever comes next has to look at the table, and finds the outbox.
    let next = beside(&process, remote.another());
    let answer = next.invoke(&event).await;
    assert_eq!((answer.report.commands.duplicate, answer.report.commits.conflicts), (10, 0));
    assert_eq!(process.store.records(Table::History).len(), 10);
    assert_eq!(remote.copies.version("p3"), Some(2));
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_leaves_no_old_copy() {
    let (process, remote) = process();
    send(&process, "m0", &grant("p", 1)).await;
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { .. } => Fault::FailAfterEffect(StoreError::Unavailable { detail: "cut".to_owned() }),
        _ => Fault::None,
    }));
    let answer = send(&process, "m1", &grant("p", 1)).await;
    assert_eq!((failures(&answer), remote.copies.version("p")), (vec!["m1"], None));
    let reader = beside(&process, remote.another());
    let read = reader.service.read_queue(&PlayerId::new("p").unwrap(), 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.balances.get("gold"), 2);
}

#[tokio::test]
async fn a_commit_that_was_refused_for_certain_takes_no_copy_away() {
    let (process, remote) = process();
    send(&process, "m0", &grant("p", 1)).await;
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { .. } => Fault::Error(StoreError::Throttled { table: "queues".to_owned() }),
        _ => Fault::None,
    }));
    let answer = send(&process, "m1", &grant("p", 1)).await;
    assert_eq!((failures(&answer), remote.copies.version("p")), (vec!["m1"], Some(1)));
    assert_eq!(remote.forgets.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn in_emergency_mode_an_old_copy_is_better_than_none() {
    let (process, remote) = process();
    send(&process, "m0", &grant("p", 1)).await;
    let (said_at, until) = (Timestamp::from_millis(BEGIN), Timestamp::from_millis(BEGIN + 900_000));
    *remote.emergency.lock().unwrap() = Some(Emergency { enabled: true, said_at, until });
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { .. } => Fault::Error(StoreError::Unavailable { detail: "away".to_owned() }),
        _ => Fault::None,
    }));
    let answer = send(&process, "m1", &grant("p", 1)).await;
    assert_eq!((failures(&answer), remote.copies.version("p")), (vec!["m1"], Some(1)));
}

#[tokio::test]
async fn a_report_that_is_low_for_an_old_copy_is_judged_by_the_table() {
    let (process, remote) = process();
    let mut task = enqueue("p", "t", json!({"units": 100}));
    task["tasks"][0]["retryDelayMs"] = json!(0);
    send(&process, "m0", &task).await;
    process.wait(10);
    send(&process, "m1", &report("p", "t", 90)).await;
    process.wait(10);
    let other = beside(&process, remote.another());
    send(&other, "m2", &json!({"type": "failTask", "playerId": "p", "taskId": "t", "reason": "no"})).await;
    process.wait(10);
    // This process still holds the first attempt, of which 90 units were done.
    let answer = send(&process, "m3", &report("p", "t", 60)).await;
    assert_eq!((answer.report.commands.applied, answer.report.cache.local.hits), (1, 1));
    assert_eq!((answer.report.loads.calls, answer.report.commits.committed), (1, 1), "50 % is a milestone");
    let task = &process.queue("p").tasks[0];
    assert_eq!((task.attempts, task.units_done), (1, 60));

    process.wait(10);
    let low = send(&process, "m4", &report("p", "t", 10)).await.report;
    assert_eq!((low.commands.applied, low.loads.calls, low.commits.calls, low.writes.calls), (1, 1, 0, 0));
    let high = send(&process, "m5", &report("p", "t", 61)).await.report;
    assert_eq!((high.commands.applied, high.loads.calls, high.writes.calls), (1, 0, 1), "one with news costs no read");
}

/// The commands of one event are delivered together again, and whole, however many they are.
#[tokio::test]
async fn a_tick_in_between_forgets_no_command_of_a_large_batch() {
    let (process, _) = process();
    send(&process, "m0", &enqueue("p", "t", json!({"durationMs": 5_000}))).await;
    let grants: Vec<Value> = (0..100).map(|_| grant("p", 1)).collect();
    let event = json!({
        "version": "0", "id": "e-1", "detail-type": "TaskQueueCommand", "source": "game", "account": "1",
        "time": "2026-01-15T10:00:00Z", "region": "us-east-1", "resources": [], "detail": {"commands": grants},
    });
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { .. } => Fault::FailAfterEffect(StoreError::Unavailable { detail: "cut".to_owned() }),
        _ => Fault::None,
    }));
    assert!(process.try_invoke(&event).await.is_err());
    process.store.clear_faults();
    process.wait(6_000);
    assert_eq!(process.invoke(&tick(&["p"])).await.report.commits.committed, 1);
    let again = process.invoke(&event).await.report.commands;
    assert_eq!((again.duplicate, again.applied), (100, 0));
    assert_eq!(process.queue("p").balances.get("gold"), 101, "100 granted, and the task's reward");
    // Only a command makes room.
    send(&process, "m1", &grant("p", 1)).await;
    assert_eq!(process.queue("p").command_memory.len(), 64);
}
