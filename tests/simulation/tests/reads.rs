//! Reads on an in-memory store: their CPU time, their writes and the freshness of their answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cpu_time::ThreadTime;
use millrace_cache::Tier;
use millrace_domain::{Command, PlayerId, Sender};
use millrace_pipeline::{Answer, Invocation, PlayerCommands};
use millrace_queries::ReadError;
use millrace_simulation::{Options, Process, access_denied, enqueue_task, grant_gold, invocation, report_progress};
use millrace_store::memory::Operation;
use serde_json::{Value, json};

const DAY_MS: u64 = 86_400_000;
/// The CPU time that a read may take. Debug builds are several times slower.
const CPU_LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 30 } else { 10 });

fn player(id: &str) -> PlayerId {
    PlayerId::new(id).unwrap()
}

/// Sends one command with a unique message id at the current time of the process.
async fn send(process: &Process, command: &Value) -> Answer {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let id = format!("m-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    process.send(&id, command).await
}

/// Enqueues 200 timed tasks of 50 minutes each.
///
/// That is the largest number of tasks, and almost the seven days of work that a queue may hold.
async fn fill_queue(process: &Process) {
    send(process, &json!({"type": "configureQueue", "playerId": "p", "maxTasks": 200, "slots": 2})).await;
    send(process, &grant_gold("p", 1_000)).await;
    for batch in 0..4 {
        let tasks: Vec<Value> = (0..50)
            .map(|index| {
                let number = batch * 50 + index;
                let priority = ["low", "normal", "high", "critical"][number % 4];
                let prerequisites: Vec<String> =
                    if number > 0 { vec![format!("t-{}", number - 1)] } else { Vec::new() };
                json!({"taskId": format!("t-{number}"), "kind": "work", "work": {"durationMs": 50 * 60_000},
                    "priority": priority, "prerequisites": prerequisites,
                    "costs": {"gold": 1}, "rewards": {"gold": 1, "wood": 2}})
            })
            .collect();
        let answer = send(process, &json!({"type": "enqueueTasks", "playerId": "p", "tasks": tasks})).await;
        assert_eq!(answer.report.commands.applied, 1, "{:?}", answer.results);
    }
}

#[tokio::test]
async fn advancing_200_tasks_over_30_days_takes_under_10_ms_of_cpu() {
    let process = Process::new();
    fill_queue(&process).await;
    process.advance_clock(30 * DAY_MS);
    let mut shortest = Duration::MAX;
    for _ in 0..10 {
        let started = ThreadTime::now();
        let read = process.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
        let view = read.view();
        shortest = shortest.min(started.elapsed());
        assert_eq!((view.totals.completed, view.tasks.len(), view.balances.get("wood")), (200, 0, 400));
        assert_eq!(view.totals.time_spent_ms, 200 * 50 * 60_000);
    }
    println!("30 days and 200 tasks: {shortest:?} of CPU");
    assert!(shortest < CPU_LIMIT, "{shortest:?}");
    assert_eq!(process.version("p"), 6, "a read does not write the queue");
}

#[tokio::test]
async fn reading_a_half_finished_full_queue_takes_under_10_ms_of_cpu() {
    let process = Process::new();
    fill_queue(&process).await;
    process.advance_clock(3 * DAY_MS);
    let mut shortest = Duration::MAX;
    for _ in 0..10 {
        let started = ThreadTime::now();
        let read = process.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
        let view = read.view();
        shortest = shortest.min(started.elapsed());
        assert_eq!(view.totals.completed + view.tasks.len() as u64, 200);
        assert!(view.tasks.iter().all(|task| task.estimated_finish_at.is_some()));
    }
    println!("half of 200 tasks and the estimated ends of the rest: {shortest:?} of CPU");
    assert!(shortest < CPU_LIMIT, "{shortest:?}");
}

#[tokio::test]
async fn second_read_is_served_from_the_local_cache() {
    let writer = Process::new();
    send(&writer, &grant_gold("p", 1)).await;
    let reader = writer.start_another(Options::default());
    let first = reader.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
    assert_eq!((first.report.found, first.report.calls, first.report.hit_rate()), (None, 1, Some(0.0)));
    let second = reader.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
    assert_eq!((second.report.found, second.report.calls, second.report.hit_rate()), (Some(Tier::Local), 0, Some(1.0)));
    let unknown = reader.read_queue(&player("unknown"), 0, &invocation(10)).await;
    assert_eq!(unknown.unwrap_err(), ReadError::UnknownPlayer);
    let performance = reader.performance().await;
    let totals = performance.history.unwrap().totals;
    let reads = totals.processing_time_ms.reads.unwrap();
    assert_eq!((reads.count, totals.load_calls, totals.cache.local.hits), (3, 2, 1));
}

#[tokio::test]
async fn read_never_returns_an_older_version_than_requested() {
    let writer = Process::new();
    let reader = writer.start_another(Options::default());
    send(&writer, &grant_gold("p", 1)).await;
    let read = async |at_least| reader.read_queue(&player("p"), at_least, &invocation(10)).await;
    assert_eq!(read(0).await.unwrap().cached.queue.version, 1);
    send(&writer, &grant_gold("p", 1)).await;
    assert_eq!(read(1).await.unwrap().cached.queue.version, 1, "the local copy has the requested version");
    let newer = read(2).await.unwrap();
    assert_eq!((newer.cached.queue.version, newer.report.found), (2, None));
    assert_eq!(read(0).await.unwrap().report.found, Some(Tier::Local), "the newer copy is cached");
    assert_eq!(read(3).await.unwrap_err(), ReadError::VersionNotReached { requested: 3, newest: 2 });
    let history = reader.read_history(&player("p"), 3, &invocation(10)).await;
    assert_eq!(history.unwrap_err(), ReadError::VersionNotReached { requested: 3, newest: 2 });
}

#[tokio::test]
async fn history_read_writes_the_records_left_by_a_crash() {
    let process = Process::new();
    send(&process, &enqueue_task("p", "t", json!({"durationMs": 1}))).await;
    process.advance_clock(10);
    // The history row is not written. Only the outbox of the queue row holds it.
    process.inject(access_denied(), |operation| matches!(operation, Operation::Write { .. }));
    send(&process, &grant_gold("p", 1)).await;
    assert!(process.read_history(&player("p"), 0, &invocation(10)).await.is_err());
    process.store.clear_faults();
    let read = process.read_history(&player("p"), 2, &invocation(10)).await.unwrap();
    assert_eq!(read.page.items.len(), 1, "a read with a version returns the records of that version");
}

#[tokio::test]
async fn read_merges_the_progress_row_into_a_copy_without_it() {
    let process = Process::new();
    send(&process, &enqueue_task("p", "t", json!({"units": 100}))).await;
    send(&process, &report_progress("p", "t", 9)).await;
    // A command that needs no progress loads the queue without its progress row.
    let other = process.start_another(Options::default());
    send(&other, &json!({"type": "setPriority", "playerId": "p", "taskId": "t", "priority": "high"})).await;
    let read = other.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
    assert_eq!(read.cached.queue.tasks[0].units_done, 9);
    assert_eq!((read.report.found, read.report.calls), (Some(Tier::Local), 1), "only the progress row was read");
    let again = other.read_queue(&player("p"), 0, &invocation(10)).await.unwrap();
    assert_eq!((again.cached.queue.tasks[0].units_done, again.report.calls), (9, 0));
}

#[tokio::test]
async fn answer_lists_the_results_in_command_order_with_the_queue() {
    let process = Process::new();
    let body = json!({"commands": [
        {"type": "grantResources", "resources": {"gold": 2}}, {"type": "fly"},
        {"type": "moveToFront", "taskId": "none"}, {"type": "pauseQueue", "playerId": "q"}]});
    let invocation = Invocation { request_id: "req".to_owned(), ..invocation(10) };
    let payload = body.to_string();
    let (payload, sender) = (payload.as_bytes(), Sender::Trusted);
    let commands = PlayerCommands::decode(&process.platform, &player("p"), sender, None, payload, &invocation);
    let well_formed: Vec<usize> = commands.well_formed().map(|(index, _)| index).collect();
    assert_eq!(well_formed, [0, 2]);
    assert!(commands.well_formed().all(|(_, command)| !matches!(command, Command::PauseQueue)));
    let answer = commands.apply().await;
    let results: Vec<_> = answer.results.iter().map(|one| (one.command_id.as_deref(), one.status)).collect();
    let expected = [("req:0", "applied"), ("req:1", "rejected"), ("req:2", "rejected"), ("req:3", "rejected")];
    assert_eq!(results, expected.map(|(id, status)| (Some(id), status)));
    assert_eq!(answer.queue.map(|queue| (queue.version, queue.balances.get("gold"))), Some((1, 2)));
    assert_eq!(process.performance().await.history.unwrap().totals.commands.malformed, 2);
}
