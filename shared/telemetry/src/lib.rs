//! What operators see of Millrace: traces.
//!
//! | module | contents |
//! |---|---|
//! | [`trace`] | spans of invocations, exported to X-Ray or over OTLP |
//!
//! The crate knows nothing about queues: all other crates but the domain may use it.

pub mod trace;
