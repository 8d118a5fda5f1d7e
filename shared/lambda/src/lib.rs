//! Everything a function needs around the pipeline: settings, start-up, logs, clock, the Lambda
//! Runtime API.
//!
//! | module | contents |
//! |---|---|
//! | [`function`] | the start-up that all functions share, from settings to the handler |
//! | [`settings`] | the settings, read once from the environment |
//! | [`back_ends`] | opens the store, the cache tiers and the queue for ticks |
//! | [`embedded_store`] | opens the embedded store, in builds that have it |
//! | [`compose`] | from settings and open back ends to the pipeline |
//! | [`runtime`] | invocations as raw bytes, answers, graceful shutdown |
//! | [`start_error`] | why a function does not start |
//! | [`elasticache`] | IAM tokens for ElastiCache |
//! | [`ticks`] | the queue for ticks: SQS |
//! | [`event_bus`], [`event_queue`] | where events are published: EventBridge and SQS |
//! | [`queue_depth`] | the depth of queues, for operators |
//! | `opened` | what the start-up has opened |
//! | `sqs_queue`, `service_client` | what these share: batches of messages, clients, errors |
//! | [`clock`] | the system clock, or a clock that a file moves |
//! | [`invocation_metrics`] | the line of metrics of each invocation |
//! | [`traces`], `otlp_client` | opens what traces are sent to; the HTTP client for it |
//! | [`resident_memory`] | the resident memory of the process |
//!
//! A function implements [`Function`], and its `main` calls [`run`]. `examples/echo.rs` is the
//! smallest one.
//!
//! The feature `embedded-store` (on by default) compiles SQLite. Shipped builds leave it out.
#![deny(missing_docs)]

pub mod back_ends;
pub mod clock;
pub mod compose;
pub mod elasticache;
pub mod embedded_store;
pub mod event_bus;
pub mod event_queue;
pub mod function;
pub mod invocation_metrics;
mod opened;
mod otlp_client;
pub mod queue_depth;
pub mod resident_memory;
pub mod runtime;
mod service_client;
pub mod settings;
mod sqs_queue;
pub mod start_error;
pub mod ticks;
pub mod traces;

pub use clock::SystemClock;
pub use function::{App, Function, run};
pub use runtime::FunctionError;
pub use settings::{Settings, SettingsError};
pub use start_error::StartError;
