//! The loop of the worker, with queues in memory. Tokio's clock stands still and jumps ahead where
//! everything waits.

use std::{cell::RefCell, slice};

use tokio::time::sleep;

use super::*;

const TIME_LEFT: Duration = Duration::from_secs(50);

/// What the work of a test does.
enum Behaviour {
    Finish(Value),
    Fail { retry: bool },
    Sleep(Duration),
}

struct TestWorker {
    behaviour: Behaviour,
    is_sqs_down: bool,
    reports: RefCell<Vec<Value>>,
    finished: RefCell<Vec<Value>>,
}

impl TestWorker {
    fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, is_sqs_down: false, reports: RefCell::default(), finished: RefCell::default() }
    }

    fn send(&self, sent: &RefCell<Vec<Value>>, command: Value) -> Result<(), Error> {
        if self.is_sqs_down {
            return Err("SQS does not answer".into());
        }
        sent.borrow_mut().push(command);
        Ok(())
    }

    /// Handles a batch and returns the ids of the messages that are handed back.
    async fn handle(&self, bodies: &[String]) -> Vec<String> {
        let records: Vec<Value> =
            (0..).zip(bodies).map(|(id, body): (u32, _)| json!({"messageId": id.to_string(), "body": body})).collect();
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let answer = handle_batch(batch, self, TIME_LEFT).await;
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }
}

impl Worker for TestWorker {
    async fn work(&self, _task: &Task, share: &Cell<f64>) -> Result<Value, WorkError> {
        match &self.behaviour {
            Behaviour::Finish(result) => Ok(result.clone()),
            Behaviour::Fail { retry } => Err(WorkError { reason: "the forge is cold".to_owned(), retry: *retry }),
            Behaviour::Sleep(duration) => {
                sleep(*duration / 2).await;
                share.set(1.0);
                sleep(*duration / 2).await;
                Ok(Value::Null)
            }
        }
    }

    async fn report(&self, command: Value) -> Result<(), Error> {
        self.send(&self.reports, command)
    }

    async fn finish(&self, command: Value) -> Result<(), Error> {
        self.send(&self.finished, command)
    }
}

/// The event of a started task, as SQS delivers it from a rule of EventBridge.
fn started(sequence: u64, attempt: u32, started_ago: Duration, allowed: Duration) -> String {
    let at = Timestamp::now() - started_ago;
    let task = json!({"taskId": "t-1", "kind": "forge.iron", "attempt": attempt, "payload": {"pieces": 2}, "units": 100,
                      "deadline": (at + allowed).to_string()});
    let detail = json!({"eventId": format!("p-1/{sequence}"), "playerId": "p-1", "sequence": sequence, "version": 12,
                        "at": at.to_string(), "type": "taskStarted", "task": task});
    json!({"version": "0", "id": "e-1", "detail-type": "taskStarted", "source": "millrace", "detail": detail})
        .to_string()
}

fn event() -> String {
    started(42, 1, Duration::ZERO, Duration::from_secs(60))
}

#[tokio::test(start_paused = true)]
async fn finished_work_completes_the_task_with_its_attempt_and_result() {
    let worker = TestWorker::new(Behaviour::Finish(json!({"iron": 2})));
    let body = started(42, 2, Duration::ZERO, Duration::from_secs(60));
    assert!(worker.handle(&[body]).await.is_empty());
    let expected = json!({"type": "completeTask", "playerId": "p-1", "taskId": "t-1", "attempt": 2,
                          "commandId": "worker:42:complete", "result": {"iron": 2}});
    assert_eq!(*worker.finished.borrow(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn the_same_event_twice_sends_the_same_command() {
    let worker = TestWorker::new(Behaviour::Finish(json!({"iron": 2})));
    let body = event();
    worker.handle(slice::from_ref(&body)).await;
    worker.handle(slice::from_ref(&body)).await;
    let finished = worker.finished.borrow();
    assert_eq!(finished.len(), 2);
    assert_eq!(finished[0], finished[1]);
}

#[tokio::test(start_paused = true)]
async fn failing_work_fails_the_attempt_or_the_task() {
    for retry in [true, false] {
        let worker = TestWorker::new(Behaviour::Fail { retry });
        assert!(worker.handle(&[event()]).await.is_empty(), "the message is not delivered again");
        let expected = json!({"type": "failTask", "playerId": "p-1", "taskId": "t-1", "attempt": 1,
                              "commandId": "worker:42:fail", "reason": "the forge is cold", "retry": retry});
        assert_eq!(*worker.finished.borrow(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_work_sends_a_heartbeat_each_third_of_the_allowed_time() {
    let worker = TestWorker::new(Behaviour::Sleep(Duration::from_secs(10)));
    worker.handle(&[started(42, 1, Duration::ZERO, Duration::from_secs(6))]).await;
    let units: Vec<u64> = worker.reports.borrow().iter().filter_map(|report| report["unitsDone"].as_u64()).collect();
    // At 0, 2, 4, 6 and 8 s. A report of all units would complete the task without a result.
    assert_eq!(units[..5], [0, 0, 0, 99, 99]);
    assert_eq!(worker.finished.borrow()[0]["type"], "completeTask");
}

#[tokio::test(start_paused = true)]
async fn work_that_outlasts_the_invocation_fails_the_attempt() {
    let worker = TestWorker::new(Behaviour::Sleep(Duration::from_secs(3600)));
    worker.handle(&[event()]).await;
    let finished = worker.finished.borrow();
    assert_eq!(
        (&finished[0]["reason"], &finished[0]["retry"]),
        (&"the invocation ran out of time".into(), &true.into())
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_over_is_not_worked_on() {
    let worker = TestWorker::new(Behaviour::Finish(Value::Null));
    let body = started(42, 1, Duration::from_secs(61), Duration::from_secs(60));
    assert!(worker.handle(&[body]).await.is_empty());
    assert!(worker.reports.borrow().is_empty() && worker.finished.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_of_a_started_task_is_handed_back() {
    let worker = TestWorker::new(Behaviour::Finish(Value::Null));
    let other = event().replace("attempt", "anotherField");
    let bodies = ["no JSON".to_owned(), "{}".to_owned(), "7".to_owned(), other, event()];
    assert_eq!(worker.handle(&bodies).await, ["0", "1", "2", "3"]);
    assert_eq!(worker.finished.borrow().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_could_not_be_sent_is_handed_back() {
    let mut worker = TestWorker::new(Behaviour::Finish(Value::Null));
    worker.is_sqs_down = true;
    assert_eq!(worker.handle(&[event()]).await, ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_above_4_kib_fails_the_task() {
    let worker = TestWorker::new(Behaviour::Finish("x".repeat(4_095).into()));
    worker.handle(&[event()]).await;
    let finished = worker.finished.borrow();
    assert_eq!((&finished[0]["reason"], &finished[0]["retry"]), (&"the result is too large".into(), &false.into()));
}
