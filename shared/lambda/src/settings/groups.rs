//! Settings that belong together, each read from its rows of the table.

use std::time::Duration;

use millrace_cache::{BreakerSettings, LocalSettings, Ttls};
use millrace_domain::FeatureSwitch;
use millrace_store::{BatchWriterSettings, Retention};
use millrace_telemetry::LogSettings;
use millrace_upkeep::UpkeepSettings;

use super::{
    error::SettingsError,
    reader::Reader,
    reference::table,
    values::{self, MetricLines},
};

/// Time-outs and circuit breaker of the shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisLimits {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a call waits for an answer.
    pub response_timeout: Duration,
    /// When the circuit breaker opens, and how long it stays open.
    pub breaker: BreakerSettings,
}

/// The schedule of `advance-queues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvanceSettings {
    /// The time from one run to the next.
    pub period: Duration,
    /// How late the next run may be.
    pub slack: Duration,
}

impl AdvanceSettings {
    /// How far ahead ticks are sent: beyond the next run.
    pub fn look_ahead(&self) -> Duration {
        self.period + self.slack
    }
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

impl Reader<'_> {
    pub(super) fn redis_limits(&self) -> Result<RedisLimits, SettingsError> {
        Ok(RedisLimits {
            connect_timeout: self.millis(&table::REDIS_CONNECT_TIMEOUT_MS)?,
            response_timeout: self.millis(&table::REDIS_RESPONSE_TIMEOUT_MS)?,
            breaker: BreakerSettings {
                failures: self.narrow(&table::REDIS_BREAKER_FAILURES)?,
                cool_down: self.millis(&table::REDIS_BREAKER_COOL_DOWN_MS)?,
                ..BreakerSettings::default()
            },
        })
    }

    pub(super) fn advance(&self) -> Result<AdvanceSettings, SettingsError> {
        Ok(AdvanceSettings {
            period: self.seconds(&table::ADVANCE_PERIOD_SECONDS)?,
            slack: self.seconds(&table::ADVANCE_SLACK_SECONDS)?,
        })
    }

    pub(super) fn cache_ttl(&self) -> Result<Ttls, SettingsError> {
        Ok(Ttls {
            queue: self.seconds(&table::CACHE_TTL_ACTIVE_QUEUE_SECONDS)?,
            progress: self.seconds(&table::CACHE_TTL_TASK_PROGRESS_SECONDS)?,
            stats: self.seconds(&table::CACHE_TTL_PLAYER_STATS_SECONDS)?,
            frequent: self.seconds(&table::CACHE_TTL_FREQUENT_DATA_SECONDS)?,
        })
    }

    pub(super) fn local_cache(&self) -> Result<LocalSettings, SettingsError> {
        Ok(LocalSettings {
            max_entries: self.whole(&table::LOCAL_CACHE_MAX_ENTRIES)?,
            max_bytes: self.whole(&table::LOCAL_CACHE_MAX_BYTES)?,
            freshness_ms: self.whole(&table::LOCAL_CACHE_FRESHNESS_MS)?,
            emergency_freshness_ms: self.whole(&table::EMERGENCY_FRESHNESS_MS)?,
        })
    }

    pub(super) fn database(&self) -> Result<DatabaseSettings, SettingsError> {
        Ok(DatabaseSettings {
            max_connections: self.narrow(&table::DB_MAX_CONNECTIONS)?,
            connect_timeout: self.millis(&table::DB_CONNECT_TIMEOUT_MS)?,
            idle_timeout: self.seconds(&table::DB_IDLE_TIMEOUT_SECONDS)?,
            call_timeout: self.millis(&table::DB_CALL_TIMEOUT_MS)?,
        })
    }

    pub(super) fn batch_writer(&self) -> Result<BatchWriterSettings, SettingsError> {
        Ok(BatchWriterSettings {
            max_items: self.narrow(&table::BATCH_MAX_ITEMS)?,
            linger: self.millis(&table::BATCH_LINGER_MS)?,
            concurrency: self.narrow(&table::BATCH_CONCURRENCY)?,
            ..BatchWriterSettings::default()
        })
    }

    pub(super) fn log(&self) -> Result<LogSettings, SettingsError> {
        let sample_rate = self.text(&table::LOG_SAMPLE_RATE, values::rate)?;
        Ok(self.text(&table::LOG, LogSettings::parse)?.with_sample_rate(sample_rate))
    }

    pub(super) fn metrics(&self) -> Result<MetricLines, SettingsError> {
        let namespace = self.text(&table::METRICS_NAMESPACE, values::namespace)?;
        self.text(&table::METRICS, |value| match value {
            "on" => Some(MetricLines::Published { namespace: namespace.clone() }),
            "log" => Some(MetricLines::Logged),
            "off" => Some(MetricLines::Off),
            _ => None,
        })
    }

    pub(super) fn upkeep(&self) -> Result<UpkeepSettings, SettingsError> {
        Ok(UpkeepSettings {
            warm_max_players: self.narrow(&table::WARM_MAX_PLAYERS)?,
            warm_interval: self.seconds(&table::WARM_INTERVAL_SECONDS)?,
        })
    }

    pub(super) fn features(&self) -> Result<Features, SettingsError> {
        Ok(Features {
            local_cache: self.feature(&table::LOCAL_CACHE, &table::LOCAL_CACHE_ROLLOUT_PERCENT)?,
            redis_cache: self.feature(&table::REDIS_CACHE, &table::REDIS_CACHE_ROLLOUT_PERCENT)?,
            batching: self.feature(&table::BATCHING, &table::BATCHING_ROLLOUT_PERCENT)?,
        })
    }

    pub(super) fn retention(&self) -> Result<Retention, SettingsError> {
        Ok(Retention {
            history: self.days(&table::HISTORY_RETENTION_DAYS)?,
            rejections: self.days(&table::REJECTIONS_RETENTION_DAYS)?,
            events: self.hours(&table::EVENTS_RETENTION_HOURS)?,
        })
    }
}
