//! The loop of a worker: the event that a task has started, the work, heartbeats, and the end of
//! the task. It is right when it is invoked twice for the same event.

#[cfg(test)]
mod tests;

use std::{cell::Cell, time::Duration};

use aws_lambda_events::sqs::SqsEvent;
use futures::future::join_all;
use jiff::Timestamp;
use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep_until};

const MAX_RESULT_BYTES: usize = 4096;

/// Every copy of an event has the same `sequence`. No other event of the player has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskStarted {
    player_id: String,
    sequence: u64,
    at: String,
    task: Task,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    task_id: String,
    pub kind: String,
    attempt: u32,
    #[serde(default)]
    pub payload: Value,
    units: u64,
    /// When the attempt fails unless something is reported before.
    deadline: Option<String>,
}

pub struct WorkError {
    /// At most 1,024 characters.
    pub reason: String,
    /// False where a repetition would fail too.
    pub retry: bool,
}

pub trait Worker {
    /// Does the work and returns the result of the task. It may run twice for one attempt, and is
    /// dropped when the invocation has no time left. The next heartbeat reports the `share` that is
    /// done, 0 to 1.
    async fn work(&self, task: &Task, share: &Cell<f64>) -> Result<Value, WorkError>;
    /// Sends to the progress queue. A report that is lost does no harm: the next one says more.
    async fn report(&self, command: Value) -> Result<(), Error>;
    /// Sends to the FIFO queue for commands.
    async fn finish(&self, command: Value) -> Result<(), Error>;
}

/// Handles all messages of a batch. Those in the answer are delivered again.
pub async fn handle_batch(batch: SqsEvent, worker: &impl Worker, time_left: Duration) -> Value {
    let end = Instant::now() + time_left;
    let handled = batch.records.iter().map(async |message| {
        let error = handle_event(message.body.as_deref().unwrap_or_default(), worker, end).await.err()?;
        println!("{}", json!({"message": "handed back", "messageId": message.message_id, "error": error.to_string()}));
        Some(json!({"itemIdentifier": message.message_id}))
    });
    json!({"batchItemFailures": join_all(handled).await.into_iter().flatten().collect::<Vec<_>>()})
}

/// What is no event fails at each delivery, until SQS moves it to the dead-letter queue.
async fn handle_event(body: &str, worker: &impl Worker, end: Instant) -> Result<(), Error> {
    // The detail of other events has other fields.
    let event: Value = serde_json::from_str(body)?;
    let started = TaskStarted::deserialize(&event["detail"])?;
    let deadline = started.task.deadline.as_deref().map(str::parse::<Timestamp>).transpose()?;
    // Either another invocation keeps the attempt alive, or the task was retried with a new event.
    if deadline.is_some_and(|deadline| deadline <= Timestamp::now()) {
        println!("{}", started.command(json!({"message": "the attempt is over"})));
        return Ok(());
    }
    let start: Timestamp = started.at.parse()?;
    let allowed = deadline.map(|deadline| deadline.duration_since(start).unsigned_abs());
    let share = Cell::new(0.0);
    let result = tokio::select! {
        result = worker.work(&started.task, &share) => result,
        () = sleep_until(end) => Err(WorkError { reason: "the invocation ran out of time".to_owned(), retry: true }),
        never = send_heartbeats(worker, &started, allowed.unwrap_or_default(), &share), if allowed.is_some() => never,
    };
    worker.finish(started.command(end_of_task(started.sequence, result))).await
}

impl TaskStarted {
    /// A command about the attempt.
    fn command(&self, mut fields: Value) -> Value {
        fields["playerId"] = self.player_id.as_str().into();
        fields["taskId"] = self.task.task_id.as_str().into();
        fields["attempt"] = self.task.attempt.into();
        fields
    }
}

/// The command is named after the event: a second invocation sends the same id, and the next
/// attempt another one. An id of the task could be longer than the 128 characters that are allowed
/// here.
fn end_of_task(sequence: u64, result: Result<Value, WorkError>) -> Value {
    let WorkError { reason, retry } = match result {
        Ok(result) if result.to_string().len() <= MAX_RESULT_BYTES => {
            let command_id = format!("worker:{sequence}:complete");
            return json!({"type": "completeTask", "commandId": command_id, "result": result});
        }
        Ok(_) => WorkError { reason: "the result is too large".to_owned(), retry: false },
        Err(error) => error,
    };
    json!({"type": "failTask", "commandId": format!("worker:{sequence}:fail"), "reason": reason, "retry": retry})
}

/// Sends heartbeats until it is dropped, three in the allowed time. The event may have waited for
/// long, so the first one is sent at once.
async fn send_heartbeats(worker: &impl Worker, started: &TaskStarted, allowed: Duration, share: &Cell<f64>) -> ! {
    let mut timer = interval((allowed / 3).max(Duration::from_millis(1)));
    loop {
        timer.tick().await;
        // All units would complete the task without a result.
        let units_done = ((share.get() * started.task.units as f64) as u64).min(started.task.units.saturating_sub(1));
        let report = started.command(json!({"type": "reportProgress", "unitsDone": units_done}));
        if let Err(error) = worker.report(report).await {
            println!("{}", started.command(json!({"message": "no heartbeat", "error": error.to_string()})));
        }
    }
}
