//! What the black-box tests stand on: the real binaries under a Lambda Runtime API of their own.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`binary`] | builds the function that a test runs, so that none runs a stale one |
//! | [`runtime_api`] | a Lambda Runtime API and Extensions API, as AWS documents them |
//! | [`function`] | a function as a process: start, invoke, kill, terminate, read its logs |
//! | [`sqs`] | events as SQS sends them |
//! | [`eventbridge`] | events as EventBridge sends them |
//! | [`http`], [`front`] | requests as API Gateway sends them; a server in front of a function |
//! | [`answers`] | reads what the function answers |
//! | [`due`] | queues with timed work, put into a store, and a clock to move |
//! | [`files`] | the files of `events/` |
//! | [`load`] | a load of many players, and what it took |
//! | [`backends`] | DynamoDB and Redis behind proxies, and the function on them |
//! | [`tables`] | the embedded store: the function on it, and its rows damaged |
//! | [`stored`] | reads what a store holds, whichever it is |
//!
//! Everything here is for tests: what goes wrong in it panics and says what to do.
#![deny(missing_docs)]

pub mod answers;
pub mod backends;
pub mod binary;
pub mod due;
pub mod eventbridge;
pub mod files;
pub mod front;
pub mod function;
pub mod http;
pub mod load;
pub mod runtime_api;
pub mod sqs;
pub mod stored;
pub mod tables;

pub use function::{Function, FunctionError, Invocation, StartError};
