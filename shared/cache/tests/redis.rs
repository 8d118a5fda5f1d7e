//! The Redis cache against Redis servers.

#[path = "shared_cache/mod.rs"]
mod shared_cache;
#[path = "shared_cache/tls.rs"]
mod tls;

/// The program of all servers of these tests.
const PROGRAM: millrace_servers::RedisProgram = millrace_servers::RedisProgram::Redis;
