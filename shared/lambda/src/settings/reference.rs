//! Every setting: its name, default, what is allowed, what it means. The one table that settings are
//! read by and documented from.

use std::fmt::Write as _;

/// What every setting's name starts with.
pub const PREFIX: &str = "MILLRACE_";

/// One setting, the way documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds where it is unset; none: unset has a meaning of its own, or is not allowed.
    pub default: Option<String>,
    /// What it may be.
    pub allowed: String,
    /// What it does.
    pub meaning: &'static str,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) values: Values,
    pub(super) meaning: &'static str,
}

/// What a setting may be.
#[derive(Debug)]
pub(super) enum Values {
    /// A whole number; `shown` replaces the default in documentation where it depends on something.
    Whole { default: u64, min: u64, max: u64, shown: Option<&'static str> },
    /// `on` or `off`; the default is `on`.
    Switch,
    /// Text with a form of its own.
    Text { default: Option<&'static str>, allowed: &'static str },
}

impl Spec {
    const fn whole(name: &'static str, default: u64, min: u64, max: u64, meaning: &'static str) -> Self {
        Self { name, values: Values::Whole { default, min, max, shown: None }, meaning }
    }

    const fn switch(name: &'static str, meaning: &'static str) -> Self {
        Self { name, values: Values::Switch, meaning }
    }

    const fn percent(name: &'static str, meaning: &'static str) -> Self {
        Self::whole(name, 100, 0, 100, meaning)
    }

    const fn text(
        name: &'static str,
        default: Option<&'static str>,
        allowed: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, values: Values::Text { default, allowed }, meaning }
    }

    /// What the setting may be, in words.
    pub(super) fn allowed(&self) -> String {
        match self.values {
            Values::Whole { min, max, .. } => format!("a whole number from {min} to {max}"),
            Values::Switch => "on, off".to_owned(),
            Values::Text { allowed, .. } => allowed.to_owned(),
        }
    }

    /// The default, in words.
    pub(super) fn default(&self) -> Option<String> {
        match self.values {
            Values::Whole { shown: Some(shown), .. } => Some(shown.to_owned()),
            Values::Whole { default, .. } => Some(default.to_string()),
            Values::Switch => Some("on".to_owned()),
            Values::Text { default, .. } => default.map(str::to_owned),
        }
    }
}

macro_rules! table {
    ($($id:ident = $spec:expr;)*) => {
        /// The rows, each under its name without the prefix.
        pub(super) mod table {
            use super::{Spec, Values};
            $(pub(in crate::settings) static $id: Spec = $spec;)*
            /// All rows, in the order in which they are read.
            pub(in crate::settings) static ALL: &[&Spec] = &[$(&$id),*];
        }
    };
}

table! {
    STORE = Spec::text("MILLRACE_STORE", None, "dynamodb, sqlite:<path of a file>",
        "Where queues and records are kept. Required.");
    TABLE_PREFIX = Spec::text("MILLRACE_TABLE_PREFIX", Some("millrace-"), "0 to 200 characters of A-Z a-z 0-9 _ . -",
        "Tables are named `<prefix>queues` and so on.");
    REDIS_URL = Spec::text("MILLRACE_REDIS_URL", None,
        "redis://[user:password@]host[:port][/database] or the same with rediss://",
        "The shared cache tier. Unset or empty: the local cache only.");
    REDIS_MODE = Spec::text("MILLRACE_REDIS_MODE", Some("standalone"), "standalone, cluster",
        "How the Redis server is laid out.");
    REDIS_CA_FILE = Spec::text("MILLRACE_REDIS_CA_FILE", None, "the path of a file in PEM format",
        "The certificates to trust on rediss://. Unset or empty: those of the system.");
    REDIS_IAM_CACHE_NAME = Spec::text("MILLRACE_REDIS_IAM_CACHE_NAME", None,
        "the name of an ElastiCache replication group, with a user and no password in a rediss:// URL",
        "Logs in with IAM tokens instead of a password. Unset or empty: with what the URL says.");
    REDIS_CONNECT_TIMEOUT_MS = Spec::whole("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", 500, 10, 10_000,
        "How long a connection to the shared cache may take to open.");
    REDIS_RESPONSE_TIMEOUT_MS = Spec::whole("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", 200, 5, 10_000,
        "How long an answer of the shared cache is waited for.");
    REDIS_BREAKER_FAILURES = Spec::whole("MILLRACE_REDIS_BREAKER_FAILURES", 3, 1, 100,
        "After how many failures in a row the shared cache is left alone.");
    REDIS_BREAKER_COOL_DOWN_MS = Spec::whole("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", 1_000, 50, 60_000,
        "For how long it is left alone before it is tried again; longer after each failed try, up to 30 s.");
    TICKS_QUEUE_URL = Spec::text("MILLRACE_TICKS_QUEUE_URL", None, "the http:// or https:// URL of an SQS queue",
        "Where `advance-queues` sends ticks. Unset or empty: it advances queues itself.");
    ADVANCE_PERIOD_SECONDS = Spec::whole("MILLRACE_ADVANCE_PERIOD_SECONDS", 60, 1, 600,
        "How often `advance-queues` is invoked: so far ahead it sends ticks.");
    ADVANCE_SLACK_SECONDS = Spec::whole("MILLRACE_ADVANCE_SLACK_SECONDS", 5, 0, 300,
        "How late its next run may be: so much farther ahead it sends ticks. EventBridge Scheduler keeps the minute and not the second: 60.");
    INACTIVE_PAUSE_DAYS = Spec::whole("MILLRACE_INACTIVE_PAUSE_DAYS", 0, 0, 3_650,
        "After how many days without a command a queue with something due is paused; 0: never. A task that waits for its `notBefore` is not paused.");
    CLOCK_FILE = Spec::text("MILLRACE_CLOCK_FILE", None,
        "the path of a file (refused where the store is DynamoDB and no endpoint override is set), or unset",
        "A file that moves the clock, for tests: milliseconds to add, or an RFC 3339 time. Unset or empty: the system's clock.");
    AUTH = Spec::text("MILLRACE_AUTH", None,
        "none (refused where the store is DynamoDB and no endpoint override is set), or unset",
        "`none` lets everybody do everything over HTTP, for local use. Unset or empty: the authorizer decides.");
    CORS_ORIGINS = Spec::text("MILLRACE_CORS_ORIGINS", None, "*, or origins as browsers send them, such as https://game.example, separated by commas: in lower case, without a path, and without the port that the scheme has anyway",
        "Pages of these origins may use the API from a browser. Unset or empty: of none.");
    CACHE_TTL_ACTIVE_QUEUE_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", 300, 1, 86_400,
        "How long queues with unfinished tasks live in the shared cache.");
    CACHE_TTL_TASK_PROGRESS_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_TASK_PROGRESS_SECONDS", 60, 1, 86_400,
        "How long progress between milestones lives in the shared cache.");
    CACHE_TTL_PLAYER_STATS_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", 600, 1, 86_400,
        "How long totals of players would live in the shared cache. Nothing puts them there so far: they are read from the copies of queues.");
    CACHE_TTL_FREQUENT_DATA_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_FREQUENT_DATA_SECONDS", 1_800, 1, 86_400,
        "How long everything else that is read often would live in the shared cache. Nothing puts any there so far.");
    LOCAL_CACHE_MAX_ENTRIES = Spec::whole("MILLRACE_LOCAL_CACHE_MAX_ENTRIES", 10_000, 1, 10_000_000,
        "Most queues in the local cache.");
    LOCAL_CACHE_MAX_BYTES = Spec::whole("MILLRACE_LOCAL_CACHE_MAX_BYTES", 32 << 20, 64 << 10, 8 << 30,
        "Most bytes in the local cache, about.");
    LOCAL_CACHE_FRESHNESS_MS = Spec::whole("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", 1_000, 0, 60_000,
        "How long a local copy is taken for good; 0: never.");
    EMERGENCY_FRESHNESS_MS = Spec::whole("MILLRACE_EMERGENCY_FRESHNESS_MS", 60_000, 0, 3_600_000,
        "How long a local copy is taken for good by reads in emergency mode, if that is longer.");
    MEMORY_THRESHOLD_BYTES = Spec {
        name: "MILLRACE_MEMORY_THRESHOLD_BYTES",
        values: Values::Whole {
            default: 400 << 20,
            min: 16 << 20,
            max: 16 << 30,
            shown: Some("80 % of the function's memory; outside Lambda 419430400"),
        },
        meaning: "The resident size above which the local cache shrinks.",
    };
    DB_MAX_CONNECTIONS = Spec::whole("MILLRACE_DB_MAX_CONNECTIONS", 20, 1, 20,
        "Most connections to the store at once.");
    DB_CONNECT_TIMEOUT_MS = Spec::whole("MILLRACE_DB_CONNECT_TIMEOUT_MS", 3_000, 50, 60_000,
        "How long to wait for a connection to the store; embedded: for other writers too.");
    DB_IDLE_TIMEOUT_SECONDS = Spec::whole("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", 60, 1, 3_600,
        "After how long without use a connection to the store is closed.");
    DB_CALL_TIMEOUT_MS = Spec::whole("MILLRACE_DB_CALL_TIMEOUT_MS", 5_000, 100, 60_000,
        "How long a try of a call to DynamoDB may take.");
    DB_COMMITS = Spec::text("MILLRACE_DB_COMMITS", Some("batched"), "batched, single",
        "How DynamoDB is told of changed queues: 25 to a call (PartiQL), or one a call.");
    BATCH_MAX_ITEMS = Spec::whole("MILLRACE_BATCH_MAX_ITEMS", 25, 1, 25,
        "Most records of one write.");
    BATCH_LINGER_MS = Spec::whole("MILLRACE_BATCH_LINGER_MS", 0, 0, 1_000,
        "How long a batch that is not full waits for more records.");
    BATCH_CONCURRENCY = Spec::whole("MILLRACE_BATCH_CONCURRENCY", 5, 1, 50,
        "Most batches written at once.");
    CONFLICT_RETRIES = Spec::whole("MILLRACE_CONFLICT_RETRIES", 5, 0, 50,
        "How often a commit that met a newer version is tried again.");
    DEADLINE_MARGIN_MS = Spec::whole("MILLRACE_DEADLINE_MARGIN_MS", 500, 50, 60_000,
        "How long before its time-out an invocation stops taking up work and answers.");
    WARM_MAX_PLAYERS = Spec::whole("MILLRACE_WARM_MAX_PLAYERS", 1_000, 1, 100_000,
        "Most players whose queues are put into the shared cache by one warming.");
    WARM_DUE_WITHIN_SECONDS = Spec::whole("MILLRACE_WARM_DUE_WITHIN_SECONDS", 300, 0, 86_400,
        "How soon something has to be due for a queue to be warmed; copies live no longer than their time to live.");
    LOCAL_CACHE = Spec::switch("MILLRACE_LOCAL_CACHE", "The cache inside the process.");
    LOCAL_CACHE_ROLLOUT_PERCENT = Spec::percent("MILLRACE_LOCAL_CACHE_ROLLOUT_PERCENT",
        "For how many of a hundred players the local cache is on.");
    REDIS_CACHE = Spec::switch("MILLRACE_REDIS_CACHE", "The shared cache tier, where `MILLRACE_REDIS_URL` names one.");
    REDIS_CACHE_ROLLOUT_PERCENT = Spec::percent("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT",
        "For how many of a hundred players the shared cache tier is on.");
    BATCHING = Spec::switch("MILLRACE_BATCHING", "Writing records in batches; off: one write a record.");
    BATCHING_ROLLOUT_PERCENT = Spec::percent("MILLRACE_BATCHING_ROLLOUT_PERCENT",
        "For how many of a hundred players records are written in batches.");
    HISTORY_RETENTION_DAYS = Spec::whole("MILLRACE_HISTORY_RETENTION_DAYS", 90, 1, 3_650,
        "How long finished tasks are kept.");
    REJECTIONS_RETENTION_DAYS = Spec::whole("MILLRACE_REJECTIONS_RETENTION_DAYS", 30, 1, 3_650,
        "How long refused commands and malformed input are kept.");
    LOG = Spec::text("MILLRACE_LOG", Some("info"),
        "off, error, warn, info, debug, trace, or directives such as info,millrace_store=debug",
        "What is logged.");
}

/// The row of a setting.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    table::ALL.iter().find(|spec| spec.name == name).copied()
}

/// Every setting.
pub(super) fn all() -> Vec<Setting> {
    let setting = |spec: &&'static Spec| Setting {
        name: spec.name,
        default: spec.default(),
        allowed: spec.allowed(),
        meaning: spec.meaning,
    };
    table::ALL.iter().map(setting).collect()
}

/// Every setting as a Markdown table, for the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| setting | default | allowed | meaning |\n|---|---|---|---|\n");
    for Setting { name, default, allowed, meaning } in all() {
        let default = default.map_or_else(|| "unset".to_owned(), |default| format!("`{default}`"));
        // Angle brackets would be taken for HTML.
        let allowed = allowed.replace('<', "\\<");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {default} | {allowed} | {meaning} |");
    }
    text
}
