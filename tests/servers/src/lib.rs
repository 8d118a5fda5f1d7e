//! Real servers for tests, each on a separate free port, and proxies that make them fail.
//!
//! - [`Redis`] and [`RedisCluster`]: `redis-server` or `valkey-server`, alone, with TLS, as a
//!   replica, or as a cluster of three primaries.
//! - [`MiniStack`]: an emulator of many AWS services. [`DynamoDbLocal`]: Amazon's own DynamoDB, of
//!   2020.
//! - [`TcpProxy`]: stands before any server and delays, cuts, refuses or swallows.
//! - [`DynamoProxy`]: stands before a DynamoDB, counts its requests by operation and table, and
//!   answers what no emulator answers by itself: throttling, `UnprocessedItems`, refused access.
//!
//! A server ends with its value, and also when the test process ends in any other way. What it
//! writes is kept and shown when it does not start. One that is not installed fails the test with
//! the command that installs it, `make servers`; nothing is skipped.
//!
//! Everything here runs outside the test's own runtime, so a test may pause Tokio's clock.
#![deny(missing_docs)]

mod aws;
mod dynamo_proxy;
mod dynamodb_local;
mod gate;
mod ministack;
mod ports;
mod process;
mod redis;
mod tcp_proxy;
mod tools;

pub use self::aws::{ACCESS_KEY_ID, Environment, REGION, SECRET_ACCESS_KEY};
pub use self::dynamo_proxy::{Call, DynamoProxy, Entry, Fault, rules};
pub use self::dynamodb_local::DynamoDbLocal;
pub use self::ministack::MiniStack;
pub use self::redis::{Redis, RedisBuilder, RedisCluster, RedisProgram};
pub use self::tcp_proxy::{Cut, TcpProxy};
pub use self::tools::schemathesis_python;
