//! Traces: a span for each invocation, each step of the pipeline and each call to a store.
//!
//! | module | contents |
//! |---|---|
//! | [`context`] | which trace a piece of work belongs to, in the formats of X-Ray and W3C |
//! | [`target`] | the target of all spans of traces |
//! | [`tracer`] | begins the trace of an invocation, and exports it before the answer is sent |
//! | [`layer`] | collects the spans of the invocations that are recorded |
//! | [`exporter`], [`resource`] | where traces are sent; the process that they come from |
//! | `xray`, `otlp` | segment documents for the daemon of X-Ray; requests of OTLP |
//! | `recording`, `span` | the spans of one invocation |
//! | `pause` | leaves a collector alone that does not answer |
//!
//! Code that is traced uses the macros of `tracing` with [`TARGET`]. Fields follow the semantic
//! conventions of OpenTelemetry. These fields have a meaning for the exporters:
//!
//! | field | meaning |
//! |---|---|
//! | `otel.kind` | `client` or `producer` for a call to another service |
//! | `otel.name` | the name of the span, if it is not known at compile time |
//! | `error.type` | the span failed, for this reason |
//!
//! While traces are off, no layer is installed, and the macros create nothing.

pub mod context;
pub mod exporter;
pub mod layer;
mod otlp;
mod pause;
mod recording;
pub mod resource;
mod span;
pub mod target;
pub mod tracer;
mod xray;

pub use context::TraceContext;
pub use exporter::{Exporter, OtlpTransport};
pub use layer::{TraceLayer, context_of, link};
pub use resource::Resource;
pub use target::TARGET;
pub use tracer::{InvocationTrace, Tracer};
