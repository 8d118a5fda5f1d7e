//! The settings of the Redis cache, and the source of its credentials.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{breaker::BreakerSettings, kind::Ttls};

/// Whether the keys are on one server or spread over a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedisMode {
    /// One primary, with or without replicas.
    #[default]
    Standalone,
    /// The cluster protocol: keys are spread over primaries by hash slot. ElastiCache Serverless
    /// speaks only this.
    Cluster,
}

/// The settings of the Redis cache.
#[derive(Clone)]
pub struct RedisCacheSettings {
    /// `redis://` or `rediss://` (TLS), with user and password.
    pub url: String,
    /// One server or a cluster.
    pub mode: RedisMode,
    /// The prefix of all keys. Copies have the keys `<prefix>queue:<player>`.
    pub key_prefix: String,
    /// How long copies live, by kind of data.
    pub ttls: Ttls,
    /// The maximum share, 0 to 1, by which a time to live is shortened at random, so that copies
    /// that were put together do not expire together.
    pub ttl_jitter: f64,
    /// How long a tombstone lives: longer than a fill can be under way. A function runs for at most
    /// 900 s.
    pub tombstone_ttl: Duration,
    /// How long connecting may take, with TLS and authentication.
    pub connect_timeout: Duration,
    /// How long a call may take, with a repetition on a new connection. Each further 1,000 players
    /// add the same time, because megabytes take time to transfer.
    pub response_timeout: Duration,
    /// When the circuit breaker opens and how long it stays open.
    pub breaker: BreakerSettings,
    /// A file with the certificates (PEM) of the authorities that sign the server's certificate;
    /// none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The seed of all jitter.
    pub seed: u64,
}

impl RedisCacheSettings {
    /// Default settings for one server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            mode: RedisMode::default(),
            key_prefix: "millrace:".to_owned(),
            ttls: Ttls::DEFAULT,
            ttl_jitter: 0.1,
            tombstone_ttl: Duration::from_secs(960),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(250),
            breaker: BreakerSettings::default(),
            ca_file: None,
            seed: 0,
        }
    }

    /// How long a call with this number of players may take.
    pub(super) fn time_of_call(&self, players: usize) -> Duration {
        self.response_timeout.saturating_mul(1 + (players / 1_000) as u32)
    }

    /// How long opening all connections may take. In a cluster the first node names the others.
    pub(super) fn time_to_connect(&self) -> Duration {
        match self.mode {
            RedisMode::Standalone => self.connect_timeout,
            RedisMode::Cluster => 2 * self.connect_timeout,
        }
    }
}

impl fmt::Debug for RedisCacheSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, which may contain a password.
        formatter
            .debug_struct("RedisCacheSettings")
            .field("mode", &self.mode)
            .field("key_prefix", &self.key_prefix)
            .field("ttls", &self.ttls)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("breaker", &self.breaker)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// A setting with which Redis can never be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisSettingsError {
    /// The URL is invalid. The message does not contain it: it may contain a password.
    #[error("the Redis URL cannot be used: {0}")]
    Url(String),
    /// The CA file is missing or invalid.
    #[error("the Redis CA file `{path}` cannot be used: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
}

/// A user with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password, or a token that is used like one.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A source of credentials that expire, such as IAM tokens of ElastiCache. They replace those of
/// the URL, and each new connection asks for them.
#[async_trait]
pub trait RedisCredentials: Send + Sync {
    /// Credentials for a connection that is opened now.
    ///
    /// # Errors
    /// Why there are none; the connection then fails with this error.
    async fn credentials(&self) -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>>;
}
