//! Why a function does not start, or cannot go on.

use std::io;

use millrace_cache::redis::RedisSettingsError;

use crate::{
    clock::ClockFileError, elasticache::TokenError, embedded_store::EmbeddedStoreError, runtime::RunError,
    settings::SettingsError,
};

/// Why a function does not start, or cannot go on. Displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is missing or not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The embedded store cannot be opened.
    #[error("MILLRACE_STORE=sqlite:{path} cannot be opened: {error}")]
    EmbeddedStore {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        error: EmbeddedStoreError,
    },
    /// The clock file holds no time.
    #[error("MILLRACE_CLOCK_FILE={path} cannot be used: {error}")]
    Clock {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        error: ClockFileError,
    },
    /// DynamoDB and SQS need a region.
    #[error("AWS_REGION is not set; allowed: the region of the tables and queues")]
    NoRegion,
    /// The shared cache cannot be used with these settings.
    #[error("MILLRACE_REDIS_URL={url}: {error}")]
    Redis {
        /// The URL without secrets.
        url: String,
        /// The cause.
        #[source]
        error: RedisSettingsError,
    },
    /// No IAM tokens can be made for the shared cache.
    #[error("MILLRACE_REDIS_IAM_CACHE_NAME={name} cannot be used: {error}")]
    Tokens {
        /// The replication group.
        name: String,
        /// The cause.
        #[source]
        error: TokenError,
    },
    /// The logs were started before.
    #[error("cannot start the logs: {0}")]
    Logs(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// The system refuses to deliver signals.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// The Lambda Runtime API cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
}
