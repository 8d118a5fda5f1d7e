//! The port of what keeps the history.

use std::{collections::BTreeMap, ops::Range};

use async_trait::async_trait;

use crate::{figures::Figures, history::Source, minute::Minute};

/// Why the history cannot be read or written at the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the performance history is unavailable: {0}")]
pub struct HistoryError(pub String);

/// What is recorded of some minutes, and of thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The figures by minute; minutes without any are left out.
    pub figures: BTreeMap<Minute, Figures>,
    /// The stored states by the id of the threshold.
    pub states: BTreeMap<&'static str, String>,
}

/// Keeps the figures of a day and the states of thresholds. All processes share them, unless the
/// source is [`Source::Process`].
///
/// Figures may be lost, or rarely counted twice, when a connection breaks.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Where the figures are kept.
    fn source(&self) -> Source;

    /// Adds figures to a minute. They are sent with the next call that is made anyway, or by
    /// [`end_invocation`](Self::end_invocation) or [`flush`](Self::flush).
    fn add(&self, minute: Minute, figures: &Figures);

    /// Writes what would otherwise wait for too long. It makes no round trip to a remote store.
    async fn end_invocation(&self) {}

    /// Writes what was added and not sent yet: one round trip, or none if there is nothing.
    ///
    /// # Errors
    /// [`HistoryError`]; the figures may be lost.
    async fn flush(&self) -> Result<(), HistoryError>;

    /// Reads minutes, and the states of these thresholds, including what was added by this process.
    ///
    /// # Errors
    /// [`HistoryError`] if they cannot be read.
    async fn read(&self, minutes: Range<Minute>, thresholds: &[&'static str]) -> Result<Recorded, HistoryError>;

    /// Replaces the state of a threshold if it is the known one; none: if there is no state.
    /// Returns whether it was replaced.
    ///
    /// # Errors
    /// [`HistoryError`] if that is unknown.
    async fn replace_state(&self, threshold: &str, known: Option<&str>, new: &str) -> Result<bool, HistoryError>;

    /// Tells subscribers about a change of a threshold, if the store has any.
    ///
    /// # Errors
    /// [`HistoryError`] if nothing was sent.
    async fn announce(&self, message: &str) -> Result<(), HistoryError>;
}
