//! Queues of inactive players: paused at their moment by whoever comes first, and resumed by a command.

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

#[tokio::test]
async fn thirty_days_without_a_command_pause_a_queue_and_a_resume_ends_it() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let process = started(database.process_tasks(), &clock).await;
    let advance = started(database.function("advance-queues"), &clock).await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-03-01T00:00:00.000Z"}]});
    direct(&process, enqueue).await;
    // A command a day before its time begins the thirty days anew.
    clock.set(begin() + 29 * DAY);
    direct(&process, json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}})).await;
    clock.set(begin() + 45 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1, "the task's own time has come");
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (1, None));

    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-2", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-12-01T00:00:00.000Z"}]});
    direct(&process, enqueue).await;
    clock.set(begin() + (75 * DAY - 1));
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 0);
    clock.set(begin() + 76 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, Some(begin() + 75 * DAY), "as of its moment, not of the run");
    assert!(index_is_empty(&database).await);

    clock.set(begin() + 80 * DAY);
    direct(&process, json!({"type": "resumeQueue", "playerId": "p-1"})).await;
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, None);
    assert!(!index_is_empty(&database).await, "it is due again: its task, or the next pause");
}

#[tokio::test]
async fn never_is_never() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let never = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", "0");
    let process = started(never("process-tasks"), &clock).await;
    let advance = started(never("advance-queues"), &clock).await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-12-01T00:00:00.000Z"}]});
    direct(&process, enqueue).await;
    clock.set(begin() + 300 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 0);
    clock.set(begin() + 365 * DAY);
    assert_eq!(figure(&run(&advance).await, "/advance/due"), 1);
    assert_eq!(database.queue("p-1").await.expect("a row").totals.completed, 1);
}
