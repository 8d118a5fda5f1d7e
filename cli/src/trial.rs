//! Commands on trial: in memory on empty queues, or on the present queues by the HTTP API.

use std::collections::BTreeMap;

use millrace_domain::{
    CommandId, Delivery, Event, PlayerId, Queue, Rules, Sender, Timestamp, Verdict, view::QueueView,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    answers::CommandResult,
    api::{Api, ApiError},
    command_file::ParsedCommand,
    failure::Failure,
};

/// What would become of a command.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub status: String,
    pub reason: Option<String>,
    pub detail: Option<String>,
    /// The types of the events that it leads to; empty if they are not known.
    pub events: Vec<&'static str>,
}

/// The answer of the HTTP API to commands on trial.
#[derive(Debug, Deserialize)]
pub struct TrialAnswer {
    pub results: Vec<CommandResult>,
    pub queue: Option<Value>,
}

/// Empty queues to which commands are applied.
#[derive(Debug, Default)]
pub struct EmptyQueues {
    queues: BTreeMap<PlayerId, Queue>,
}

impl EmptyQueues {
    /// Applies a command, named `id` if it has no id.
    pub fn apply(&mut self, parsed: &ParsedCommand, id: CommandId, now: Timestamp) -> Outcome {
        let player_id = &parsed.player_id;
        let queue = self.queues.entry(player_id.clone()).or_insert_with(|| Queue::new(player_id.clone(), now));
        let delivery = Delivery {
            player_id: player_id.clone(),
            command_id: parsed.command_id.clone().unwrap_or(id),
            sender: Sender::Trusted,
            sent_at: now,
            fifo: None,
            command: parsed.command.clone(),
        };
        let mut events: Vec<Event> = Vec::new();
        let (verdict, _) = queue.deliver(&delivery, now, Rules::default(), &mut events);
        let events = events.iter().map(|event| event.data.event_type().as_str()).collect();
        let (status, reason, detail) = match verdict {
            Verdict::Applied => ("applied", None, None),
            Verdict::Duplicate(reason) => ("duplicate", reason.map(|reason| reason.as_str().to_owned()), None),
            Verdict::Rejected(rejection) => {
                ("rejected", Some(rejection.reason.as_str().to_owned()), Some(rejection.detail.to_string()))
            }
        };
        Outcome { status: status.to_owned(), reason, detail, events }
    }

    /// The queues after all commands.
    pub fn views(&self, now: Timestamp) -> Vec<Value> {
        let view = |queue| serde_json::to_value(QueueView::new(queue, now, Rules::default())).unwrap_or_default();
        self.queues.values().map(view).collect()
    }
}

/// Tries commands on the present queue of a player. Nothing is written.
///
/// # Errors
/// [`Failure`] if there is no result.
pub async fn try_on_queue(api: &Api<'_>, player: &str, body: String) -> Result<TrialAnswer, Failure> {
    let query = [("dryRun", Some("true".to_owned()))];
    let answer: Result<TrialAnswer, ApiError> = api.post(&["players", player, "commands"], &query, body).await;
    answer.map_err(|error| match error {
        ApiError::Problem { problem, .. } if problem.error_type == "invalid_parameter" => {
            Failure::internal(format!("{} knows no commands on trial: {}", api.base(), problem.detail))
                .next("deploy this version")
        }
        other => other.into(),
    })
}

impl From<CommandResult> for Outcome {
    fn from(result: CommandResult) -> Self {
        Self { status: result.status, reason: result.reason, detail: result.detail, events: Vec::new() }
    }
}
