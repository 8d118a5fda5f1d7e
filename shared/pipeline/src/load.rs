//! Load: queues from the local cache, the remote cache, then the table.
//!
//! One lookup in each tier for all players, and one strongly consistent read of the table for what is
//! left. A row that comes from the table may carry records that a crashed process never wrote: they
//! are written (again) before anything is decided on that row.

use std::sync::Arc;

use millrace_cache::{CachedCopy, Lookup};
use millrace_domain::{
    PlayerId, Record, Timestamp,
    codec::{self, CachedQueue, Outbox},
    record::Table,
};
use millrace_store::{LoadResponse, QueueRow, Row, StoreError};
use tokio::time::{Instant, timeout_at};

use crate::{report::Figures, service::Service, status::Failure};

/// What a player's commands are applied to.
#[derive(Debug, Clone)]
pub struct Base {
    /// The queue; none where the player has none yet. Nobody else holds it, as a rule, so that it can
    /// be changed in place.
    pub cached: Option<Arc<CachedQueue>>,
    /// When it was known to be the newest.
    pub since: Timestamp,
    /// Whether it was read from the table just now, so that the caches do not have it yet, and nothing
    /// about it is out of date.
    pub from_table: bool,
    /// Whether its row stands among what is due by now although nothing is: its records had not been written
    /// when it was committed.
    pub misplaced: bool,
}

/// Whose queue is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The player.
    pub player_id: PlayerId,
    /// Whether progress between milestones must be known.
    pub progress: bool,
}

impl Service {
    /// Loads queues, cache first. One result for each player, in order.
    pub async fn load(
        &self,
        wanted: &[Wanted],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) -> Vec<Result<Base, Failure>> {
        let keys: Vec<PlayerId> = wanted.iter().map(|wanted| wanted.player_id.clone()).collect();
        let lookup = within(deadline, keys.len(), self.cache.take(&keys, now)).await;
        figures.cache.shared_errors += lookup.shared_errors;

        let mut bases: Vec<Option<Result<Base, Failure>>> = Vec::with_capacity(wanted.len());
        let (mut missing, mut partial) = (Vec::new(), Vec::new());
        for (at, (hit, wanted)) in lookup.hits.into_iter().zip(wanted).enumerate() {
            figures.cache.count(hit.as_ref().map(|hit| hit.tier));
            let Some(hit) = hit else {
                missing.push(at);
                bases.push(None);
                continue;
            };
            let CachedCopy { cached, since } = hit.copy;
            if wanted.progress && !cached.progress_known && cached.queue.has_partial_progress() {
                partial.push(at);
            }
            bases.push(Some(Ok(Base { cached: Some(cached), since, from_table: false, misplaced: false })));
        }
        if !missing.is_empty() || !partial.is_empty() {
            self.load_missing(wanted, &missing, &partial, &mut bases, now, deadline, figures).await;
        }
        bases.into_iter().map(|base| base.unwrap_or_else(|| Err(Failure::deadline()))).collect()
    }

    /// Fills what the caches did not have, in one read of the table.
    #[expect(clippy::too_many_arguments, reason = "one step of `load`, on its variables")]
    pub(crate) async fn load_missing(
        &self,
        wanted: &[Wanted],
        missing: &[usize],
        partial: &[usize],
        bases: &mut [Option<Result<Base, Failure>>],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) {
        let rows: Vec<Wanted> = missing.iter().map(|at| wanted[*at].clone()).collect();
        let (loaded, progress) = self.load_from_table(&rows, partial, wanted, now, deadline, figures).await;
        for (at, base) in missing.iter().zip(loaded) {
            bases[*at] = Some(base);
        }
        for (at, progress) in partial.iter().zip(progress) {
            let merged = match (progress, bases[*at].take()) {
                (Ok(progress), Some(Ok(base))) => Ok(base.with_progress(progress.as_ref())),
                (Err(failure), _) => Err(failure),
                (_, Some(other)) => other,
                (_, None) => Err(Failure::deadline()),
            };
            bases[*at] = Some(merged);
        }
    }

    /// Loads queues from the table, past all caches, and writes their outboxes again. Beside them
    /// reads the progress rows of `partial`, positions in `all`.
    pub(crate) async fn load_from_table(
        &self,
        wanted: &[Wanted],
        partial: &[usize],
        all: &[Wanted],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) -> (Vec<Result<Base, Failure>>, Vec<Result<Option<millrace_domain::record::ProgressRecord>, Failure>>) {
        if wanted.is_empty() && partial.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let queues: Vec<PlayerId> = wanted.iter().map(|wanted| wanted.player_id.clone()).collect();
        let with_progress: Vec<bool> = wanted.iter().map(|wanted| wanted.progress).collect();
        let progress: Vec<PlayerId> = wanted
            .iter()
            .filter(|wanted| wanted.progress)
            .chain(partial.iter().map(|at| &all[*at]))
            .map(|wanted| wanted.player_id.clone())
            .collect();
        let Ok(LoadResponse { queues: rows, progress: mut found, calls }) =
            timeout_at(deadline, self.store.load(&queues, &progress)).await
        else {
            return (
                wanted.iter().map(|_| Err(Failure::deadline())).collect(),
                partial.iter().map(|_| Err(Failure::deadline())).collect(),
            );
        };
        figures.loads += calls;
        let beside = found.split_off(found.len() - partial.len());
        let mut found = found.into_iter();

        let mut outboxes = Vec::new();
        let mut bases = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            let progress = if with_progress[at] { found.next() } else { None };
            let base = row.and_then(|row| {
                let Some(row) = row else {
                    return Ok(Base { cached: None, since: now, from_table: true, misplaced: false });
                };
                let (cached, records) = read_row(&wanted[at].player_id, &row)?;
                outboxes.extend(records.into_iter().map(|record| Row {
                    record,
                    origin: at,
                    alone: self.is_alone(&wanted[at].player_id),
                }));
                let due_at = cached.queue.due_at(self.settings.rules);
                let misplaced = row.due_at.is_some_and(|at| at <= now && due_at.is_none_or(|due| due > at));
                let base = Base { cached: Some(Arc::new(cached)), since: now, from_table: true, misplaced };
                match progress {
                    Some(progress) => Ok(base.with_progress(progress?.as_ref())),
                    None => Ok(base),
                }
            });
            bases.push(base.map_err(Failure::from));
        }
        if !outboxes.is_empty() {
            let written = self.batcher.write(outboxes, deadline).await;
            figures.writes.merge(&written.statistics);
            for leftover in written.leftovers {
                bases[leftover.origin] = Err(Failure::from(leftover.error));
            }
        }
        (bases, beside.into_iter().map(|progress| progress.map_err(Failure::from)).collect())
    }
}

/// A lookup of `count` players that ends with the deadline: then nothing was found.
pub(crate) async fn within(deadline: Instant, count: usize, lookup: impl Future<Output = Lookup>) -> Lookup {
    let nothing = |_| Lookup { hits: vec![None; count], shared_errors: 1 };
    timeout_at(deadline, lookup).await.unwrap_or_else(nothing)
}

impl Base {
    pub(crate) fn with_progress(self, progress: Option<&millrace_domain::record::ProgressRecord>) -> Self {
        let cached = self.cached.map(|cached| {
            let mut cached = Arc::unwrap_or_clone(cached);
            if let Some(progress) = progress {
                cached.queue.merge_progress(progress);
            }
            cached.progress_known = true;
            Arc::new(cached)
        });
        Self { cached, ..self }
    }
}

/// Reads a row of the queues table, and the records of its last commit with the stats that go with them.
fn read_row(player_id: &PlayerId, row: &QueueRow) -> Result<(CachedQueue, Vec<Record>), StoreError> {
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::unreadable(Table::Queues, format!("{player_id}: {error}"));
    let queue: millrace_domain::Queue = codec::decode(&row.queue).map_err(|error| unreadable(&error))?;
    if queue.player_id != *player_id || queue.version != row.version {
        return Err(unreadable(&format!(
            "the row holds version {} of `{}` under version {}",
            queue.version, queue.player_id, row.version
        )));
    }
    let mut records = match &row.outbox {
        Some(outbox) => codec::decode::<Outbox>(outbox).map_err(|error| unreadable(&error))?.0,
        None => Vec::new(),
    };
    if records.iter().any(|record| matches!(record, Record::History(_))) {
        records.push(Record::Stats(queue.stats()));
    }
    let progress_known = !queue.has_partial_progress();
    Ok((CachedQueue { queue, progress_known }, records))
}
