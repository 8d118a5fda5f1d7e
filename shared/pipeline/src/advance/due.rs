//! What is due in all shards of the index, merged: the oldest first, whichever shard it stands in.

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use millrace_domain::Timestamp;
use millrace_store::{DUE_SHARDS, DuePage, DueQueue, Store, StoreError};
use tokio::time::{Instant, timeout_at};

use super::answer::ShardError;

/// Rows of one page: in DynamoDB one call, far below what a call may return.
pub const PAGE: usize = 1_000;

/// Why a shard was not read that nothing else is wrong with.
const NO_TIME: &str = "no time was left before the deadline";

/// The queues that are due until a moment. Holds a page of each shard.
pub struct DueQueues<'a> {
    store: &'a dyn Store,
    until: Timestamp,
    deadline: Instant,
    shards: Vec<Shard>,
    calls: u64,
}

/// One shard on the way to its end.
#[derive(Default)]
struct Shard {
    number: u8,
    /// Read and not taken yet.
    waiting: VecDeque<DueQueue>,
    /// The last row read.
    after: Option<DueQueue>,
    end: End,
}

/// What follows the rows that are waiting.
#[derive(Debug, Default, PartialEq)]
enum End {
    /// A page that was not read yet.
    #[default]
    Open,
    /// Nothing.
    Reached,
    /// It is unknown: no time was left.
    Cut,
    /// It is unknown: it could not be read.
    Failed(StoreError),
}

impl<'a> DueQueues<'a> {
    /// The queues with something due at or before `until`. Nothing is read yet.
    pub fn new(store: &'a dyn Store, until: Timestamp, deadline: Instant) -> Self {
        let shards = (0..DUE_SHARDS).map(|number| Shard { number, ..Shard::default() }).collect();
        Self { store, until, deadline, shards, calls: 0 }
    }

    /// The next ones, at most `limit`, oldest first; fewer only at the end. A shard that fails ends there
    /// and holds up no other.
    pub async fn take(&mut self, limit: usize) -> Vec<DueQueue> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            // Who comes next is known once every shard shows its next one.
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
                // It was sent, and its answer was not waited for.
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

    /// The shards that could not be read to their end: those that failed, and those whose page the deadline
    /// cut off or kept from being asked for at all.
    pub fn errors(&self) -> Vec<ShardError> {
        let failed = self.shards.iter().filter_map(|shard| {
            let (error, detail) = match &shard.end {
                End::Failed(error) => (error.reason().code(), error.to_string()),
                End::Cut => ("deadline", NO_TIME.to_owned()),
                End::Open if shard.after.is_none() => ("deadline", NO_TIME.to_owned()),
                End::Open | End::Reached => return None,
            };
            Some(ShardError { shard: shard.number, error, detail })
        });
        failed.collect()
    }

    /// Everything due before this was taken, in all shards. None where some shard was not read at all.
    pub fn taken_before(&self) -> Option<Timestamp> {
        let of_shard = |shard: &Shard| match (shard.waiting.front(), &shard.end) {
            (Some(next), _) => Some(next.due_at),
            (None, End::Reached) => Some(self.until),
            // The next one, if there is any, stands behind the last one read.
            (None, _) => shard.after.as_ref().map(|last| last.due_at),
        };
        self.shards.iter().map(of_shard).min().flatten()
    }

    /// Whether something may be left that was not taken, failed shards aside.
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
                // A page without rows says nothing of where the next one begins.
                self.end = if more && !queues.is_empty() { End::Open } else { End::Reached };
                self.after = queues.last().cloned().or(self.after.take());
                self.waiting = queues.into();
            }
            Err(error) => {
                tracing::warn!(shard = self.number, error = error.reason().code(), detail = %error, "a shard of what is due cannot be read");
                self.end = End::Failed(error);
            }
        }
    }
}
