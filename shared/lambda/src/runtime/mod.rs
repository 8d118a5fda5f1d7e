//! The glue to AWS Lambda: invocations as raw bytes, answers, graceful shutdown.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@run`] | answers invocations until the process ends |
//! | [`invocation`] | one invocation, and why one fails |
//! | [`payload`] | hands the payload to the handler as received |
//! | `span` | the log span around an invocation |
//! | [`shutdown`] | closes what is open when the process is told to end |
//!
//! `lambda_runtime` parses a payload before it calls the handler, and fails the invocation if the
//! payload is not JSON. Here the handler gets the bytes, because the pipeline records malformed
//! input.

pub mod invocation;
pub mod payload;
pub mod run;
pub mod shutdown;
pub(crate) mod span;

pub use invocation::{FunctionError, Invocation};
pub use payload::RawPayload;
pub use run::{RunError, run};
pub use shutdown::close_on_signal;
