//! The settings, read once from the environment.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@reference`] | every setting: its name, default, allowed values, meaning |
//! | [`events`] | where events are published, and which |
//! | [`groups`] | settings that belong together |
//! | [`traces`] | where traces are sent |
//! | [`values`] | the types of settings that are more than a number |
//! | [`error`] | the error of a bad setting, in one line |
//! | `reader` | reads one variable as one value |
//!
//! Names contain the unit. An unknown variable that begins with `MILLRACE_` is logged as a warning.
//! It does not stop the start, so that an older version can be deployed with the settings of a
//! newer one.

pub mod error;
pub mod events;
pub mod groups;
mod reader;
pub mod reference;
pub mod traces;
pub mod values;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use millrace_cache::{LocalSettings, Ttls};
use millrace_domain::Rules;
use millrace_store::{BatchWriterSettings, Retention};
pub use millrace_telemetry::{Limits, LogSettings};
use millrace_upkeep::UpkeepSettings;

pub use error::{SettingsError, UnknownSetting};
pub use events::{EventSettings, EventTarget};
pub use groups::{AdvanceSettings, DatabaseSettings, Features, RedisLimits};
use reader::Reader;
pub use reference::markdown;
use reference::table;
pub use traces::TraceTarget;
pub use values::{Authentication, CacheKind, CorsOrigins, IamCache, MetricLines, RedisSettings, RedisUrl, StoreChoice};

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store of queues and records.
    pub store: StoreChoice,
    /// Tables are named `<prefix>queues` and so on.
    pub table_prefix: String,
    /// The shared cache; none: only the local cache.
    pub redis: Option<RedisSettings>,
    /// Time-outs and circuit breaker of the shared cache.
    pub redis_limits: RedisLimits,
    /// The queue to which `advance-queues` sends ticks; none: it advances queues itself.
    pub ticks_queue_url: Option<String>,
    /// Where events are published, and which.
    pub events: EventSettings,
    /// The schedule of `advance-queues`.
    pub advance: AdvanceSettings,
    /// The rules of all queues.
    pub rules: Rules,
    /// The file that moves the clock; none: the system clock.
    pub clock_file: Option<PathBuf>,
    /// How HTTP callers are authenticated.
    pub authentication: Authentication,
    /// The origins whose pages may use the HTTP API.
    pub cors_origins: CorsOrigins,
    /// The segments that every HTTP path begins with.
    pub http_base_path: Vec<String>,
    /// The URLs of the queues whose depth is shown.
    pub monitored_queues: Vec<String>,
    /// How long the shared cache keeps data.
    pub cache_ttl: Ttls,
    /// The limits of the local cache.
    pub local_cache: LocalSettings,
    /// The resident memory in bytes above which the local cache shrinks.
    pub memory_threshold_bytes: u64,
    /// Connections to the store.
    pub database: DatabaseSettings,
    /// How records are written.
    pub batch_writer: BatchWriterSettings,
    /// How often a commit is retried after a version conflict.
    pub conflict_retries: u32,
    /// How long before its time-out an invocation takes up no more work.
    pub deadline_margin: Duration,
    /// How the shared cache is warmed.
    pub upkeep: UpkeepSettings,
    /// Feature switches.
    pub features: Features,
    /// How long records are kept.
    pub retention: Retention,
    /// What is logged.
    pub log: LogSettings,
    /// What becomes of the line of metrics of each invocation.
    pub metrics: MetricLines,
    /// The limits of thresholds.
    pub thresholds: Limits,
    /// Where traces are sent.
    pub traces: TraceTarget,
    /// The memory of the function in MiB, as Lambda sets it; none outside Lambda.
    pub function_memory_mib: Option<u64>,
    /// The name of the function, as Lambda sets it; empty outside Lambda.
    pub function_name: String,
    /// Variables with the prefix of settings that are not settings.
    pub unknown: Vec<UnknownSetting>,
}

impl Settings {
    /// Reads the settings from the environment of this process.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads the settings from variables. Unknown variables are listed if they begin with
    /// `MILLRACE_`, and otherwise ignored.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let mut vars: Vec<(String, OsString)> =
            vars.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect();
        // The order of the environment is undefined. Sorted, the first error is always the same.
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

    /// Reads the settings by name. Unknown variables cannot be found this way.
    ///
    /// # Errors
    /// [`SettingsError`] for the first setting that is missing or not allowed, in the order of the
    /// table ([`markdown`]).
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = Reader::new(lookup);
        let store = read.required(&table::STORE, StoreChoice::parse)?;
        Ok(Self {
            table_prefix: read.text(&table::TABLE_PREFIX, values::table_prefix)?,
            redis: read.redis()?,
            redis_limits: read.redis_limits()?,
            ticks_queue_url: read.optional(&table::TICKS_QUEUE_URL, values::queue_url)?,
            events: read.events()?,
            monitored_queues: read.monitored_queues()?,
            advance: read.advance()?,
            rules: Rules::default().pause_after_days(read.whole(&table::INACTIVE_PAUSE_DAYS)?),
            clock_file: read.clock_file(&store)?,
            authentication: read.authentication(&store)?,
            store,
            cors_origins: read.optional(&table::CORS_ORIGINS, CorsOrigins::parse)?.unwrap_or_default(),
            http_base_path: read.optional(&table::HTTP_BASE_PATH, values::base_path)?.unwrap_or_default(),
            cache_ttl: read.cache_ttl()?,
            local_cache: read.local_cache()?,
            memory_threshold_bytes: read.memory_threshold()?,
            database: read.database()?,
            batch_writer: read.batch_writer()?,
            conflict_retries: read.narrow(&table::CONFLICT_RETRIES)?,
            deadline_margin: read.millis(&table::DEADLINE_MARGIN_MS)?,
            upkeep: read.upkeep()?,
            features: read.features()?,
            retention: read.retention()?,
            log: read.log()?,
            metrics: read.metrics()?,
            thresholds: read.optional(&table::THRESHOLDS, |text| Limits::parse(text).ok())?.unwrap_or_default(),
            traces: read.traces()?,
            function_memory_mib: lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|mib| mib.parse().ok()),
            function_name: lookup("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
            unknown: Vec::new(),
        })
    }

    /// Logs a warning for each unknown variable with the prefix of settings.
    pub fn warn_of_unknown(&self) {
        for unknown in &self.unknown {
            tracing::warn!("{unknown}");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
