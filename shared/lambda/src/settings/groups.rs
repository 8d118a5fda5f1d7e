//! Settings that belong together.

use std::time::Duration;

use millrace_cache::LocalSettings;
use millrace_domain::FeatureSwitch;

use super::{error::SettingsError, reader::Reader, reference::table};

/// The schedule of `advance-queues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvanceSettings {
    /// The time from one run to the next.
    pub period: Duration,
    /// How late the next run may be.
    pub slack: Duration,
}

impl AdvanceSettings {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            period: read.seconds(&table::ADVANCE_PERIOD_SECONDS)?,
            slack: read.seconds(&table::ADVANCE_SLACK_SECONDS)?,
        })
    }
}

/// How long the shared cache keeps data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTtl {
    /// Copies of queues with unfinished tasks.
    pub active_queue: Duration,
    /// Progress between milestones.
    pub task_progress: Duration,
    /// Copies of queues without unfinished tasks.
    pub player_stats: Duration,
    /// First pages of the history, and other data that is read often.
    pub frequent_data: Duration,
}

impl CacheTtl {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            active_queue: read.seconds(&table::CACHE_TTL_ACTIVE_QUEUE_SECONDS)?,
            task_progress: read.seconds(&table::CACHE_TTL_TASK_PROGRESS_SECONDS)?,
            player_stats: read.seconds(&table::CACHE_TTL_PLAYER_STATS_SECONDS)?,
            frequent_data: read.seconds(&table::CACHE_TTL_FREQUENT_DATA_SECONDS)?,
        })
    }
}

pub(super) fn local_cache(read: &Reader<'_>) -> Result<LocalSettings, SettingsError> {
    Ok(LocalSettings {
        max_entries: read.whole(&table::LOCAL_CACHE_MAX_ENTRIES)?,
        max_bytes: read.whole(&table::LOCAL_CACHE_MAX_BYTES)?,
        freshness_ms: read.whole(&table::LOCAL_CACHE_FRESHNESS_MS)?,
        emergency_freshness_ms: read.whole(&table::EMERGENCY_FRESHNESS_MS)?,
    })
}

/// Connections to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// The most connections at the same time.
    pub max_connections: usize,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// A connection is closed after this time without use.
    pub idle_timeout: Duration,
    /// How long one attempt of a call may take.
    pub call_timeout: Duration,
}

impl DatabaseSettings {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            max_connections: read.narrow(&table::DB_MAX_CONNECTIONS)?,
            connect_timeout: read.millis(&table::DB_CONNECT_TIMEOUT_MS)?,
            idle_timeout: read.seconds(&table::DB_IDLE_TIMEOUT_SECONDS)?,
            call_timeout: read.millis(&table::DB_CALL_TIMEOUT_MS)?,
        })
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// The most records in one call.
    pub max_items: usize,
    /// How long a call that is not full waits for more records.
    pub linger: Duration,
    /// The most calls at the same time.
    pub concurrency: usize,
}

impl BatchSettings {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            max_items: read.narrow(&table::BATCH_MAX_ITEMS)?,
            linger: read.millis(&table::BATCH_LINGER_MS)?,
            concurrency: read.narrow(&table::BATCH_CONCURRENCY)?,
        })
    }
}

/// How the shared cache is warmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmingSettings {
    /// The most players of one warm-up.
    pub max_players: usize,
    /// The time until the next warm-up.
    pub interval: Duration,
}

impl WarmingSettings {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            max_players: read.narrow(&table::WARM_MAX_PLAYERS)?,
            interval: read.seconds(&table::WARM_INTERVAL_SECONDS)?,
        })
    }
}

/// Feature switches, each with the share of players for whom it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The local cache.
    pub local_cache: FeatureSwitch,
    /// The shared cache.
    pub redis_cache: FeatureSwitch,
    /// Writing records in batches.
    pub batching: FeatureSwitch,
}

impl Features {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            local_cache: read.feature(&table::LOCAL_CACHE, &table::LOCAL_CACHE_ROLLOUT_PERCENT)?,
            redis_cache: read.feature(&table::REDIS_CACHE, &table::REDIS_CACHE_ROLLOUT_PERCENT)?,
            batching: read.feature(&table::BATCHING, &table::BATCHING_ROLLOUT_PERCENT)?,
        })
    }
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Finished tasks.
    pub history: Duration,
    /// Refused commands and malformed input.
    pub rejections: Duration,
}

impl Retention {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            history: read.days(&table::HISTORY_RETENTION_DAYS)?,
            rejections: read.days(&table::REJECTIONS_RETENTION_DAYS)?,
        })
    }
}
