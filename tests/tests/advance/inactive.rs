//! Queues of inactive players: paused at their moment if that is switched on, and resumed by a command.

use millrace_store::{DUE_SHARDS, QueueStore};
use millrace_tests::{due::MovedClock, tables::Database};
use serde_json::{Value, json};

use crate::{begin, figure, run, started};

const DAY: u64 = 86_400_000;

async fn direct(function: &millrace_tests::Function, command: Value) {
    let answer = function.invoke(command).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer["report"]["commands"]["applied"], 1, "{answer:#}");
}

async fn index_is_empty(database: &Database) -> bool {
    let store = database.store().await;
    for shard in 0..DUE_SHARDS {
        let page = store.due(shard, begin() + 10_000 * DAY, None, 1).await;
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
async fn three_days_without_a_command_pause_a_queue_and_a_resume_ends_it() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let three_days = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", "3");
    let process = started(three_days("process-tasks"), &clock).await;
    let advance = started(three_days("advance-queues"), &clock).await;
    direct(&process, enqueue_six_days()).await;
    // A command on the third day begins the three days anew.
    clock.set(begin() + 5 * DAY / 2);
    direct(&process, json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}})).await;
    clock.set(begin() + 9 * DAY / 2);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1, "the third and the fourth task are due");
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (4, None));

    clock.set(begin() + 8 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.totals.completed, 5);
    assert_eq!(queue.paused_at, Some(begin() + 11 * DAY / 2), "as of its moment, not of the run");
    assert!(index_is_empty(&database).await);

    clock.set(begin() + 9 * DAY);
    direct(&process, json!({"type": "resumeQueue", "playerId": "p-1"})).await;
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, None);
    assert!(!index_is_empty(&database).await, "its task is due again");
}

#[tokio::test]
async fn a_queue_is_never_paused_while_a_task_waits_for_its_not_before() {
    for days in ["0", "3"] {
        let (database, clock) = (Database::new(), MovedClock::at(begin()));
        let with_days = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", days);
        let process = started(with_days("process-tasks"), &clock).await;
        let advance = started(with_days("advance-queues"), &clock).await;
        direct(&process, enqueue_planned_task()).await;
        clock.set(begin() + 300 * DAY);
        assert_eq!(figure(&run(&advance).await, "/advance/due"), 0);
        clock.set(begin() + 365 * DAY);
        assert_eq!(figure(&run(&advance).await, "/advance/due"), 1);
        assert_eq!(database.queue("p-1").await.expect("a row").totals.completed, 1, "after {days} days");
    }
}

#[tokio::test]
async fn by_default_no_queue_is_paused() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let process = started(database.process_tasks(), &clock).await;
    let advance = started(database.function("advance-queues"), &clock).await;
    direct(&process, enqueue_six_days()).await;
    clock.set(begin() + 365 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (6, None));
}
