//! Figures of the performance history that are not in the file yet.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use millrace_performance::{Figures, Minute};

/// Figures that are not in the file yet.
#[derive(Debug, Default)]
pub(super) struct UnsentFigures(Mutex<BTreeMap<Minute, Figures>>);

impl UnsentFigures {
    pub(super) fn add(&self, minute: Minute, figures: &Figures) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(minute).or_default().merge(figures);
    }

    pub(super) fn take(&self) -> BTreeMap<Minute, Figures> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
