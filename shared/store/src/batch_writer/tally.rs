//! What has become of each row of one write.

use crate::error::StoreError;

use super::{
    plan::Group,
    statistics::{Count, WriteStatistics},
};

/// What has become of a row.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Nothing yet; the passing error of the last attempt, where there was one.
    Open(Option<StoreError>),
    /// It is in the store.
    WriteResponse,
    /// It is given up.
    Failed(StoreError),
}

/// The outcomes of one write by slot, and what they cost.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) statistics: WriteStatistics,
    /// How many outcomes are open.
    open: usize,
}

impl Tally {
    pub(super) fn new(slots: usize) -> Self {
        Self { outcomes: vec![Outcome::Open(None); slots], statistics: WriteStatistics::default(), open: slots }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.open == 0
    }

    pub(super) fn count(&mut self, group: Group, items: usize, calls: u64) {
        let count = Count { items: items as u64, calls };
        self.statistics.count(group.priority(), group.table(), count);
    }

    /// Notes why an attempt came to nothing.
    pub(super) fn refused(&mut self, slot: u32, error: &StoreError) {
        if let outcome @ Outcome::Open(_) = &mut self.outcomes[slot as usize] {
            *outcome = Outcome::Open(Some(error.clone()));
        }
    }

    /// Gives up what is still open, for another reason than the deadline.
    pub(super) fn break_off(&mut self) {
        for outcome in &mut self.outcomes {
            if let Outcome::Open(error) = outcome {
                let detail = || "the call was broken off before its answer".to_owned();
                *outcome =
                    Outcome::Failed(error.take().unwrap_or_else(|| StoreError::Unavailable { detail: detail() }));
            }
        }
        self.open = 0;
    }

    pub(super) fn settle(&mut self, slot: u32, outcome: Result<(), StoreError>) {
        let entry = &mut self.outcomes[slot as usize];
        if matches!(entry, Outcome::Open(_)) {
            self.open -= 1;
        }
        *entry = outcome.map_or_else(Outcome::Failed, |()| Outcome::WriteResponse);
    }
}
