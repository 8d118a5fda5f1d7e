//! What a function needs around the service: settings, start-up, logs, clock, the Lambda Runtime API.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`settings`] | what the environment may say, read once at the start |
//! | [`start`] | from settings to open back ends; what a failing start does |
//! | [`compose`] | from settings and back ends to the service |
//! | [`elasticache`] | IAM tokens for ElastiCache |
//! | [`logs`] | JSON logs, one event a line, panics among them |
//! | [`memory`] | the resident size of the process |
//! | [`clock`] | the time: the system's clock, or one that a file moves |
//! | [`ticks`] | the queue that ticks go to: SQS |
//! | [`lambda`] | invocations as raw bytes, answers, graceful shutdown |
//!
//! A function's `main` goes through them in this order: read the settings, start the logs, open the
//! back ends, close them on a signal, run the handler. `examples/echo.rs` is the smallest one.
#![deny(missing_docs)]

pub mod clock;
pub mod compose;
pub mod elasticache;
pub mod logs;
pub mod resident_memory;
pub mod runtime;
pub mod settings;
pub mod start;
pub mod ticks;

pub use clock::SystemClock;
pub use runtime::{FunctionError, Invocation};
pub use settings::{Settings, SettingsError};
pub use start::StartError;
