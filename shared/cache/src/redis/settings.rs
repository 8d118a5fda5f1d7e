//! What a Redis tier is told at its start, and where its credentials come from.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{breaker::BreakerSettings, kind::Ttls};

/// Whether the keys lie on one node or are spread over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedisMode {
    /// One primary, with or without replicas.
    #[default]
    Standalone,
    /// Redis Cluster: keys are spread over the primaries by hash slot.
    Cluster,
}

/// The settings of a Redis tier.
#[derive(Clone)]
pub struct RedisTierSettings {
    /// `redis://` or `rediss://` (TLS), user and password in it.
    pub url: String,
    /// One node or a cluster.
    pub mode: RedisMode,
    /// Keys are named `<prefix>queue:<player>`.
    pub key_prefix: String,
    /// How long copies live, by kind of data.
    pub ttls: Ttls,
    /// By how much of itself a time to live is shortened at random at most, 0 to 1, so that what was put
    /// together does not expire together.
    pub ttl_jitter: f64,
    /// How long it is remembered that a player was forgotten: longer than any fill can be under way, and
    /// a function runs for at most 900 s.
    pub tombstone_ttl: Duration,
    /// How long connecting may take, TLS and authentication included.
    pub connect_timeout: Duration,
    /// How long a call may take in all, a repeated one with its new connection included. As much again for
    /// every 1,000 players more, whose megabytes take their time.
    pub response_timeout: Duration,
    /// When Redis is left alone, and for how long.
    pub breaker: BreakerSettings,
    /// The certificates (PEM) of the authorities that sign Redis's; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Decides all jitter.
    pub seed: u64,
}

impl RedisTierSettings {
    /// One node at `url`, everything else by default.
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
}

impl RedisTierSettings {
    /// How long a call of so many commands may take.
    pub(super) fn time_of(&self, commands: usize) -> Duration {
        self.response_timeout.saturating_mul(1 + (commands / 1_000) as u32)
    }

    /// How long it may take until all connections are there: in a cluster the first node tells of the others.
    pub(super) fn time_to_connect(&self) -> Duration {
        match self.mode {
            RedisMode::Standalone => self.connect_timeout,
            RedisMode::Cluster => 2 * self.connect_timeout,
        }
    }
}

impl fmt::Debug for RedisTierSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        formatter
            .debug_struct("RedisTierSettings")
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

/// A setting with which no Redis can ever be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisTierError {
    /// The URL cannot be used. Its text is left out: it may hold a password.
    #[error("the Redis URL cannot be used: {0}")]
    Url(String),
    /// The certificates of the authorities cannot be used.
    #[error("the Redis CA file `{path}` cannot be used: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Who connects, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password, or a token in its place.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Gives credentials that expire, such as ElastiCache's IAM tokens. Asked at each connection; they take
/// the place of those in the URL.
#[async_trait]
pub trait RedisCredentials: Send + Sync {
    /// Credentials that are good for a connection made now.
    ///
    /// # Errors
    /// Whatever kept them from being made; the connection then fails with it.
    async fn credentials(&self) -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>>;
}
