//! The programs that speak the Redis protocol.

use std::path::PathBuf;

use crate::tools;

/// A program that speaks the Redis protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisProgram {
    /// `redis-server`: the one on the `PATH`, or the one that `make servers` downloaded.
    #[default]
    Redis,
    /// `valkey-server`, as `make servers` installs it. It is built without TLS.
    Valkey,
}

impl RedisProgram {
    /// The name of the executable.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    /// The path of the executable.
    ///
    /// # Panics
    /// When it is not installed, with the command that installs it.
    pub(super) fn path(self) -> PathBuf {
        match self {
            Self::Redis => tools::redis_server(),
            Self::Valkey => tools::valkey_server(),
        }
    }
}
