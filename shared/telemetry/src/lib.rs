//! What operators see of Millrace: metrics, thresholds, estimated costs.
//!
//! | module | contents |
//! |---|---|
//! | [`metrics`] | the list of metrics |
//! | [`thresholds`] | the list of thresholds on these metrics, and their limits |
//! | [`catalog`] | both lists as `metrics.json`, which the infrastructure reads |
//!
//! The crate knows nothing about queues: all other crates but the domain and the stores may use it.

pub mod catalog;
pub mod metrics;
pub mod thresholds;

pub use metrics::Metric;
pub use thresholds::{Limits, THRESHOLDS, Threshold};
