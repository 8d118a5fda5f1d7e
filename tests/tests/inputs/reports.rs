//! Reports that are late, early, or stamped by another clock.

use millrace_domain::Timestamp;
use millrace_tests::{
    answers::{counts, result},
    clock::ClockFile,
    database::Database,
    eventbridge,
    sqs::{self, Message},
};
use serde_json::json;

use crate::{ago, apply, enqueue_units, report};

/// From EventBridge, which gives the time in whole seconds: a report has the second in which its
/// task started.
#[tokio::test]
async fn a_report_of_the_second_in_which_its_task_started_counts() {
    let (database, function) = Database::with_process_tasks().await;
    let started = ago(0);
    apply(&function, enqueue_units("p-1", "t-1", 4)).await;
    let second = Timestamp::from_millis(started.as_millis() / 1_000 * 1_000);
    apply(&function, eventbridge::command("event-1", second, &report("p-1", "t-1", 4))).await;
    assert_eq!(database.queue("p-1").await.expect("a queue").totals.completed, 1);
}

/// From a FIFO queue that waited while a tick moved the queue on.
#[tokio::test]
async fn commands_that_waited_behind_a_tick_count() {
    let (database, function) = Database::with_process_tasks().await;
    let waiting = json!({"type": "enqueueTasks", "playerId": "p-1", "tasks": [
        {"taskId": "now", "kind": "k", "work": {"durationMs": 1}}]});
    apply(&function, sqs::fifo(&[Message::new(1, waiting).group("p-1")])).await;
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1"]});
    function.answer(tick).await;
    let before = database.queue("p-1").await.expect("a queue");
    let sent_at = Timestamp::from_millis(sqs::START_MS + 5);
    assert!(before.advanced_to > sent_at, "the tick moved the queue past the sending");
    let messages = [
        Message::new(2, enqueue_units("p-1", "t-1", 4)).group("p-1").sent_at(sent_at),
        Message::new(3, report("p-1", "t-1", 4)).group("p-1").sent_at(sent_at),
    ];
    apply(&function, sqs::fifo(&messages)).await;
    assert_eq!(database.queue("p-1").await.expect("a queue").totals.completed, 2);
}

/// From two senders whose clocks differ by some milliseconds, or from two hosts of SQS.
#[tokio::test]
async fn a_report_that_is_stamped_before_its_enqueue_counts() {
    let (database, function) = Database::with_process_tasks().await;
    let at = |ms: u64| Timestamp::from_millis(sqs::START_MS + ms);
    let messages = [
        Message::new(1, enqueue_units("p-1", "t-1", 4)).group("p-1").sent_at(at(10)),
        Message::new(2, report("p-1", "t-1", 4)).group("p-1").sent_at(at(7)),
    ];
    apply(&function, sqs::fifo(&messages)).await;
    assert_eq!(database.queue("p-1").await.expect("a queue").totals.completed, 1);
}

/// From a sandbox whose clock was wrong.
#[tokio::test]
async fn a_process_with_a_clock_that_is_ahead_spoils_no_report() {
    let database = Database::new();
    let ahead = ClockFile::at(Timestamp::from_millis(ago(0).as_millis() + 600_000));
    let wrong = database.process_tasks().env("MILLRACE_CLOCK_FILE", ahead.path()).started().await;
    let right = database.process_tasks().started().await;
    apply(&wrong, enqueue_units("p-1", "t-1", 4)).await;
    for (number, units) in [(1, 2), (2, 4)] {
        apply(&right, sqs::standard(&[Message::new(number, report("p-1", "t-1", units)).sent_at(ago(0))])).await;
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").totals.completed, 1);
}

/// From a worker that was presumed dead and reports after its task was started again.
#[tokio::test]
async fn a_report_of_a_failed_attempt_is_stale() {
    let (database, function) = Database::with_process_tasks().await;
    let at = |ms: u64| Timestamp::from_millis(sqs::START_MS + ms);
    let fail = json!({"type": "failTask", "playerId": "p-1", "taskId": "t-1", "reason": "lost"});
    let messages = [
        Message::new(1, enqueue_units("p-1", "t-1", 4)).sent_at(at(0)),
        Message::new(2, fail.clone()).sent_at(at(100)),
    ];
    apply(&function, sqs::standard(&messages)).await;
    let with_attempt = |attempt: u64| {
        let mut command = report("p-1", "t-1", 3);
        command["attempt"] = attempt.into();
        command
    };
    let late = [
        Message::new(3, report("p-1", "t-1", 3)).sent_at(at(50)),
        Message::new(4, with_attempt(1)).sent_at(at(200)),
        Message::new(5, with_attempt(3)).sent_at(at(200)),
        Message::new(6, json!({"type": "failTask", "playerId": "p-1", "taskId": "t-1", "reason": "r", "attempt": 1}))
            .sent_at(at(200)),
    ];
    let answer = function.answer(sqs::standard(&late)).await;
    for message in &late {
        assert_eq!(result(&answer, &format!("{}:0", message.id()))["reason"], "stale_report", "{answer:#}");
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").tasks[0].units_done, 0);
    // The same report of the current attempt counts, although it was sent before the attempt.
    apply(&function, sqs::standard(&[Message::new(7, with_attempt(2)).sent_at(at(50))])).await;
    assert_eq!(database.queue("p-1").await.expect("a queue").tasks[0].units_done, 3);
}

/// From a load test: workers go on reporting tasks that are completed.
#[tokio::test]
async fn late_reports_of_a_completed_task_are_applied_and_leave_no_row() {
    let (database, function) = Database::with_process_tasks().await;
    apply(&function, enqueue_units("p-1", "t-1", 4)).await;
    apply(&function, report("p-1", "t-1", 4)).await;
    let before = database.queue("p-1").await.expect("a queue");
    let messages: Vec<Message> =
        (1..=500).map(|number| Message::new(number, report("p-1", "t-1", number % 6)).sent_at(ago(0))).collect();
    let answer = function.answer(sqs::standard(&messages)).await;
    assert_eq!(counts(&answer).applied, 500, "{answer:#}");
    let after = database.queue("p-1").await.expect("a queue");
    assert_eq!((after.totals, after.balances), (before.totals, before.balances));
    assert_eq!((database.rejections("p-1").await.len(), database.history("p-1").await.len()), (0, 1));
}
