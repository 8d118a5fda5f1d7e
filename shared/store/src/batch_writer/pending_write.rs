//! A write in progress: the outcome of each of its records, and what it cost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::{
    group::CallGroup,
    statistics::{Count, WriteStatistics},
};
use crate::error::StoreError;

/// The outcome of a record.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Not decided yet, with the error of the last attempt.
    Open(Option<StoreError>),
    Written,
    Failed(StoreError),
}

/// One call of [`BatchWriter::write`](super::BatchWriter::write). The caller holds the only
/// permanent reference: when its future is dropped, the rows of the write are no longer needed.
pub(super) struct PendingWrite {
    state: Mutex<State>,
    finished: Notify,
}

struct State {
    /// By the position of the record in the write.
    outcomes: Vec<Outcome>,
    /// The number of outcomes that are open.
    open: usize,
    statistics: WriteStatistics,
}

impl PendingWrite {
    pub(super) fn new(records: usize) -> Self {
        let state = State {
            outcomes: vec![Outcome::Open(None); records],
            open: records,
            statistics: WriteStatistics::default(),
        };
        Self { state: Mutex::new(state), finished: Notify::new() }
    }

    /// Waits until the outcomes of all records are known.
    pub(super) async fn finished(&self) {
        self.finished.notified().await;
    }

    /// Ends the write. Returns the error of each record in order, `None` if it was written.
    /// `unanswered` is the error of records without an answered attempt.
    pub(super) fn end(&self, unanswered: &StoreError) -> (Vec<Option<StoreError>>, WriteStatistics) {
        let mut state = self.state();
        let errors = std::mem::take(&mut state.outcomes).into_iter().map(|outcome| match outcome {
            Outcome::Written => None,
            Outcome::Failed(error) | Outcome::Open(Some(error)) => Some(error),
            Outcome::Open(None) => Some(unanswered.clone()),
        });
        (errors.collect(), std::mem::take(&mut state.statistics))
    }

    /// Sets the outcome of a record that is not decided yet.
    fn set(&self, position: usize, new: Outcome) {
        let mut state = self.state();
        let Some(outcome @ Outcome::Open(_)) = state.outcomes.get_mut(position) else { return };
        let is_decided = !matches!(new, Outcome::Open(_));
        *outcome = new;
        if is_decided {
            state.open -= 1;
            if state.open == 0 {
                self.finished.notify_one();
            }
        }
    }

    pub(super) fn count(&self, group: CallGroup, count: Count) {
        self.state().statistics.count(group.priority(), group.table(), count);
    }

    pub(super) fn count_retried_item(&self) {
        self.state().statistics.retried_items += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No other code runs while the guard is held, so a poisoned state is complete.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record of a write that waits for the outcome of a row.
#[derive(Debug)]
pub(super) struct Waiter {
    write: Weak<PendingWrite>,
    position: usize,
}

impl Waiter {
    pub(super) fn new(write: &Arc<PendingWrite>, position: usize) -> Self {
        Self { write: Arc::downgrade(write), position }
    }

    /// The write, unless its caller has stopped waiting.
    pub(super) fn write(&self) -> Option<Arc<PendingWrite>> {
        self.write.upgrade()
    }

    pub(super) fn report(&self, outcome: Outcome) {
        if let Some(write) = self.write() {
            write.set(self.position, outcome);
        }
    }
}
