//! Real servers for tests, each on a free port, and proxies that make them fail.
//!
//! - [`Redis`] and [`RedisCluster`]: `redis-server` or `valkey-server`, alone, with TLS, as a
//!   replica, or as a cluster of three primaries.
//! - [`MiniStack`]: an emulator of many AWS services. [`DynamoDbLocal`]: Amazon's emulator of
//!   DynamoDB, of 2020.
//! - [`TcpProxy`]: a proxy for any server that delays, cuts or refuses connections or drops bytes.
//! - [`AwsProxy`]: a proxy for DynamoDB, SQS and EventBridge that counts requests by operation and
//!   table. It answers with errors that no emulator has: throttling, entries of a batch that fail,
//!   refused access.
//!
//! A server ends when its value is dropped, and when the test process ends in any way. Its log is
//! shown if it does not start. A server that is not installed fails the test with the command that
//! installs it, `make servers`; no test is skipped.
//!
//! All of it runs outside the runtime of the test, so a test may pause Tokio's clock.
#![deny(missing_docs)]

mod aws;
mod aws_proxy;
mod emulators;
mod gate;
mod ports;
mod process;
mod redis;
mod tcp_proxy;
mod tools;

pub use self::aws::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
pub use self::aws_proxy::{AwsProxy, Call, Entry, Fault, rules};
pub use self::emulators::{DynamoDbLocal, Emulator, MiniStack};
pub use self::redis::{Redis, RedisBuilder, RedisCluster, RedisProgram, WriteRefusal};
pub use self::tcp_proxy::{Cut, TcpProxy};
pub use self::tools::schemathesis_python;
