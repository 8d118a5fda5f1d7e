//! A worker: it follows the events of a player, and does the work of the tasks that start.

use std::time::{Duration, Instant};

use millrace_domain::{JsonText, TaskId, event::EventType, events::published::PublishedEvent};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{client::ClientError, participant::Participant, transcript::Transcript};

/// How often a worker looks for new events.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// How long a task may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The time that the work on one tree takes.
const TREE: Duration = Duration::from_millis(800);

/// A worker for tasks with a payload such as `{"trees": 5}`.
pub struct Worker<'a> {
    participant: Participant<'a>,
    /// It dies when it has felled so many trees.
    dies_after: Option<u64>,
    /// The sequence of the last event that it has seen.
    last_sequence: u64,
    /// When its attempt fails without a further report, as the answer to its last one says.
    pub deadline: Option<String>,
}

/// An attempt that has started.
pub struct Start {
    sequence: u64,
    task_id: TaskId,
    attempt: u64,
    units: u64,
    trees: u64,
}

impl<'a> Worker<'a> {
    pub fn new(participant: Participant<'a>, dies_after: Option<u64>) -> Self {
        Self { participant, dies_after, last_sequence: 0, deadline: None }
    }

    /// Goes on after the last event that another worker has seen.
    pub fn skip_to(&mut self, other: &Self) {
        self.last_sequence = other.last_sequence;
    }

    /// Waits for the next attempt that starts. None if that takes too long.
    pub async fn next_start(&mut self, shown: &mut Transcript) -> Result<Option<Start>, ClientError> {
        let began = Instant::now();
        while began.elapsed() < START_TIMEOUT {
            for event in self.participant.events_after(self.last_sequence).await? {
                if let Some(start) = self.see(&event, shown) {
                    return Ok(Some(start));
                }
            }
            sleep(POLL_EVERY).await;
        }
        let name = self.participant.name;
        shown.expect(false, || format!("{name}: no task started within {} s", START_TIMEOUT.as_secs()));
        Ok(None)
    }

    /// Takes note of an event, which follows the last one. Returns the attempt that starts with it.
    fn see(&mut self, event: &PublishedEvent, shown: &mut Transcript) -> Option<Start> {
        let expected = self.last_sequence + 1;
        shown.expect(event.sequence == expected, || format!("event {} is not {expected}", event.sequence));
        self.last_sequence = event.sequence;
        let task = event.task.as_deref()?;
        if event.event_type == EventType::TaskRetried {
            let (attempt, reason) = (task.attempt.unwrap_or_default(), event.reason.as_deref().unwrap_or_default());
            let outcome = format!("{}, attempt {attempt}: {reason}", task.task_id);
            shown.add(self.participant.name, "gets taskRetried", outcome);
        }
        let start = start_of(event)?;
        let payload = task.payload.as_ref().map_or("none", JsonText::as_str);
        shown.add(self.participant.name, "gets taskStarted", format!("{start}, payload {payload}"));
        Some(start)
    }

    /// Fells the trees and completes the task, unless it dies before. Each report is a heartbeat.
    pub async fn work(&mut self, start: &Start, shown: &mut Transcript) -> Result<(), ClientError> {
        for felled in 1..=start.trees {
            sleep(TREE).await;
            if felled < start.trees {
                self.report(start, start.units * felled / start.trees, shown).await?;
            }
            if self.dies_after == Some(felled) {
                shown.add(self.participant.name, "dies", start.to_string());
                return Ok(());
            }
        }
        self.complete(start, "applied", shown).await
    }

    async fn report(&mut self, start: &Start, units: u64, shown: &mut Transcript) -> Result<(), ClientError> {
        let report = json!({"type": "reportProgress", "taskId": start.task_id, "attempt": start.attempt,
            "unitsDone": units});
        let subject = format!("{start}, {units} of {} units", start.units);
        let answer = self.participant.send(report, subject, "applied", shown).await?;
        self.deadline = answer["queue"]["tasks"][0]["deadline"].as_str().map(str::to_owned);
        Ok(())
    }

    /// Completes the task. The status of the command has to be `expected`.
    pub async fn complete(&self, start: &Start, expected: &str, shown: &mut Transcript) -> Result<(), ClientError> {
        let result = json!({"wood": start.trees});
        let subject = format!("{start}, result {result}");
        // The command is named after the event: a worker that gets the event twice sends it twice,
        // and the second one is a duplicate.
        let complete = json!({"type": "completeTask", "taskId": start.task_id, "attempt": start.attempt,
            "commandId": format!("worker:{}:complete", start.sequence), "result": result});
        self.participant.send(complete, subject, expected, shown).await.map(drop)
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, attempt {}", self.task_id, self.attempt)
    }
}

/// The attempt of an event, if it says that reported work with trees has started.
fn start_of(event: &PublishedEvent) -> Option<Start> {
    let task = event.task.as_deref().filter(|_| event.event_type == EventType::TaskStarted)?;
    let payload: Value = serde_json::from_str(task.payload.as_ref()?.as_str()).ok()?;
    Some(Start {
        sequence: event.sequence,
        task_id: task.task_id.clone(),
        attempt: task.attempt?,
        units: task.units?,
        trees: payload["trees"].as_u64()?,
    })
}
