//! Settings: what the environment may say, read once at the start.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`mod@reference`] | every setting: its name, default, what is allowed, what it means |
//! | [`values`] | the types of settings that are more than a number |
//! | [`error`] | a bad setting, in one line |
//! | `reader` | one variable into one value |
//!
//! Units stand in the names. A variable that starts with `MILLRACE_` and is no setting is warned of: it
//! is a typing error, or a setting of a newer version, which must not stop an older one from being
//! deployed again.

pub mod error;
mod reader;
pub mod reference;
pub mod values;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use millrace_cache::LocalSettings;
use millrace_domain::{FeatureSwitch, Rules};

pub use error::{SettingsError, UnknownSetting};
use reader::Reader;
use reference::table;
pub use reference::{Setting, markdown};
pub(crate) use values::SPAN_TARGET;
pub use values::{Authentication, CorsOrigins, LogSettings, RedisLimits, RedisSettings, RedisUrl, StoreChoice};

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where queues and records are kept.
    pub store: StoreChoice,
    /// Tables are named `<prefix>queues` and so on.
    pub table_prefix: String,
    /// The shared cache tier, where there is one.
    pub redis: Option<RedisSettings>,
    /// How long it is waited for.
    pub redis_limits: RedisLimits,
    /// Where `advance-queues` sends ticks; none: it advances queues itself.
    pub ticks_queue_url: Option<String>,
    /// When `advance-queues` runs.
    pub advance: AdvanceSettings,
    /// What holds for every queue.
    pub rules: Rules,
    /// The file that moves the clock; none: the system's clock.
    pub clock_file: Option<PathBuf>,
    /// Who may do what over HTTP.
    pub authentication: Authentication,
    /// Whose pages may use the API.
    pub cors_origins: CorsOrigins,
    /// How long cached copies live.
    pub cache_ttl: CacheTtl,
    /// The bounds of the cache inside the process.
    pub local_cache: LocalSettings,
    /// The resident size above which the local cache shrinks.
    pub memory_threshold_bytes: u64,
    /// Connections to the store.
    pub database: DatabaseSettings,
    /// How records are written.
    pub batch: BatchSettings,
    /// How often a conflicting commit is tried again.
    pub conflict_retries: u32,
    /// How long before its time-out an invocation stops taking up work.
    pub deadline_margin: Duration,
    /// What is put into the shared cache ahead of its use.
    pub warming: WarmingSettings,
    /// What is on, and for how many players.
    pub features: Features,
    /// How long records are kept.
    pub retention: Retention,
    /// What is logged.
    pub log: LogSettings,
    /// The function's name, as Lambda gives it; empty outside Lambda.
    pub function_name: String,
    /// Variables that look like settings and are none.
    pub unknown: Vec<UnknownSetting>,
}

/// When `advance-queues` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvanceSettings {
    /// From one run to the next.
    pub period: Duration,
    /// How late the next run may be.
    pub slack: Duration,
}

/// How long cached copies live in the shared tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTtl {
    /// Queues with unfinished tasks.
    pub active_queue: Duration,
    /// Units done of reported tasks.
    pub task_progress: Duration,
    /// Totals of a player.
    pub player_stats: Duration,
    /// Everything else that is read often.
    pub frequent_data: Duration,
}

/// Connections to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Most connections at once.
    pub max_connections: usize,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// After how long without use a connection is closed.
    pub idle_timeout: Duration,
    /// How long a try of a call may take.
    pub call_timeout: Duration,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Most rows of one call.
    pub max_items: usize,
    /// How long a batch that is not full waits for more rows.
    pub linger: Duration,
    /// Most calls at once.
    pub concurrency: usize,
}

/// What is put into the shared cache ahead of its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmingSettings {
    /// Most players at once.
    pub max_players: usize,
    /// How soon something has to be due.
    pub due_within: Duration,
}

/// Feature switches; each is on for a share of the players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The cache inside the process.
    pub local_cache: FeatureSwitch,
    /// The shared cache tier.
    pub redis_cache: FeatureSwitch,
    /// Writing records in batches.
    pub batching: FeatureSwitch,
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// FinishedTask tasks.
    pub history: Duration,
    /// Refused commands and malformed input.
    pub rejections: Duration,
}

impl Settings {
    /// Reads the settings of this process's environment.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads settings from variables; those that are no setting are listed where they start with
    /// `MILLRACE_`, and otherwise ignored.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let mut vars: Vec<(String, OsString)> =
            vars.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect();
        // The environment has no order of its own; sorted, the first error is always the same one.
        vars.sort();
        let mut unknown = Vec::new();
        for (name, value) in &vars {
            if name.starts_with(reference::PREFIX) && reference::find(name).is_none() {
                unknown.push(UnknownSetting::new(name));
            }
            if value.to_str().is_none()
                && let Some(spec) = reference::find(name)
            {
                return Err(SettingsError::not_allowed(spec, &value.to_string_lossy(), "UTF-8 text"));
            }
        }
        let settings = Self::from_lookup(&|name| {
            let at = vars.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
            vars[at].1.to_str().map(str::to_owned)
        })?;
        Ok(Self { unknown, ..settings })
    }

    /// Reads settings by name. A lookup cannot be asked for names, so unknown ones go unnoticed here.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed, in the order of
    /// [`Settings::reference`].
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = Reader::new(lookup);
        let store = read.required(&table::STORE, StoreChoice::parse)?;
        let table_prefix = read.text(&table::TABLE_PREFIX, values::table_prefix)?;
        let redis = read.redis()?;
        let redis_limits = RedisLimits {
            connect_timeout: read.millis(&table::REDIS_CONNECT_TIMEOUT_MS)?,
            response_timeout: read.millis(&table::REDIS_RESPONSE_TIMEOUT_MS)?,
            breaker_failures: read.narrow(&table::REDIS_BREAKER_FAILURES)?,
            breaker_cool_down: read.millis(&table::REDIS_BREAKER_COOL_DOWN_MS)?,
        };
        let ticks_queue_url = read.optional(&table::TICKS_QUEUE_URL, values::queue_url)?;
        let advance = AdvanceSettings {
            period: read.seconds(&table::ADVANCE_PERIOD_SECONDS)?,
            slack: read.seconds(&table::ADVANCE_SLACK_SECONDS)?,
        };
        let rules = Rules::default().pause_after_days(read.whole(&table::INACTIVE_PAUSE_DAYS)?);
        let clock_file = read.clock_file(&store)?;
        let authentication = read.authentication(&store)?;
        Ok(Self {
            store,
            table_prefix,
            redis,
            redis_limits,
            ticks_queue_url,
            advance,
            rules,
            clock_file,
            authentication,
            cors_origins: read.optional(&table::CORS_ORIGINS, CorsOrigins::parse)?.unwrap_or_default(),
            cache_ttl: CacheTtl {
                active_queue: read.seconds(&table::CACHE_TTL_ACTIVE_QUEUE_SECONDS)?,
                task_progress: read.seconds(&table::CACHE_TTL_TASK_PROGRESS_SECONDS)?,
                player_stats: read.seconds(&table::CACHE_TTL_PLAYER_STATS_SECONDS)?,
                frequent_data: read.seconds(&table::CACHE_TTL_FREQUENT_DATA_SECONDS)?,
            },
            local_cache: LocalSettings {
                max_entries: read.whole(&table::LOCAL_CACHE_MAX_ENTRIES)?,
                max_bytes: read.whole(&table::LOCAL_CACHE_MAX_BYTES)?,
                freshness_ms: read.whole(&table::LOCAL_CACHE_FRESHNESS_MS)?,
                emergency_freshness_ms: read.whole(&table::EMERGENCY_FRESHNESS_MS)?,
            },
            memory_threshold_bytes: read.memory_threshold()?,
            database: DatabaseSettings {
                max_connections: read.narrow(&table::DB_MAX_CONNECTIONS)?,
                connect_timeout: read.millis(&table::DB_CONNECT_TIMEOUT_MS)?,
                idle_timeout: read.seconds(&table::DB_IDLE_TIMEOUT_SECONDS)?,
                call_timeout: read.millis(&table::DB_CALL_TIMEOUT_MS)?,
            },
            batch: BatchSettings {
                max_items: read.narrow(&table::BATCH_MAX_ITEMS)?,
                linger: read.millis(&table::BATCH_LINGER_MS)?,
                concurrency: read.narrow(&table::BATCH_CONCURRENCY)?,
            },
            conflict_retries: read.narrow(&table::CONFLICT_RETRIES)?,
            deadline_margin: read.millis(&table::DEADLINE_MARGIN_MS)?,
            warming: WarmingSettings {
                max_players: read.narrow(&table::WARM_MAX_PLAYERS)?,
                due_within: read.seconds(&table::WARM_DUE_WITHIN_SECONDS)?,
            },
            features: Features {
                local_cache: read.feature(&table::LOCAL_CACHE, &table::LOCAL_CACHE_ROLLOUT_PERCENT)?,
                redis_cache: read.feature(&table::REDIS_CACHE, &table::REDIS_CACHE_ROLLOUT_PERCENT)?,
                batching: read.feature(&table::BATCHING, &table::BATCHING_ROLLOUT_PERCENT)?,
            },
            retention: Retention {
                history: read.days(&table::HISTORY_RETENTION_DAYS)?,
                rejections: read.days(&table::REJECTIONS_RETENTION_DAYS)?,
            },
            log: read.text(&table::LOG, LogSettings::parse)?,
            function_name: lookup("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
            unknown: Vec::new(),
        })
    }

    /// Logs a warning for each variable that looks like a setting and is none.
    pub fn warn_of_unknown(&self) {
        for unknown in &self.unknown {
            tracing::warn!("{unknown}");
        }
    }

    /// Every setting, in the order in which they are read.
    pub fn reference() -> Vec<Setting> {
        reference::all()
    }
}

#[cfg(test)]
mod tests;
