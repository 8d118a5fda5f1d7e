//! Record: what was decided, and what decides nothing yet, through the write batcher.

use millrace_domain::{Change, Record, record::RejectionRecord};
use millrace_store::{Grouping, RecordWrite};
use tokio::time::Instant;

use crate::{apply::Applied, report::Figures, service::Service, status::Failure};

/// Where a row came from, and so what has to be delivered again if it is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A player's commit or progress, by the player's position.
    Player(usize),
    /// Malformed input, by its position.
    Refused(usize),
}

impl Service {
    /// Writes the records of all players, and malformed input. Returns what was not written.
    pub(crate) async fn record(
        &self,
        applied: &mut [(usize, Applied)],
        refused: Vec<(usize, RejectionRecord)>,
        deadline: Instant,
        figures: &mut Figures,
    ) -> Vec<(Origin, Failure)> {
        let mut rows: Vec<RecordWrite<Origin>> = Vec::with_capacity(refused.len() + 2 * applied.len());
        for (at, record) in refused {
            let (record, origin) = (Record::Rejection(record), Origin::Refused(at));
            rows.push(RecordWrite { record, origin, grouping: Grouping::Shared });
        }
        for (player, applied) in applied {
            let Some(cached) = &applied.cached else { continue };
            let origin = Origin::Player(*player);
            let grouping = self.grouping(&cached.queue.player_id);
            let mut push = |record| rows.push(RecordWrite { record, origin, grouping });
            match applied.change {
                Change::Nothing => {}
                // A milestone and every other decision is in the queue's own row.
                Change::Progress => push(Record::Progress(cached.queue.progress())),
                Change::Decided => {
                    applied.records.drain(..).for_each(&mut push);
                    if applied.totals_changed {
                        push(Record::Stats(cached.queue.stats()));
                    }
                }
            }
        }
        if rows.is_empty() {
            return Vec::new();
        }
        let written = self.batcher.write(rows, deadline).await;
        figures.writes.merge(&written.statistics);
        written.failed.into_iter().map(|failed| (failed.origin, Failure::from(failed.error))).collect()
    }
}
