//! Answer: batch item failures, results and the report.

use serde::Serialize;

use crate::{
    decode::{Decoded, Source, Task},
    fifo::fail_rest_of_groups,
    report::{CommandCounts, Figures, LoadReport, MemoryReport, Report, thousandths},
    service::{Invocation, Service},
    status::Status,
};

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The messages that SQS is to deliver again.
    pub batch_item_failures: Vec<BatchItemFailure>,
    /// What became of the commands; from SQS, of those alone that were not applied.
    pub results: Vec<CommandResult>,
    /// What it took.
    pub report: Report,
}

/// A message that is to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The message's id.
    pub item_identifier: String,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    /// The command; left out for a tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The player; left out where malformed input names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player_id: Option<String>,
    /// `applied`, `duplicate`, `rejected` or `failed`.
    pub status: &'static str,
    /// A stable code, where it was not applied. Of a duplicate: the first refusal, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
impl Service {
    /// Everything is done: what the invocation answers.
    #[expect(clippy::too_many_arguments, reason = "one step of `process`, on its variables")]
    pub(crate) fn answer(
        &self,
        decoded: &Decoded,
        statuses: &[Status],
        refused: &[Status],
        players: usize,
        invocation: &Invocation,
        started: std::time::Instant,
        figures: &Figures,
    ) -> Answer {
        let mut failed = vec![false; decoded.messages.len()];
        let items = decoded.items.iter().map(|item| item.message).zip(statuses);
        let malformed = decoded.refused.iter().map(|refused| refused.message).zip(refused);
        for (message, status) in items.chain(malformed) {
            failed[message] |= matches!(status, Status::Failed(_) | Status::Open);
        }
        fail_rest_of_groups(&decoded.messages, &mut failed);
        let batch_item_failures = decoded
            .messages
            .iter()
            .zip(&failed)
            .filter(|(_, failed)| **failed && decoded.source == Source::Sqs)
            .map(|(message, _)| BatchItemFailure { item_identifier: message.id.clone() })
            .collect();

        Answer {
            batch_item_failures,
            results: results(decoded, statuses, refused),
            report: self.report(invocation, started, figures, count(decoded, statuses, refused), players as u64),
        }
    }

    /// The report of an invocation; where memory is short, the local cache shrinks.
    pub(crate) fn report(
        &self,
        invocation: &Invocation,
        started: std::time::Instant,
        figures: &Figures,
        commands: CommandCounts,
        players: u64,
    ) -> Report {
        let resident_bytes = (self.resident_bytes)();
        if resident_bytes.is_some_and(|bytes| bytes > self.settings.memory_threshold) {
            let dropped = self.cache.shrink();
            tracing::warn!(resident_bytes, dropped, "memory is above its threshold: the local cache was halved");
        }
        let usage = self.cache.usage();
        let emergency = self.cache.emergency(self.clock.now()).is_some();
        Report {
            request_id: invocation.request_id.clone(),
            cold_start: invocation.cold_start,
            processing_time_ms: thousandths(started.elapsed().as_secs_f64() * 1000.0),
            commands,
            players,
            lateness: figures.lateness.report(),
            cache: figures.cache_report(self.cache.shared_state(), emergency),
            loads: LoadReport { calls: figures.loads },
            commits: figures.commit_report(),
            writes: figures.write_report(),
            connections: self.store.connections().map(Into::into),
            steps_ms: figures.step_report(),
            memory: MemoryReport { resident_bytes, local_cache_entries: usage.entries, local_cache_bytes: usage.bytes },
            statistics: self.cache.statistics(),
        }
    }
}

/// Counts the commands by their statuses. Ticks are no commands.
pub(crate) fn count(decoded: &Decoded, statuses: &[Status], refused: &[Status]) -> CommandCounts {
    let mut counts = CommandCounts::default();
    for (item, status) in decoded.items.iter().zip(statuses) {
        if matches!(item.task, Task::Tick(_)) {
            continue;
        }
        match status {
            Status::Applied => counts.applied += 1,
            Status::Duplicate(_) => counts.duplicate += 1,
            Status::Rejected(_) => counts.rejected += 1,
            Status::Failed(_) | Status::Open => counts.failed += 1,
        }
    }
    for status in refused {
        match status {
            Status::Failed(_) => counts.failed += 1,
            _ => counts.malformed += 1,
        }
    }
    counts.received = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
    counts
}

/// The results in the order of the messages: from SQS, of what was not applied.
pub(crate) fn results(decoded: &Decoded, statuses: &[Status], refused: &[Status]) -> Vec<CommandResult> {
    let all = decoded.source != Source::Sqs;
    let mut results: Vec<(usize, CommandResult)> = Vec::new();
    for (item, status) in decoded.items.iter().zip(statuses) {
        let tick = matches!(item.task, Task::Tick(_));
        if *status == Status::Applied && (tick || !all) {
            continue;
        }
        let command_id = match &item.task {
            Task::Command(delivery) => Some(delivery.command_id.as_str().to_owned()),
            Task::Tick(_) => None,
        };
        let player_id = Some(item.task.player_id().as_str().to_owned());
        results.push((item.message, result(command_id, player_id, status)));
    }
    for (refused, status) in decoded.refused.iter().zip(refused) {
        let command_id = Some(refused.record.command_id.as_str().to_owned());
        let player_id = refused.player_id.as_ref().map(|player| player.as_str().to_owned());
        results.push((refused.message, result(command_id, player_id, status)));
    }
    // Stable: within a message the commands come before what was malformed.
    results.sort_by_key(|(message, _)| *message);
    results.into_iter().map(|(_, result)| result).collect()
}

fn result(command_id: Option<String>, player_id: Option<String>, status: &Status) -> CommandResult {
    let (status, reason, detail) = match status {
        Status::Applied => ("applied", None, None),
        Status::Duplicate(reason) => ("duplicate", reason.map(|reason| reason.as_str()), None),
        Status::Rejected(rejection) => {
            ("rejected", Some(rejection.reason.as_str()), Some(rejection.detail.to_string()))
        }
        Status::Failed(failure) => ("failed", Some(failure.code), Some(failure.detail.to_string())),
        Status::Open => ("failed", Some("deadline"), None),
    };
    CommandResult { command_id, player_id, status, reason, detail }
}
