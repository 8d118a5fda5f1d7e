//! Queues of inactive players. They are paused as of the due moment and resumed by a command.

use millrace_store::{DUE_SHARDS, QueueStore};
use millrace_tests::{clock::ClockFile, database::Database};
use serde_json::{Value, json};

use crate::{number, run, start, start_time};

const DAY: u64 = 86_400_000;

/// Sends one command, which must be applied.
async fn apply(function: &millrace_tests::Function, command: Value) {
    let answer = function.invoke(command).await.unwrap_or_else(|error| panic!("{error}"));
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

#[tokio::test]
async fn a_queue_is_paused_after_thirty_days_without_a_command_until_it_is_resumed() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let thirty_days = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", "30");
    let process = start(thirty_days("process-tasks"), &clock).await;
    let advance = start(thirty_days("advance-queues"), &clock).await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-03-01T00:00:00.000Z"}]});
    apply(&process, enqueue).await;
    // A command on day 29 starts the thirty days again.
    clock.set(start_time() + 29 * DAY);
    apply(&process, json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}})).await;
    clock.set(start_time() + 45 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1, "the task may start");
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!((queue.totals.completed, queue.paused_at), (1, None));

    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-2", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-12-01T00:00:00.000Z"}]});
    apply(&process, enqueue).await;
    clock.set(start_time() + (75 * DAY - 1));
    assert_eq!(number(&run(&advance).await, "/advance/due"), 0);
    clock.set(start_time() + 76 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1);
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, Some(start_time() + 75 * DAY), "paused as of the due moment, not of the run");
    assert!(index_is_empty(&database).await);

    clock.set(start_time() + 80 * DAY);
    apply(&process, json!({"type": "resumeQueue", "playerId": "p-1"})).await;
    let queue = database.queue("p-1").await.expect("a row");
    assert_eq!(queue.paused_at, None);
    assert!(!index_is_empty(&database).await, "the queue is due again");
}

#[tokio::test]
async fn zero_days_never_pause_a_queue() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let never = |name| database.function(name).env("MILLRACE_INACTIVE_PAUSE_DAYS", "0");
    let process = start(never("process-tasks"), &clock).await;
    let advance = start(never("advance-queues"), &clock).await;
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "t-1", "kind": "k", "work": {"durationMs": 1000}, "notBefore": "2026-12-01T00:00:00.000Z"}]});
    apply(&process, enqueue).await;
    clock.set(start_time() + 300 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 0);
    clock.set(start_time() + 365 * DAY);
    assert_eq!(number(&run(&advance).await, "/advance/due"), 1);
    assert_eq!(database.queue("p-1").await.expect("a row").totals.completed, 1);
}
