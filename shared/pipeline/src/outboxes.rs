//! What outboxes become: rows, and events to publish.

use millrace_domain::{EventsRecord, Queue, Record, codec::Outbox};
use millrace_store::RecordWrite;

use crate::{
    context::Context,
    counters::Counters,
    failure::Failure,
    grouping::grouping_of,
    publishing::{CommitEvents, publish},
};

/// The rows of a commit, from its outbox and the queue after it, and its events.
pub(crate) fn rows_of(ctx: &Context<'_>, queue: &Queue, outbox: Outbox) -> (Vec<Record>, Option<EventsRecord>) {
    let (mut rows, events) = outbox.into_records(&queue.player_id, queue.version);
    match &events {
        // The totals of a commit with events are written once these are published.
        Some(events) if ctx.platform.keeps_events() => rows.push(Record::Events(events.clone())),
        None if rows.iter().any(|row| matches!(row, Record::History(_))) => rows.push(Record::Stats(queue.stats())),
        _ => {}
    }
    (rows, events)
}

/// The outboxes of rows that were read, each with the position of its request. They are written and
/// published again.
#[derive(Default)]
pub struct Outboxes {
    rows: Vec<RecordWrite<usize>>,
    commits: Vec<CommitEvents>,
}

impl Outboxes {
    /// Adds the outbox of a queue.
    pub fn add(&mut self, ctx: &Context<'_>, origin: usize, queue: &Queue, outbox: Outbox) {
        let grouping = grouping_of(&queue.player_id, ctx.platform.settings.batching);
        let (rows, events) = rows_of(ctx, queue, outbox);
        self.rows.extend(rows.into_iter().map(|record| RecordWrite { record, origin, grouping }));
        let commit = |record| CommitEvents { origin, record, stats: queue.stats(), grouping, trace: None };
        self.commits.extend(events.map(commit));
    }

    /// Writes the records and publishes the events. Returns the positions of the requests for which
    /// that failed.
    pub async fn repeat(self, ctx: &Context<'_>, counters: &mut Counters) -> Vec<(usize, Failure)> {
        let mut failures = Vec::new();
        if !self.rows.is_empty() {
            let written = ctx.platform.batch_writer.write(self.rows, ctx.deadline).await;
            counters.writes.merge(&written.statistics);
            failures.extend(written.failed.into_iter().map(|failed| (failed.origin, Failure::from(failed.error))));
        }
        let mut commits = self.commits;
        commits.retain(|commit| failures.iter().all(|(origin, _)| *origin != commit.origin));
        failures.extend(publish(ctx, commits, counters).await);
        failures
    }
}
