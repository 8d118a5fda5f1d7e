//! Queues of inactive players. They are paused as of the due moment and resumed by a command.

use millrace_store::{DUE_SHARDS, QueueStore};
use millrace_tests::{answers::number, clock::ClockFile, database::Database};
use serde_json::{Value, json};

use crate::{run, start, start_time};

const DAY: u64 = 86_400_000;

/// Sends one command, which must be applied.
async fn apply(function: &millrace_tests::Function, command: Value) {
    let answer = function.answer(command).await;
    assert_eq!(answer["report"]["commands"]["applied"], 1, "{answer:#}");
}

/// Whether the due index has no row.
async fn index_is_empty(database: &Database) -> bool {
    let store = database.store().await;
    for shard in 0..DUE_SHARDS {
        let page = store.due(shard, start_time() + 10_000 * DAY, None, 1).await;
        if !page.queues.expect("the index can be read").is_empty() {
            return false;
        }
    }
    true
}

/// Six tasks that take a day each.
fn enqueue_six_days() -> Value {
    let tasks: Vec<Value> =
        (0..6).map(|n| json!({"taskId": format!("day-{n}"), "kind": "k", "work": {"durationMs": DAY}})).collect();
    json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": tasks})
}

/// A task that waits for its `notBefore`, most of a year ahead.
fn enqueue_planned_task() -> Value {
    json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "planned", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-12-01T00:00:00.000Z"}]})
}

#[tokio::test]
async fn a_queue_is_paused_after_three_days_without_a_command_until_it_is_resumed() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let three_days = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", "3");
    let process = start(three_days("process-tasks"), &clock).await;
    let advance = start(three_days("advance-queues"), &clock).await;
    apply(&process, enqueue_six_days()).await;
    // A command on the third day starts the three days again.
    clock.set(start_time() + 5 * DAY / 2);
    apply(&process, json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}})).await;
    clock.set(start_time() + 9 * DAY / 2);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1, "the third and the fourth task are due");
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (4, None));

    clock.set(start_time() + 8 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.totals.completed, 5);
    assert_eq!(queue.paused_at, Some(start_time() + 11 * DAY / 2), "paused as of the due moment, not of the run");
    assert!(index_is_empty(&database).await);

    clock.set(start_time() + 9 * DAY);
    apply(&process, json!({"type": "resumeQueue", "playerId": "p-1"})).await;
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, None);
    assert!(!index_is_empty(&database).await, "the task is due again");
}

/// From a game that plans an event months ahead: its task never ran.
#[tokio::test]
async fn a_queue_is_never_paused_while_a_task_waits_for_its_not_before() {
    for days in ["0", "3"] {
        let (database, clock) = (Database::new(), ClockFile::at(start_time()));
        let with_days = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", days);
        let process = start(with_days("process-tasks"), &clock).await;
        let advance = start(with_days("advance-queues"), &clock).await;
        apply(&process, enqueue_planned_task()).await;
        clock.set(start_time() + 300 * DAY);
        assert_eq!(number(&run(&advance).await, "/advance/due"), 0);
        clock.set(start_time() + 365 * DAY);
        assert_eq!(number(&run(&advance).await, "/advance/due"), 1);
        assert_eq!(database.queue("p-1").await.expect("a row").totals.completed, 1, "after {days} days");
    }
}

#[tokio::test]
async fn by_default_no_queue_is_paused() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let process = start(database.process_tasks(), &clock).await;
    let advance = start(database.function("advance-queues"), &clock).await;
    apply(&process, enqueue_six_days()).await;
    clock.set(start_time() + 365 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (6, None));
}
