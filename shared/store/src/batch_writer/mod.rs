//! The write batcher: records by table and priority, over any [`RecordStore`].
//!
//! | module | what lives in it |
//! |---|---|
//! | `plan` | from rows to calls: one row a key, grouped, split |
//! | `drive` | the scheduler: starts calls by priority, sends rows again |
//! | `round` | lingering: writes of the same moment share calls |
//! | `tally` | what has become of each row of a write |
//! | `statistics` | what a write cost |
//!
//! Each row ends once: it is in the store, or its origins come back with the reason.
//!
//! - Rows of one key in one write become one row, the last. Rows of one key in *concurrent* writes
//!   have no order among them.
//! - Rows that the store did not process, and calls that failed for a passing reason, are sent again
//!   with jittered backoff until the deadline. The rows of a group that wait do so together.
//! - A call refused for another reason is halved until the bad row stands alone. What concerns the
//!   whole table (it does not exist, access is denied) fails all its rows at once.
//! - A row left over at the deadline may have been put all the same: its answer had not come. Keys are
//!   deterministic, so putting it again changes nothing.
//! - Nothing is spawned: all work is done while a caller waits in [`BatchWriter::write`], and what it
//!   began is broken off where its future is dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use millrace_domain::Record;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    error::StoreError,
    port::{MAX_BATCH_ITEMS, RecordStore},
};

mod drive;
mod plan;
mod round;
mod statistics;
mod tally;

use drive::{Backoff, Ledger, Schedule, drive};
use plan::{Call, Filler, Group, Limits, plan};
use round::Lobby;
pub use statistics::{Count, WriteStatistics};
use tally::{Outcome, Tally};

/// A base of zero would send rows again without a pause.
const MIN_BACKOFF: Duration = Duration::from_millis(1);

/// How rows are batched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWriterSettings {
    /// Most rows of one call: 1 to [`MAX_BATCH_ITEMS`]; what lies outside is moved to the nearer end.
    pub max_items: usize,
    /// Most bytes of one call, by [`Record::size`]; a larger row goes in a call of its own.
    pub max_bytes: usize,
    /// How long rows wait for those of other writes, so that they share calls; zero: not at all.
    pub linger: Duration,
    /// Most calls at once, over all writes; at least 1.
    pub concurrency: usize,
    /// Upper end of the first wait before rows are sent again, at least 1 ms; it doubles each time.
    pub backoff_base: Duration,
    /// Upper end of every wait, at least 1 ms.
    pub backoff_cap: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for BatchWriterSettings {
    fn default() -> Self {
        Self {
            max_items: MAX_BATCH_ITEMS,
            max_bytes: 16 * 1024 * 1024,
            linger: Duration::ZERO,
            concurrency: 5,
            backoff_base: Duration::from_millis(25),
            backoff_cap: Duration::from_secs(1),
            seed: 0,
        }
    }
}

/// A record to be written, and where it came from.
#[derive(Debug, Clone)]
pub struct Row<O> {
    /// The record.
    pub record: Record,
    /// Where it came from, in the caller's terms; comes back if the row is not written.
    pub origin: O,
    /// WriteResponse in a call of its own: batching is switched off for its player.
    pub alone: bool,
}

/// An origin whose row was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover<O> {
    /// Where the row came from.
    pub origin: O,
    /// Why it was not written: at the deadline the error of its last attempt, or
    /// [`StoreError::TimedOut`] where no attempt was answered.
    pub error: StoreError,
}

/// The answer to [`BatchWriter::write`].
#[derive(Debug)]
pub struct WriteResponse<O> {
    /// One for each origin of each row that was not written, in the order of the rows given.
    pub leftovers: Vec<Leftover<O>>,
    /// What it cost.
    pub statistics: WriteStatistics,
}

/// Groups records into few calls. One serves a whole process.
pub struct BatchWriter {
    core: Arc<Core>,
    linger: Duration,
    lobby: Lobby,
}

/// What every write needs.
struct Core {
    store: Arc<dyn RecordStore>,
    semaphore: Semaphore,
    limits: Limits,
    backoff_base: Duration,
    backoff_cap: Duration,
    seed: AtomicU64,
}

impl Core {
    /// An empty schedule with a jitter of its own.
    fn schedule<T>(&self) -> Schedule<T> {
        // Steps of the golden ratio (Weyl sequence): no two seeds of one process are near each other.
        let seed = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let backoff = Backoff { base: self.backoff_base, cap: self.backoff_cap, rng: Rng::with_seed(seed) };
        Schedule::new(self.limits, backoff)
    }
}

impl BatchWriter {
    /// A batcher over a store.
    pub fn new(store: Arc<dyn RecordStore>, settings: BatchWriterSettings) -> Self {
        let core = Core {
            store,
            semaphore: Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            limits: Limits { items: settings.max_items.clamp(1, MAX_BATCH_ITEMS), bytes: settings.max_bytes },
            backoff_base: settings.backoff_base.max(MIN_BACKOFF),
            backoff_cap: settings.backoff_cap.max(MIN_BACKOFF),
            seed: AtomicU64::new(settings.seed),
        };
        Self { core: Arc::new(core), linger: settings.linger, lobby: Lobby::default() }
    }

    /// Writes rows, and answers at the deadline at the latest: each origin ends as written, or as one
    /// of the leftovers. Dropping the future breaks off its rows, and no others.
    ///
    /// Where writes share calls ([`BatchWriterSettings::linger`]), a call, and a row that several of them
    /// want, count in the statistics of one of them: the sum over all writes is exact.
    pub async fn write<O: Send>(&self, rows: Vec<Row<O>>, deadline: Instant) -> WriteResponse<O> {
        if rows.is_empty() {
            return WriteResponse { leftovers: Vec::new(), statistics: WriteStatistics::default() };
        }
        let started = Instant::now();
        let plan = plan(rows, self.core.limits);
        let tally = if self.linger.is_zero() {
            self.write_at_once(plan.calls, plan.slots, deadline).await
        } else {
            self.lobby.write(&self.core, self.linger, plan.calls, plan.slots, deadline).await
        };
        let millis = deadline.saturating_duration_since(started).as_millis() as u64;
        let leftover = |(slot, origin)| {
            let error = match &tally.outcomes[slot as usize] {
                Outcome::WriteResponse => return None,
                Outcome::Failed(error) | Outcome::Open(Some(error)) => error.clone(),
                Outcome::Open(None) => StoreError::TimedOut { millis },
            };
            Some(Leftover { origin, error })
        };
        WriteResponse {
            leftovers: plan.origins.into_iter().filter_map(leftover).collect(),
            statistics: tally.statistics,
        }
    }

    async fn write_at_once(&self, calls: Filler<u32>, slots: usize, deadline: Instant) -> Tally {
        let mut schedule = self.core.schedule();
        calls.finish().for_each(|call| schedule.add(call));
        let mut ledger = OwnLedger { tally: Tally::new(slots), deadline };
        drive(&self.core, &mut ledger, schedule).await;
        ledger.tally
    }
}

/// The account of a write that shares nothing. A row's tag is its slot.
struct OwnLedger {
    tally: Tally,
    deadline: Instant,
}

impl Ledger for OwnLedger {
    type Tag = u32;

    fn intake(&mut self, _now: Instant, _schedule: &mut Schedule<u32>) -> Option<Instant> {
        None
    }

    fn changed(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn prune(&self, _call: &mut Call<u32>) {}

    fn sent(&mut self, call: &Call<u32>) {
        self.tally.count(call.group, 0, 1);
        if call.again {
            self.tally.statistics.retried_items += call.len() as u64;
        }
    }

    fn refused(&mut self, slot: &u32, error: &StoreError) {
        self.tally.refused(*slot, error);
    }

    fn written(&mut self, group: Group, slots: Vec<u32>) {
        self.tally.count(group, slots.len(), 0);
        slots.into_iter().for_each(|slot| self.tally.settle(slot, Ok(())));
    }

    fn failed(&mut self, slot: u32, error: StoreError) {
        self.tally.settle(slot, Err(error));
    }
}
