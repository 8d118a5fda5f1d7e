//! The performance history: what the functions did in each minute of the last day.
//!
//! | module | contents |
//! |---|---|
//! | [`minute`] | minutes of the server's clock |
//! | [`figures`] | the figures of a minute: counters and distributions, as sums by slot |
//! | [`sketch`] | distributions in buckets, which are merged by adding |
//! | [`summary`] | figures as readers see them |
//! | [`history`] | a span of time as points and totals |
//!
//! The size of a minute is bounded whatever the traffic, and percentiles of merged distributions
//! are within 2 % of the exact ones.
#![deny(missing_docs)]

pub mod figures;
pub mod history;
pub mod minute;
pub mod sketch;
pub mod summary;

pub use figures::{Counter, Figures, Kind, Measurement};
pub use history::{History, Source, Span};
pub use minute::Minute;
pub use sketch::{Distribution, Sketch};
pub use summary::Summary;
