//! Writes the records of outboxes again, and publishes their events again.

use millrace_domain::{Queue, Record, codec::Outbox};
use millrace_store::RecordWrite;

use crate::{
    context::Context,
    counters::Counters,
    failure::Failure,
    grouping::grouping_of,
    publishing::{CommitEvents, publish},
};

/// The outboxes of rows that were read, each with the position of its request.
#[derive(Default)]
pub struct Outboxes {
    rows: Vec<RecordWrite<usize>>,
    commits: Vec<CommitEvents>,
}

impl Outboxes {
    /// Adds the outbox of a queue, and the stats that belong to it.
    pub fn add(&mut self, ctx: &Context<'_>, origin: usize, queue: &Queue, outbox: Outbox) {
        let (mut records, events) = outbox.into_records(&queue.player_id, queue.version);
        if events.is_none() && records.iter().any(|record| matches!(record, Record::History(_))) {
            records.push(Record::Stats(queue.stats()));
        }
        records.extend(events.clone().filter(|_| ctx.platform.keeps_events()).map(Record::Events));
        let grouping = grouping_of(&queue.player_id, ctx.platform.settings.batching);
        self.rows.extend(records.into_iter().map(|record| RecordWrite { record, origin, grouping }));
        let stats = queue.stats();
        self.commits.extend(events.map(|record| CommitEvents { origin, record, stats, grouping }));
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
