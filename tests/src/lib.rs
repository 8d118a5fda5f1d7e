//! The harness of the black-box tests. It runs the real binaries under a Lambda Runtime API.
//!
//! | module | content |
//! |---|---|
//! | [`binary`] | builds the function that a test runs, so that no test runs an outdated binary |
//! | [`runtime_api`] | a Lambda Runtime API and Extensions API, as AWS documents them |
//! | [`function`] | a function as a process: start, invoke, kill, terminate, read its logs |
//! | [`invocation`] | what a function is invoked with |
//! | [`sqs`] | SQS messages |
//! | [`eventbridge`] | EventBridge events |
//! | [`event_targets`] | a bus and queues that functions publish events to |
//! | [`http`] | requests in the format of API Gateway, and the responses |
//! | [`http_server`] | an HTTP server in the test process |
//! | [`api_gateway`] | an HTTP server that passes requests to a function |
//! | [`answers`] | reads the answers of `process-tasks` |
//! | [`due_queues`] | queues with timed work that are inserted into a store |
//! | [`clock`] | a clock that tests set, for all functions together |
//! | [`event_files`] | the files in `events/` |
//! | [`regressions`] | the files in `events/regressions/` |
//! | [`load`] | a load of many players, and its measurements |
//! | [`metrics`] | the lines of metrics of a function |
//! | [`backends`] | DynamoDB and Redis behind proxies, and functions that use them |
//! | [`database`] | an embedded store, functions that use it, and damage to its rows |
//! | [`traces`] | an X-Ray daemon and an OTLP collector, and the spans that they got |
//! | [`event_calls`] | EventBridge and SQS as HTTP servers that keep what was sent |
//! | [`store_contents`] | reads the rows of a store, with any implementation of the store |
//!
//! An error in the harness panics with a message that says how to fix it.
#![deny(missing_docs)]

pub mod answers;
pub mod api_gateway;
pub mod backends;
pub mod binary;
pub mod clock;
pub mod database;
pub mod due_queues;
pub mod event_calls;
pub mod event_files;
pub mod event_targets;
pub mod eventbridge;
pub mod function;
pub mod http;
pub mod http_server;
pub mod invocation;
pub mod load;
pub mod metrics;
pub mod regressions;
pub mod runtime_api;
pub mod sqs;
pub mod store_contents;
pub mod traces;

pub use function::{Function, FunctionError, StartError};
pub use invocation::Invocation;
