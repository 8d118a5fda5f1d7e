//! What the black-box tests stand on: the real binaries under a Lambda Runtime API of their own.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`binary`] | builds the function that a test runs, so that none runs a stale one |
//! | [`runtime_api`] | a Lambda Runtime API and Extensions API, as AWS documents them |
//! | [`function`] | a function as a process: start, invoke, kill, terminate, read its logs |
//! | [`sqs`] | events as SQS sends them |
//! | [`eventbridge`] | events as EventBridge sends them |
//! | [`answers`] | reads what the function answers |
//! | [`files`] | the files of `events/` |
//! | [`tables`] | looks into the embedded store, and damages its rows |
//!
//! Everything here is for tests: what goes wrong in it panics and says what to do.
#![deny(missing_docs)]

pub mod answers;
pub mod binary;
pub mod eventbridge;
pub mod files;
pub mod function;
pub mod runtime_api;
pub mod sqs;
pub mod tables;

pub use function::{Function, FunctionError, Invocation, StartError};
