//! Advances what is due through the pipeline, where there is no queue for ticks.
//!
//! Nothing delivers again what a crash cuts short here. So a commit leaves its queue in the due
//! index until its records are written; see [`correct_due_entries`].

use std::collections::HashMap;

use millrace_domain::{FailureReason, PlayerId, Timestamp};
use millrace_pipeline::{
    Context, Failure,
    batch::Batch,
    counters::Counters,
    item::Outcome,
    player::{FinalQueue, Player, PlayerState},
    process::decide,
    steps::{commit::correct_due_entries, refresh::refresh},
};
use millrace_store::DueQueue;

use crate::{
    due_queues::DueQueues,
    report::{AdvanceReport, Mode},
};

/// Most queues that are advanced at once, which bounds the memory of a run.
const MAX_CHUNK: usize = 500;
/// Queues that are advanced at once in the beginning. The number doubles each time: however slow
/// the store is, a run finishes some.
const FIRST_CHUNK: usize = 50;

/// Advances everything in `due`, the oldest first. Also returns how many players that were.
pub(crate) async fn advance_due(
    ctx: &Context<'_>,
    due: &mut DueQueues<'_>,
    counters: &mut Counters,
) -> (AdvanceReport, u64) {
    let mut report = AdvanceReport::new(Mode::Direct);
    let (mut players, mut chunk) = (0, FIRST_CHUNK);
    while !ctx.is_over() && !report.has_left() {
        let found = due.take(chunk).await;
        chunk = (2 * chunk).min(MAX_CHUNK);
        if found.is_empty() {
            break;
        }
        report.due += found.len() as u64;
        players += advance_chunk(&ctx.at_present(), found, counters, &mut report).await;
    }
    report.settled = counters.due_entries_corrected;
    report.unsettled = counters.due_entries_left;
    (report, players)
}

async fn advance_chunk(
    ctx: &Context<'_>,
    due: Vec<DueQueue>,
    counters: &mut Counters,
    report: &mut AdvanceReport,
) -> u64 {
    let due_at: HashMap<PlayerId, Timestamp> = due.iter().map(|due| (due.player_id.clone(), due.due_at)).collect();
    let mut batch = Batch::of_ticks(ctx, due.into_iter().map(|due| due.player_id));
    batch.counters = std::mem::take(counters);
    decide(ctx, &mut batch).await;
    // A store that does not answer in time fails with an error that is not the deadline.
    let is_late = ctx.is_over();
    for (player_id, item) in batch.items() {
        let failure = match &item.outcome {
            Outcome::Failed(failure) => failure.clone(),
            Outcome::Undecided => Failure::deadline(),
            _ => {
                report.ticks += 1;
                continue;
            }
        };
        report.failed += 1;
        let is_deadline = failure.reason == FailureReason::Deadline;
        if is_late || is_deadline {
            report.leave(due_at.get(player_id).copied().unwrap_or(ctx.now));
        }
        if !is_deadline {
            let (player_id, reason) = (player_id.as_str(), failure.reason.code());
            tracing::warn!(player_id, reason, detail = %failure.detail, "the queue was not advanced");
        }
        report.failure.get_or_insert(failure);
    }
    correct_due_entries(ctx, &mut batch).await;
    // Nothing was due, but the stale entry is still in the index: that is left to the next run.
    let left = batch.players.iter().filter(|player| is_left_in_index(player)).count() as u64;
    report.ticks -= left;
    report.failed += left;
    refresh(ctx, &mut batch).await;
    *counters = std::mem::take(&mut batch.counters);
    batch.players.len() as u64
}

fn is_left_in_index(player: &Player) -> bool {
    let is_uncertain = matches!(player.state, PlayerState::Finished(FinalQueue::MaybeChanged));
    is_uncertain && player.commits == 0 && player.items().all(|item| item.outcome == Outcome::Applied)
}
