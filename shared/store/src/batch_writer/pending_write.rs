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
enum Outcome {
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

impl State {
    /// Sets an outcome that is open; returns whether it was the last one.
    fn decide(&mut self, position: usize, decided: Outcome) -> bool {
        match self.outcomes.get_mut(position) {
            Some(outcome @ Outcome::Open(_)) => {
                *outcome = decided;
                self.open -= 1;
                self.open == 0
            }
            _ => false,
        }
    }
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

    pub(super) fn count_call(&self, group: CallGroup) {
        self.state().statistics.count(group.priority(), group.table(), Count { items: 0, calls: 1 });
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

    /// Whether the caller of the write still waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.write.strong_count() > 0
    }

    /// The write, unless its caller has stopped waiting.
    pub(super) fn write(&self) -> Option<Arc<PendingWrite>> {
        self.write.upgrade()
    }

    /// Remembers the error of an attempt that will be repeated.
    pub(super) fn attempt_failed(&self, error: &StoreError) {
        let Some(write) = self.write() else { return };
        if let Some(outcome @ Outcome::Open(_)) = write.state().outcomes.get_mut(self.position) {
            *outcome = Outcome::Open(Some(error.clone()));
        }
    }

    /// Reports that the row is written. Counts it in the statistics of the write if `count_in` is
    /// given. Returns whether the write still waits.
    pub(super) fn written(&self, count_in: Option<CallGroup>) -> bool {
        let Some(write) = self.write() else { return false };
        let mut state = write.state();
        if let Some(group) = count_in {
            state.statistics.count(group.priority(), group.table(), Count { items: 1, calls: 0 });
        }
        if state.decide(self.position, Outcome::Written) {
            write.finished.notify_one();
        }
        true
    }

    /// Reports that the row is given up.
    pub(super) fn failed(&self, error: &StoreError) {
        let Some(write) = self.write() else { return };
        if write.state().decide(self.position, Outcome::Failed(error.clone())) {
            write.finished.notify_one();
        }
    }
}
