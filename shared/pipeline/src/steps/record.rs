//! Record: what was decided, and what decides nothing yet, through the batch writer.

use std::time::Instant;

use millrace_domain::{Record, RequiredWrite};
use millrace_store::{Grouping, RecordWrite};
use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    batch::Batch,
    context::Context,
    failure::Failure,
    item::Outcome,
    outboxes::rows_of,
    player::{Player, PlayerState},
};

/// What a record belongs to, and so what has to be delivered again if it is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A player's commit or progress, by the position of the player in the batch.
    Player(usize),
    /// Malformed input, by its position in the batch.
    Malformed(usize),
}

/// Writes the records of every committed player, and malformed input.
#[instrument(target = TARGET, level = "info", skip_all)]
pub async fn record(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    let mut rows: Vec<RecordWrite<Origin>> = Vec::new();
    for (position, malformed) in batch.malformed.iter().enumerate() {
        if !batch.malformed_recorded && matches!(malformed.outcome, Outcome::Rejected(_)) {
            let record = Record::Rejection(malformed.record.clone());
            let origin = Origin::Malformed(position);
            rows.push(RecordWrite { record, origin, grouping: Grouping::Shared });
        }
    }
    batch.malformed_recorded = true;
    for (position, player) in batch.players.iter_mut().enumerate() {
        let (origin, grouping) = (Origin::Player(position), player.grouping);
        let records = take_records(ctx, player).into_iter();
        rows.extend(records.map(|record| RecordWrite { record, origin, grouping }));
    }
    if !rows.is_empty() {
        let written = ctx.platform.batch_writer.write(rows, ctx.deadline).await;
        batch.counters.writes.merge(&written.statistics);
        for failed in written.failed {
            hand_back(batch, failed.origin, &failed.error.into());
        }
    }
    batch.counters.steps.record += started.elapsed();
}

/// The records of a committed player that become rows. Its events stay where they are, because they
/// are not published yet.
fn take_records(ctx: &Context<'_>, player: &mut Player) -> Vec<Record> {
    let PlayerState::Committed(applied) = &mut player.state else { return Vec::new() };
    let Some(cached) = &applied.loaded.queue else { return Vec::new() };
    match applied.change {
        RequiredWrite::Nothing => Vec::new(),
        // Milestones and all other decisions are in the queue row.
        RequiredWrite::Progress => vec![Record::Progress(cached.queue.progress())],
        RequiredWrite::Commit => {
            let (rows, events) = rows_of(ctx, &cached.queue, std::mem::take(&mut applied.outbox));
            applied.events = events;
            rows
        }
    }
}

/// A record was not written. The next delivery finds the commands remembered, and their records in
/// the outbox of the row, which only a read of the table sees: so the copies must go.
fn hand_back(batch: &mut Batch, origin: Origin, failure: &Failure) {
    match origin {
        Origin::Player(position) => batch.players[position].fail_maybe_changed(failure, &mut batch.messages),
        Origin::Malformed(position) => {
            let malformed = &mut batch.malformed[position];
            malformed.outcome = Outcome::Failed(failure.clone());
            batch.messages[malformed.message].is_handed_back = true;
        }
    }
}
