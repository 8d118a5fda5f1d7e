//! Reads on a store in memory: what they cost, what they write, and how new their answers are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cpu_time::ThreadTime;
use millrace_cache::Tier;
use millrace_domain::{Command, PlayerId};
use millrace_pipeline::{Answer, Invocation, PlayerCommands};
use millrace_queries::ReadError;
use millrace_simulation::{Options, Process, Sent, enqueue, grant, report, sqs, standard};
use millrace_store::{
    StoreError,
    memory::{Fault, Operation},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const DAY_MS: u64 = 86_400_000;
/// What a read may take; without optimization everything takes several times as long.
const CPU_LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 30 } else { 10 });

fn invocation() -> Invocation {
    Invocation {
        request_id: "r-1".to_owned(),
        times_out_at: Instant::now() + Duration::from_secs(10),
        cold_start: false,
    }
}

fn player(id: &str) -> PlayerId {
    PlayerId::new(id).unwrap()
}

/// Sends one command, under a name of its own and the time of the process.
async fn send(process: &Process, command: &Value) -> Answer {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let id = format!("m-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let sent_at = process.clock.load(Ordering::Relaxed);
    process.invoke(&sqs(&[Sent { sent_at, ..standard(&id, command) }])).await
}

/// 200 timed tasks of fifty minutes: nearly the seven days that a queue may hold, and as many as it
/// may.
async fn full_queue(process: &Process) {
    send(process, &json!({"type": "configureQueue", "playerId": "p", "maxTasks": 200, "slots": 2})).await;
    send(process, &grant("p", 1_000)).await;
    for batch in 0..4 {
        let tasks: Vec<Value> = (0..50)
            .map(|at| {
                let number = batch * 50 + at;
                let priority = ["low", "normal", "high", "critical"][number % 4];
                let before: Vec<String> = if number > 0 { vec![format!("t-{}", number - 1)] } else { Vec::new() };
                json!({"taskId": format!("t-{number}"), "kind": "work", "work": {"durationMs": 50 * 60_000},
                    "priority": priority, "prerequisites": before,
                    "costs": {"gold": 1}, "rewards": {"gold": 1, "wood": 2}})
            })
            .collect();
        let answer = send(process, &json!({"type": "enqueueTasks", "playerId": "p", "tasks": tasks})).await;
        assert_eq!(answer.report.commands.applied, 1, "{:?}", answer.results);
    }
}

#[tokio::test]
async fn thirty_days_and_two_hundred_tasks_are_made_up_for_in_under_ten_milliseconds_of_cpu() {
    let process = Process::new();
    full_queue(&process).await;
    process.wait(30 * DAY_MS);
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let before = ThreadTime::now();
        let read = process.read_queue(&player("p"), 0, &invocation()).await.unwrap();
        let view = read.view();
        best = best.min(before.elapsed());
        assert_eq!((view.totals.completed, view.tasks.len(), view.balances.get("wood")), (200, 0, 400));
        assert_eq!(view.totals.time_spent_ms, 200 * 50 * 60_000);
    }
    println!("30 days and 200 tasks: {best:?} of CPU");
    assert!(best < CPU_LIMIT, "{best:?}");
    assert_eq!(process.version("p"), 6, "and nothing is written");
}

#[tokio::test]
async fn a_full_queue_half_way_is_read_in_under_ten_milliseconds_of_cpu_too() {
    let process = Process::new();
    full_queue(&process).await;
    process.wait(3 * DAY_MS);
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let before = ThreadTime::now();
        let read = process.read_queue(&player("p"), 0, &invocation()).await.unwrap();
        let view = read.view();
        best = best.min(before.elapsed());
        assert_eq!(view.totals.completed + view.tasks.len() as u64, 200);
        assert!(view.tasks.iter().all(|task| task.estimated_finish_at.is_some()));
    }
    println!("half of 200 tasks, and a forecast of the rest: {best:?} of CPU");
    assert!(best < CPU_LIMIT, "{best:?}");
}

#[tokio::test]
async fn a_read_is_counted_and_the_next_one_is_local() {
    let writer = Process::new();
    send(&writer, &grant("p", 1)).await;
    let reader = writer.another(Options::default());
    let first = reader.read_queue(&player("p"), 0, &invocation()).await.unwrap();
    assert_eq!((first.report.found, first.report.calls, first.report.hit_rate()), (None, 1, Some(0.0)));
    let second = reader.read_queue(&player("p"), 0, &invocation()).await.unwrap();
    assert_eq!((second.report.found, second.report.calls, second.report.hit_rate()), (Some(Tier::Local), 0, Some(1.0)));
    let unknown = reader.read_queue(&player("nobody"), 0, &invocation()).await;
    assert_eq!(unknown.unwrap_err(), ReadError::UnknownPlayer);
    let performance = reader.performance();
    assert_eq!((performance.reads.ever, performance.reads.loads, performance.reads.cache.local), (3, 2, 1));
}

#[tokio::test]
async fn a_version_that_is_asked_for_is_never_answered_with_an_older_one() {
    let writer = Process::new();
    let reader = writer.another(Options::default());
    send(&writer, &grant("p", 1)).await;
    let read = async |at_least| reader.read_queue(&player("p"), at_least, &invocation()).await;
    assert_eq!(read(0).await.unwrap().cached.queue.version, 1);
    send(&writer, &grant("p", 1)).await;
    assert_eq!(read(1).await.unwrap().cached.queue.version, 1, "fresh enough for who asks for no more");
    let own = read(2).await.unwrap();
    assert_eq!((own.cached.queue.version, own.report.found), (2, None));
    assert_eq!(read(0).await.unwrap().report.found, Some(Tier::Local), "the newer one is kept");
    assert_eq!(read(3).await.unwrap_err(), ReadError::VersionNotReached { requested: 3, newest: 2 });
    let list = reader.read_history(&player("p"), 3, &invocation()).await;
    assert_eq!(list.unwrap_err(), ReadError::VersionNotReached { requested: 3, newest: 2 });
}

#[tokio::test]
async fn a_read_of_the_table_writes_again_what_a_crash_has_left() {
    let process = Process::new();
    send(&process, &enqueue("p", "t", json!({"durationMs": 1}))).await;
    process.wait(10);
    // The history is not written: the row's outbox alone has it.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Write { .. } => Fault::Error(StoreError::AccessDenied { detail: "cut".to_owned() }),
        _ => Fault::None,
    }));
    send(&process, &grant("p", 1)).await;
    assert!(process.read_history(&player("p"), 0, &invocation()).await.is_err());
    process.store.clear_faults();
    let read = process.read_history(&player("p"), 2, &invocation()).await.unwrap();
    assert_eq!(read.page.items.len(), 1, "who names the version sees its records");
}

#[tokio::test]
async fn progress_between_milestones_is_merged_into_copies_that_do_not_know_it() {
    let process = Process::new();
    send(&process, &enqueue("p", "t", json!({"units": 100}))).await;
    send(&process, &report("p", "t", 9)).await;
    // Another process loads the queue for a command that needs no progress.
    let other = process.another(Options::default());
    send(&other, &json!({"type": "setPriority", "playerId": "p", "taskId": "t", "priority": "high"})).await;
    let read = other.read_queue(&player("p"), 0, &invocation()).await.unwrap();
    assert_eq!(read.cached.queue.tasks[0].units_done, 9);
    assert_eq!((read.report.found, read.report.calls), (Some(Tier::Local), 1), "the progress row alone was missing");
    let again = other.read_queue(&player("p"), 0, &invocation()).await.unwrap();
    assert_eq!((again.cached.queue.tasks[0].units_done, again.report.calls), (9, 0));
}

#[tokio::test]
async fn commands_of_a_caller_come_back_in_their_order_with_the_queue() {
    let process = Process::new();
    let body = json!({"commands": [
        {"type": "grantResources", "resources": {"gold": 2}}, {"type": "fly"},
        {"type": "moveToFront", "taskId": "none"}, {"type": "pauseQueue", "playerId": "q"}]});
    let invocation = Invocation { request_id: "req".to_owned(), ..invocation() };
    let payload = body.to_string();
    let commands = PlayerCommands::decode(&process.platform, &player("p"), payload.as_bytes(), &invocation);
    let well_formed: Vec<usize> = commands.well_formed().map(|(index, _)| index).collect();
    assert_eq!(well_formed, [0, 2]);
    assert!(commands.well_formed().all(|(_, command)| !matches!(command, Command::PauseQueue)));
    let answer = commands.apply().await;
    let results: Vec<_> = answer.results.iter().map(|one| (one.command_id.as_deref(), one.status)).collect();
    let expected = [("req:0", "applied"), ("req:1", "rejected"), ("req:2", "rejected"), ("req:3", "rejected")];
    assert_eq!(results, expected.map(|(id, status)| (Some(id), status)));
    assert_eq!(answer.queue.map(|queue| (queue.version, queue.balances.get("gold"))), Some((1, 2)));
    assert_eq!(process.performance().commands.commands.malformed, 2);
}
