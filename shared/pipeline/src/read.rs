//! Reads: a queue as of now, cache first, and pages of what is recorded. A read decides nothing.
//!
//! A queue is looked for like one that is to be changed: in the process, in the shared cache, in the table,
//! where its outbox is written again. What the table had is put into the caches. Time that has passed since
//! is made up for in memory and not written: whatever happens next makes up for it in the same way.
//!
//! **In emergency mode** a copy is served without the progress row that it may lack: the table is not asked.
//!
//! **Reading one's own writes.** A read may name a version. It is never answered with an older one: copies
//! that are older are passed over, and where even the table has an older one, the read fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_cache::{CachedCopy, Hit, Tier};
use millrace_domain::{
    PlayerId, Queue, Rules, Timestamp,
    codec::CachedQueue,
    record::{HistoryRecord, RejectionRecord},
    view::QueueView,
};
use millrace_store::{Page, StoreError};
use tokio::time::timeout_at;

use crate::{
    load::{Base, Wanted, within},
    report::Figures,
    service::{Invocation, Service},
    status::Failure,
};

/// A read without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody of this id has a queue.
    #[error("no queue of this player exists")]
    UnknownPlayer,
    /// Even the table has an older version than was asked for.
    #[error("version {wanted} was asked for, and the newest one is {newest}")]
    NotReached {
        /// The version that was asked for.
        wanted: u64,
        /// The version of the table.
        newest: u64,
    },
    /// The store failed, or no time was left.
    #[error("{}", .0.detail)]
    Failed(Failure),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a read took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadReport {
    /// From its begin to its end.
    pub processing_time: Duration,
    /// The cache tier that had the queue; none: the table.
    pub found: Option<Tier>,
    /// Cache lookups.
    pub lookups: u64,
    /// Errors of the shared cache tier.
    pub cache_errors: u64,
    /// Round trips to the store.
    pub calls: u64,
}

impl ReadReport {
    /// Hits of cache lookups, 0 to 1; none where nothing was looked up.
    pub fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then_some(if self.found.is_some() { 1.0 } else { 0.0 })
    }
}

/// A queue that was read.
#[derive(Debug, Clone)]
pub struct QueueRead {
    /// The queue as of its last commit, with its progress between milestones.
    pub cached: Arc<CachedQueue>,
    /// The time to which it is to be advanced for whoever asks.
    pub now: Timestamp,
    /// What holds on the way there.
    pub rules: Rules,
    /// What it took.
    pub report: ReadReport,
}

impl QueueRead {
    /// The queue as of now, the way readers see it.
    pub fn view(&self) -> QueueView {
        QueueView::new(&self.cached.queue, self.now, self.rules)
    }

    /// The queue as of now.
    pub fn advanced(&self) -> Queue {
        let mut queue = self.cached.queue.clone();
        queue.advance(self.now, self.rules, &mut Vec::new());
        queue
    }
}

/// Rows that were read.
#[derive(Debug, Clone)]
pub struct PageRead<T> {
    /// The rows, and where the next ones begin.
    pub page: Page<T>,
    /// What it took.
    pub report: ReadReport,
}

impl Service {
    /// A player's queue, at least of the version `at_least`.
    ///
    /// # Errors
    /// [`ReadError`] where there is none, or none so new, or it cannot be read.
    pub async fn read_queue(
        &self,
        player_id: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<QueueRead, ReadError> {
        let (read, report) = self.look_up(player_id, at_least, invocation).await;
        self.performance.read(&report);
        let (cached, now) = read?;
        Ok(QueueRead { cached, now, rules: self.settings.rules, report })
    }

    async fn look_up(
        &self,
        player_id: &PlayerId,
        at_least: u64,
        invocation: &Invocation,
    ) -> (Result<(Arc<CachedQueue>, Timestamp), ReadError>, ReadReport) {
        let (started, now, deadline) = (Instant::now(), self.now(), self.deadline(invocation));
        let mut figures = Figures::default();
        let wanted = [Wanted { player_id: player_id.clone(), progress: true }];
        let lookup = within(deadline, 1, self.cache.get_at_least(player_id, at_least, now)).await;
        let found = lookup.hits.first().and_then(Option::as_ref).map(|hit| hit.tier);
        let hit = lookup.hits.into_iter().next().flatten();

        let mut bases = vec![None];
        let (missing, partial): (&[usize], &[usize]) = match &hit {
            None => (&[0], &[]),
            Some(Hit { held: CachedCopy { cached, .. }, .. }) if cached.progress_known => (&[], &[]),
            Some(Hit { held: CachedCopy { cached, .. }, .. }) if !cached.queue.has_partial_progress() => (&[], &[]),
            // The table is in trouble: what milestones tell has to do.
            Some(_) if self.cache.emergency(now).is_some() => (&[], &[]),
            Some(_) => (&[], &[0]),
        };
        let progress_was_missing = !partial.is_empty();
        if let Some(hit) = hit {
            let CachedCopy { cached, since } = hit.held;
            bases[0] = Some(Ok(Base { cached: Some(cached), since, from_table: false, misplaced: false }));
        }
        if !missing.is_empty() || !partial.is_empty() {
            self.load_missing(&wanted, missing, partial, &mut bases, now, deadline, &mut figures).await;
        }
        let mut base = bases.pop().flatten().unwrap_or_else(|| Err(Failure::deadline()));
        // Somebody else was loading it, and may have begun before the version was committed.
        if base.as_ref().is_ok_and(|base| !base.from_table && version(base) < at_least) {
            let (mut loaded, _) = self.load_from_table(&wanted, &[], &[], now, deadline, &mut figures).await;
            base = loaded.pop().unwrap_or_else(|| Err(Failure::deadline()));
        }
        // What the table said is kept. A copy that only progress was added to is no newer than it was.
        let mut cache_errors = lookup.remote_errors;
        if let Ok(Base { cached: Some(cached), since, from_table, .. }) = &base
            && (*from_table || progress_was_missing)
        {
            let held = CachedCopy { cached: Arc::clone(cached), since: *since };
            cache_errors += timeout_at(deadline, self.cache.put(&[held], now)).await.unwrap_or(1);
        }
        let report = ReadReport {
            processing_time: started.elapsed(),
            found,
            lookups: 1,
            cache_errors,
            calls: figures.loads + figures.writes.calls,
        };
        let read = match base {
            Err(failure) => Err(ReadError::Failed(failure)),
            Ok(Base { cached: None, .. }) => Err(ReadError::UnknownPlayer),
            Ok(base) if version(&base) < at_least => {
                Err(ReadError::NotReached { wanted: at_least, newest: version(&base) })
            }
            Ok(Base { cached: Some(cached), .. }) => Ok((cached, now)),
        };
        (read, report)
    }

    /// A player's finished tasks, newest first, after the sort key `after`.
    ///
    /// # Errors
    /// [`ReadError`] where there is no such player, its queue is of an older version than `at_least`, or
    /// the rows cannot be read.
    pub async fn read_history(
        &self,
        player_id: &PlayerId,
        limit: usize,
        after: Option<&str>,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<PageRead<HistoryRecord>, ReadError> {
        let rows = self.store.history(player_id, limit, after);
        self.read_page(player_id, after.is_some(), at_least, invocation, rows).await
    }

    /// A player's refused commands, newest first, after the sort key `after`.
    ///
    /// # Errors
    /// [`ReadError`] likewise.
    pub async fn read_rejections(
        &self,
        player_id: &PlayerId,
        limit: usize,
        after: Option<&str>,
        at_least: u64,
        invocation: &Invocation,
    ) -> Result<PageRead<RejectionRecord>, ReadError> {
        let rows = self.store.rejections(player_id.as_str(), limit, after);
        self.read_page(player_id, after.is_some(), at_least, invocation, rows).await
    }

    async fn read_page<T>(
        &self,
        player_id: &PlayerId,
        continued: bool,
        at_least: u64,
        invocation: &Invocation,
        rows: impl Future<Output = Result<Page<T>, StoreError>>,
    ) -> Result<PageRead<T>, ReadError> {
        let (started, deadline) = (Instant::now(), self.deadline(invocation));
        let mut report =
            ReadReport { processing_time: Duration::ZERO, found: None, lookups: 0, cache_errors: 0, calls: 1 };
        // Records are written before a command is answered, so whoever sees its version sees its records.
        if at_least > 0 {
            let queue = self.read_queue(player_id, at_least, invocation).await?;
            report = ReadReport { calls: queue.report.calls + 1, ..queue.report };
        }
        let page = timeout_at(deadline, rows).await.map_err(|_| ReadError::Failed(Failure::deadline()))??;
        if page.items.is_empty() && !continued && at_least == 0 {
            // Nothing recorded of a player is no error, no player is one.
            let queue = self.read_queue(player_id, 0, invocation).await?;
            report = ReadReport { calls: queue.report.calls + 1, ..queue.report };
        }
        report.processing_time = started.elapsed();
        Ok(PageRead { page, report })
    }
}

fn version(base: &Base) -> u64 {
    base.cached.as_ref().map_or(0, |cached| cached.queue.version)
}
