//! The glue to AWS Lambda: invocations as raw bytes, answers, graceful shutdown.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@run`] | answers invocations until the process ends |
//! | [`function_error`] | why an invocation fails |
//! | `poll` | asks the Lambda Runtime API for invocations |
//! | `layer` | hands the payload to the handler as received, inside a log span |
//! | [`shutdown`] | closes what is open when the process is told to end |
//!
//! `lambda_runtime` parses a payload before it calls the handler, and fails the invocation if the
//! payload is not JSON. Here the handler gets the bytes, because the pipeline records malformed
//! input.

pub mod function_error;
pub(crate) mod layer;
mod poll;
pub mod run;
pub mod shutdown;

pub use function_error::FunctionError;
pub use run::{RunError, run};
pub use shutdown::close_on_signal;
