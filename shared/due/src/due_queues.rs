//! What is due in all shards of the due index, merged: the oldest first.

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use millrace_domain::Timestamp;
use millrace_pipeline::Failure;
use millrace_store::{DUE_SHARDS, DuePage, DueQueue, Store, StoreError};
use millrace_telemetry::trace::TARGET;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::instrument;

/// Rows of one page. In DynamoDB that is one call, far below the size that a call may return.
pub const PAGE: usize = 1_000;

/// A shard of the index that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardError {
    /// The shard.
    pub shard: u8,
    /// Why.
    #[serde(flatten)]
    pub failure: Failure,
}

/// The queues that are due until a moment. It holds one page of each shard.
pub struct DueQueues<'a> {
    store: &'a dyn Store,
    until: Timestamp,
    deadline: Instant,
    shards: Vec<Shard>,
    calls: u64,
}

/// One shard of the index.
#[derive(Default)]
struct Shard {
    number: u8,
    /// Rows that were read and not taken yet.
    waiting: VecDeque<DueQueue>,
    /// The last row read.
    after: Option<DueQueue>,
    end: End,
}

/// What follows the rows that were read.
#[derive(Debug, Default, PartialEq)]
enum End {
    /// Pages that were not read yet.
    #[default]
    Open,
    /// Nothing.
    Reached,
    /// Unknown: the deadline cut off the read.
    Cut,
    /// Unknown: the read failed.
    Failed(Failure),
}

impl<'a> DueQueues<'a> {
    /// The queues with something due at or before `until`. Nothing is read yet.
    pub fn new(store: &'a dyn Store, until: Timestamp, deadline: Instant) -> Self {
        let shards = (0..DUE_SHARDS).map(|number| Shard { number, ..Shard::default() }).collect();
        Self { store, until, deadline, shards, calls: 0 }
    }

    /// The next queues, at most `limit`, the oldest first; fewer only at the end. A shard that
    /// fails ends there; the other shards go on.
    #[instrument(target = TARGET, name = "find_due", level = "info", skip_all)]
    pub async fn take(&mut self, limit: usize) -> Vec<DueQueue> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            // The oldest is known once every shard shows its next row.
            self.refill().await;
            let first = |shard: &Shard| shard.waiting.front().map(|due| due.due_at);
            let oldest =
                self.shards.iter_mut().filter(|shard| !shard.waiting.is_empty()).min_by_key(|shard| first(shard));
            let Some(shard) = oldest else { break };
            taken.extend(shard.waiting.pop_front());
        }
        taken
    }

    /// Reads the next pages of all shards that have nothing waiting, side by side.
    async fn refill(&mut self) {
        let empty: Vec<usize> = (0..self.shards.len()).filter(|at| self.shards[*at].needs_page()).collect();
        if empty.is_empty() {
            return;
        }
        let (store, until, deadline) = (self.store, self.until, self.deadline);
        let reads: Vec<_> = empty
            .into_iter()
            .map(|at| {
                let (number, after) = (self.shards[at].number, self.shards[at].after.clone());
                async move { (at, timeout_at(deadline, store.due(number, until, after.as_ref(), PAGE)).await) }
            })
            .collect();
        let pages: Vec<_> = stream::iter(reads).buffer_unordered(usize::from(DUE_SHARDS)).collect().await;
        for (at, page) in pages {
            let shard = &mut self.shards[at];
            match page {
                // The call was sent, and its answer came too late.
                Err(_) => {
                    self.calls += 1;
                    shard.end = End::Cut;
                }
                Ok(DuePage { queues, more, calls }) => {
                    self.calls += calls;
                    shard.take_page(queues, more);
                }
            }
        }
    }

    /// Round trips made.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The shards that could not be read to their end: those that failed, and those whose page the
    /// deadline cut off or kept from being asked for at all.
    pub fn errors(&self) -> Vec<ShardError> {
        let failed = self.shards.iter().filter_map(|shard| {
            let failure = match &shard.end {
                End::Failed(failure) => failure.clone(),
                End::Cut => Failure::deadline(),
                End::Open if shard.after.is_none() => Failure::deadline(),
                End::Open | End::Reached => return None,
            };
            Some(ShardError { shard: shard.number, failure })
        });
        failed.collect()
    }

    /// Everything due before this was taken, in all shards; none where some shard was not read at
    /// all.
    pub fn taken_before(&self) -> Option<Timestamp> {
        let of_shard = |shard: &Shard| match (shard.waiting.front(), &shard.end) {
            (Some(next), _) => Some(next.due_at),
            (None, End::Reached) => Some(self.until),
            // The next row, if there is one, is behind the last row read.
            (None, _) => shard.after.as_ref().map(|last| last.due_at),
        };
        self.shards.iter().map(of_shard).min().flatten()
    }

    /// Whether some shard that did not fail may have rows that were not taken.
    pub fn is_cut(&self) -> bool {
        self.shards.iter().any(|shard| !shard.waiting.is_empty() || matches!(shard.end, End::Open | End::Cut))
    }
}

impl Shard {
    fn needs_page(&self) -> bool {
        self.waiting.is_empty() && self.end == End::Open
    }

    fn take_page(&mut self, queues: Result<Vec<DueQueue>, StoreError>, more: bool) {
        match queues {
            Ok(queues) => {
                // A page without rows does not say where the next one begins.
                self.end = if more && !queues.is_empty() { End::Open } else { End::Reached };
                self.after = queues.last().cloned().or(self.after.take());
                self.waiting = queues.into();
            }
            Err(error) => {
                let failure = Failure::from(error);
                let reason = failure.reason.code();
                let detail = &failure.detail;
                tracing::warn!(shard = self.number, reason, %detail, "a shard of the due index cannot be read");
                self.end = End::Failed(failure);
            }
        }
    }
}
