//! Answer: batch item failures, results and the report.

use millrace_domain::PlayerId;
use millrace_performance::Kind;
use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    answer::{Answer, BatchItemFailure, CommandResult, ProcessError},
    batch::{Batch, Source},
    context::Context,
    item::{Action, Outcome},
    logs,
    report::{CommandCounts, CommandOutcomes, Reasons, Report},
    report_builder::build_report,
};

/// Most results of an answer. The others are only counted.
pub const MAX_RESULTS: usize = 200;
/// The status of what has to be delivered again.
const FAILED: &str = "failed";

/// The answer of an invocation whose items are all decided. What was not applied is logged, and the
/// report is added to the metrics and to the performance history.
#[instrument(target = TARGET, level = "info", skip_all)]
pub fn answer(ctx: &Context<'_>, batch: &mut Batch) -> Answer {
    batch.hand_back_rest_of_groups();
    let outcomes = count(batch);
    logs::log_items(batch);
    ctx.invocation.record.update(|record| logs::measure_batch(record, batch, &outcomes.counts));
    let report = build_report(ctx, &batch.counters, outcomes, batch.players.len() as u64);
    ctx.platform.share_report(Kind::Commands, &report);
    answer_of(batch, report)
}

/// The answer for items that were decided on trial. They are neither logged nor measured: only what
/// the trial itself took is.
pub fn trial_answer(ctx: &Context<'_>, batch: &mut Batch) -> Answer {
    batch.hand_back_rest_of_groups();
    let report = build_report(ctx, &batch.counters, CommandOutcomes::default(), batch.players.len() as u64);
    ctx.platform.performance.add_cost(&report.cost.usage);
    let CommandOutcomes { counts, reasons } = count(batch);
    answer_of(batch, Report { commands: counts, reasons, ..report })
}

fn answer_of(batch: &Batch, report: Report) -> Answer {
    let failed = batch.messages.iter().filter(|message| message.is_handed_back && batch.source == Source::Sqs);
    Answer {
        batch_item_failures: failed.map(|message| BatchItemFailure { item_identifier: message.id.clone() }).collect(),
        results: results(batch),
        results_omitted: 0,
        report,
    }
}

/// The answer as the source of the payload gets it: with at most [`MAX_RESULTS`] results, so that
/// it stays far below the 6 MB that Lambda takes.
///
/// # Errors
/// [`ProcessError::CommandsFailed`] where something failed and the source takes no batch item
/// failures: whatever invoked the function repeats only an invocation that failed.
pub fn answer_source(batch: &Batch, mut answer: Answer) -> Result<Answer, ProcessError> {
    answer.results.sort_by_key(|result| result.status != FAILED);
    let failed = answer.results.iter().take_while(|result| result.status == FAILED).count();
    if batch.source == Source::Invoker && failed > 0 {
        let received = batch.items().count() + batch.malformed.len();
        let first = answer.results.swap_remove(0).detail.unwrap_or_default();
        return Err(ProcessError::CommandsFailed { failed, received, first });
    }
    answer.results_omitted = answer.results.len().saturating_sub(MAX_RESULTS);
    answer.results.truncate(MAX_RESULTS);
    Ok(answer)
}

/// Counts the commands by outcome and reason. Ticks are not commands.
fn count(batch: &Batch) -> CommandOutcomes {
    let (mut counts, mut reasons) = (CommandCounts::default(), Reasons::default());
    for (_, item) in batch.items().filter(|(_, item)| item.action != Action::Tick) {
        match &item.outcome {
            Outcome::Applied => counts.applied += 1,
            Outcome::Duplicate(_) => counts.duplicate += 1,
            Outcome::Rejected(rejection) => {
                counts.rejected += 1;
                *reasons.rejected.entry(rejection.reason.as_str()).or_default() += 1;
            }
            Outcome::Failed(failure) => {
                counts.failed += 1;
                *reasons.failed.entry(failure.reason.code()).or_default() += 1;
            }
            Outcome::Undecided => counts.failed += 1,
        }
    }
    for malformed in &batch.malformed {
        match &malformed.outcome {
            Outcome::Failed(failure) => {
                counts.failed += 1;
                *reasons.failed.entry(failure.reason.code()).or_default() += 1;
            }
            _ => counts.malformed += 1,
        }
    }
    counts.received = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
    CommandOutcomes { counts, reasons }
}

/// The results in the order of the messages. Within a message, malformed input comes last.
fn results(batch: &Batch) -> Vec<CommandResult> {
    let shows_applied = batch.source != Source::Sqs;
    let mut results: Vec<((usize, usize), CommandResult)> = Vec::new();
    for (player_id, item) in batch.items() {
        let command_id = item.action.delivery().map(|delivery| delivery.command_id.as_str());
        if item.outcome != Outcome::Applied || (shows_applied && command_id.is_some()) {
            let result = result(command_id, Some(player_id), &item.outcome);
            results.push(((item.message, item.order), result));
        }
    }
    for malformed in &batch.malformed {
        let command_id = Some(malformed.record.command_id.as_str());
        let result = result(command_id, malformed.player_id.as_ref(), &malformed.outcome);
        results.push(((malformed.message, usize::MAX), result));
    }
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

fn result(command_id: Option<&str>, player_id: Option<&PlayerId>, outcome: &Outcome) -> CommandResult {
    let (status, reason, detail) = match outcome {
        Outcome::Applied => ("applied", None, None),
        Outcome::Duplicate(reason) => ("duplicate", reason.map(|reason| reason.as_str()), None),
        Outcome::Rejected(rejection) => {
            ("rejected", Some(rejection.reason.as_str()), Some(rejection.detail.to_string()))
        }
        Outcome::Failed(failure) => (FAILED, Some(failure.reason.code()), Some(failure.detail.to_string())),
        Outcome::Undecided => (FAILED, None, None),
    };
    CommandResult {
        command_id: command_id.map(str::to_owned),
        player_id: player_id.map(|player| player.as_str().to_owned()),
        status,
        reason,
        detail,
        failure: match outcome {
            Outcome::Failed(failure) => Some(failure.reason),
            _ => None,
        },
    }
}
