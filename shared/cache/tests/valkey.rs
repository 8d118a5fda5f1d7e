//! The Redis cache against Valkey servers.

#[path = "shared_cache/mod.rs"]
mod shared_cache;

/// The program of all servers of these tests.
const PROGRAM: millrace_servers::RedisProgram = millrace_servers::RedisProgram::Valkey;
