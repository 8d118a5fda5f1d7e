//! The performance history: what the functions did in each minute of the last day.
//!
//! | module | contents |
//! |---|---|
//! | [`minute`] | minutes of the server's clock |
//! | [`figures`] | the figures of a minute: counters and distributions, as sums by slot |
//! | [`sketch`] | distributions in buckets, which are merged by adding |
//! | [`summary`] | figures as readers see them |
//! | [`history`] | a span of time as points and totals |
//! | [`port`] | the port of what keeps the history |
//! | [`memory`] | the history in the memory of a process |
//! | `conformance` | what every history store does (feature `conformance`) |
//! | [`metric_values`] | values of metrics from the figures of a period |
//! | [`threshold_state`] | states of thresholds |
//! | [`crossing`] | the event that a threshold was crossed |
//!
//! The size of a minute is bounded whatever the traffic, and percentiles of merged distributions
//! are within 2 % of the exact ones.
#![deny(missing_docs)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod crossing;
pub mod figures;
pub mod history;
pub mod memory;
pub mod metric_values;
pub mod minute;
pub mod port;
pub mod sketch;
pub mod summary;
pub mod threshold_state;

pub use crossing::ThresholdCrossed;
pub use figures::{Counter, Figures, Kind, Measurement};
pub use history::{History, Source, Span};
pub use memory::ProcessHistory;
pub use minute::Minute;
pub use port::{HistoryError, HistoryStore, Recorded};
pub use sketch::{Distribution, Sketch};
pub use summary::Summary;
pub use threshold_state::{Publication, State, StoredState, ThresholdState};
