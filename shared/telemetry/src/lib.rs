//! What operators see of Millrace: metrics, thresholds, estimated costs, logs, traces.
//!
//! | module | contents |
//! |---|---|
//! | [`metrics`] | the list of metrics |
//! | [`thresholds`] | the list of thresholds on these metrics, and their limits |
//! | [`catalog`] | both lists as `metrics.json`, which the infrastructure reads |
//! | [`costs`] | what an invocation costs, by `prices.json` |
//! | [`record`] | what an invocation did |
//! | [`emf`] | records as lines of the embedded metric format |
//! | [`logs`] | logs in JSON, one line each, panics included |
//! | [`log_settings`] | what is logged |
//! | [`trace`] | spans of invocations, exported to X-Ray or over OTLP |
//!
//! The crate knows nothing about queues: all other crates but the domain may use it.

pub mod catalog;
pub mod costs;
pub mod emf;
pub mod log_settings;
pub mod logs;
pub mod metrics;
pub mod record;
pub mod thresholds;
pub mod trace;

pub use costs::Usage;
pub use log_settings::LogSettings;
pub use metrics::Metric;
pub use record::{Breakdown, InvocationRecord, Record};
pub use thresholds::{Limits, THRESHOLDS, Threshold};
