//! Record: what was decided, and what decides nothing yet, through the write batcher.

use millrace_domain::{Record, RequiredWrite, record::RejectionRecord};
use millrace_store::Row;
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
        let mut rows: Vec<Row<Origin>> = Vec::with_capacity(refused.len() + 2 * applied.len());
        for (at, record) in refused {
            rows.push(Row { record: Record::Rejection(record), origin: Origin::Refused(at), alone: false });
        }
        for (player, applied) in applied {
            let Some(cached) = &applied.cached else { continue };
            let origin = Origin::Player(*player);
            let alone = self.is_alone(&cached.queue.player_id);
            let mut push = |record| rows.push(Row { record, origin, alone });
            match applied.change {
                RequiredWrite::Nothing => {}
                // A milestone and every other decision is in the queue's own row.
                RequiredWrite::Progress => push(Record::Progress(cached.queue.progress())),
                RequiredWrite::Commit => {
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
        written.leftovers.into_iter().map(|leftover| (leftover.origin, Failure::from(leftover.error))).collect()
    }
}
