//! The history in the memory of a process.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    figures::Figures,
    history::Source,
    minute::{KEPT_MINUTES, Minute},
    port::{HistoryError, HistoryStore, Recorded},
};

/// The history in the memory of a process: the last day of what it did.
#[derive(Debug)]
pub struct ProcessHistory {
    source: Source,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    figures: BTreeMap<Minute, Figures>,
    states: BTreeMap<String, String>,
    announced: Vec<String>,
}

/// The most announcements that are remembered.
const MAX_ANNOUNCED: usize = 100;

impl Default for ProcessHistory {
    fn default() -> Self {
        Self { source: Source::Process, state: Mutex::default() }
    }
}

impl ProcessHistory {
    /// A history that simulated processes share.
    pub fn shared() -> Self {
        Self { source: Source::Store, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last messages that were announced, oldest first.
    pub fn announced(&self) -> Vec<String> {
        self.state().announced.clone()
    }
}

#[async_trait]
impl HistoryStore for ProcessHistory {
    fn source(&self) -> Source {
        self.source
    }

    fn add(&self, minute: Minute, figures: &Figures) {
        let mut state = self.state();
        state.figures.entry(minute).or_default().merge(figures);
        while state.figures.len() as u64 > KEPT_MINUTES {
            state.figures.pop_first();
        }
    }

    async fn flush(&self) -> Result<(), HistoryError> {
        Ok(())
    }

    async fn read(&self, minutes: Range<Minute>, thresholds: &[&'static str]) -> Result<Recorded, HistoryError> {
        let state = self.state();
        let figures = state.figures.range(minutes).map(|(minute, figures)| (*minute, figures.clone()));
        let states = thresholds.iter().filter_map(|id| Some((*id, state.states.get(*id)?.clone())));
        Ok(Recorded { figures: figures.collect(), states: states.collect() })
    }

    async fn replace_state(&self, threshold: &str, known: Option<&str>, new: &str) -> Result<bool, HistoryError> {
        let mut state = self.state();
        let is_known = state.states.get(threshold).map(String::as_str) == known;
        if is_known {
            state.states.insert(threshold.to_owned(), new.to_owned());
        }
        Ok(is_known)
    }

    async fn announce(&self, message: &str) -> Result<(), HistoryError> {
        let mut state = self.state();
        if state.announced.len() == MAX_ANNOUNCED {
            state.announced.remove(0);
        }
        state.announced.push(message.to_owned());
        Ok(())
    }
}
