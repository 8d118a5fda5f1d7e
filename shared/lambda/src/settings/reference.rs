//! Every setting: its name, default, allowed values, meaning. Settings are read and documented from
//! this one table.

use std::fmt::Write as _;

/// The prefix of the names of settings.
pub const PREFIX: &str = "MILLRACE_";

/// A setting: a row of the table.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) values: Values,
    pub(super) meaning: &'static str,
}

/// The values of a setting.
#[derive(Debug)]
pub(super) enum Values {
    /// A whole number; `shown` replaces the default in the documentation if it depends on
    /// something.
    Whole { default: u64, min: u64, max: u64, shown: Option<&'static str> },
    /// `on` or `off`; the default is `on`.
    Switch,
    /// Text; `allowed` says in words which.
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

    /// The allowed values, in words.
    pub(super) fn allowed(&self) -> String {
        match self.values {
            Values::Whole { min, max, .. } => format!("a whole number from {min} to {max}"),
            Values::Switch => "on, off".to_owned(),
            Values::Text { allowed, .. } => allowed.to_owned(),
        }
    }

    /// The default, in words; none: the meaning says what unset means.
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
        "The store of queues and records. Required. `sqlite` is the embedded store for local use; the \
         functions that `make functions` builds do not contain it.");
    TABLE_PREFIX = Spec::text("MILLRACE_TABLE_PREFIX", Some("millrace-"), "0 to 200 characters of A-Z a-z 0-9 _ . -",
        "Tables are named `<prefix>queues` and so on. Keys in the shared cache have the same prefix.");
    REDIS_URL = Spec::text("MILLRACE_REDIS_URL", None,
        "redis://[user:password@]host[:port][/database] or the same with rediss://",
        "The shared cache: a Redis or Valkey server. Unset or empty: only the local cache is used.");
    REDIS_MODE = Spec::text("MILLRACE_REDIS_MODE", Some("standalone"), "standalone, cluster",
        "Whether the shared cache is one server or a cluster.");
    REDIS_CA_FILE = Spec::text("MILLRACE_REDIS_CA_FILE", None, "the path of a file in PEM format",
        "The certificate authorities to trust on rediss://. Unset or empty: those of the system.");
    REDIS_IAM_CACHE_NAME = Spec::text("MILLRACE_REDIS_IAM_CACHE_NAME", None,
        "the name of an ElastiCache cache, with a user and no password in a rediss:// URL",
        "The cache for which IAM tokens are made as passwords. Unset or empty: the password of the URL, if \
         any, is used.");
    REDIS_IAM_CACHE_KIND = Spec::text("MILLRACE_REDIS_IAM_CACHE_KIND", Some("nodes"),
        "nodes, or serverless with MILLRACE_REDIS_MODE=cluster",
        "What the cache of the IAM tokens is: a replication group of nodes, or a serverless cache.");
    REDIS_CONNECT_TIMEOUT_MS = Spec::whole("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", 500, 10, 10_000,
        "How long a connection to the shared cache may take to open.");
    REDIS_RESPONSE_TIMEOUT_MS = Spec::whole("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", 200, 5, 10_000,
        "How long a call waits for an answer of the shared cache.");
    REDIS_BREAKER_FAILURES = Spec::whole("MILLRACE_REDIS_BREAKER_FAILURES", 3, 1, 100,
        "The circuit breaker opens after this many failures in a row: calls to the shared cache are skipped.");
    REDIS_BREAKER_COOL_DOWN_MS = Spec::whole("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", 1_000, 50, 60_000,
        "How long the circuit breaker stays open before the next attempt. The time grows with each failed \
         attempt, up to 30 s. While the shared cache refuses writes, it is at most 1 s.");
    TICKS_QUEUE_URL = Spec::text("MILLRACE_TICKS_QUEUE_URL", None, "the http:// or https:// URL of an SQS queue",
        "The queue to which `advance-queues` sends ticks. Unset or empty: it advances queues itself.");
    EVENTS = Spec::text("MILLRACE_EVENTS", None,
        "eventbridge:<name or ARN of an event bus>, sqs:<URL of a FIFO queue>, table, separated by commas, each once",
        "Where events are published: event buses, FIFO queues of SQS, and the events table. Unset or empty: no \
         events are kept or published.");
    EVENTS_TYPES = Spec::text("MILLRACE_EVENTS_TYPES", None,
        "types of events, such as taskStarted,thresholdCrossed, separated by commas, each once",
        "The types of events that go to event buses and queues. The events table gets all types. Unset or \
         empty: all types.");
    EVENTS_RETENTION_HOURS = Spec::whole("MILLRACE_EVENTS_RETENTION_HOURS", 24, 1, 8_760,
        "How long the events table keeps events.");
    MONITORED_QUEUES = Spec::text("MILLRACE_MONITORED_QUEUES", None,
        "http:// or https:// URLs of SQS queues, separated by commas, each once, at most 20",
        "The queues whose depth `GET /admin/performance` shows. Unset or empty: none.");
    ADVANCE_PERIOD_SECONDS = Spec::whole("MILLRACE_ADVANCE_PERIOD_SECONDS", 60, 1, 600,
        "The time between two runs of `advance-queues`. A run sends the ticks that are due before the next one.");
    ADVANCE_SLACK_SECONDS = Spec::whole("MILLRACE_ADVANCE_SLACK_SECONDS", 5, 0, 300,
        "How late the next run of `advance-queues` may be. A run also sends the ticks that are due in this \
         time. EventBridge Scheduler starts a run within its minute, so set 60 with it.");
    INACTIVE_PAUSE_DAYS = Spec::whole("MILLRACE_INACTIVE_PAUSE_DAYS", 0, 0, 3_650,
        "A queue with something due is paused after this many days without a command. 0: never. A queue in which a task waits for its `notBefore` is not paused.");
    CLOCK_FILE = Spec::text("MILLRACE_CLOCK_FILE", None,
        "the path of a file (refused where the store is DynamoDB and no endpoint override is set), or unset",
        "A file that moves the clock in tests: it holds milliseconds to add, or an RFC 3339 time. Unset or \
         empty: the system clock.");
    AUTH = Spec::text("MILLRACE_AUTH", None,
        "none (refused where the store is DynamoDB and no endpoint override is set), or unset",
        "`none` allows every HTTP request, for local use. Unset or empty: the authorizer context of a \
         request decides.");
    CORS_ORIGINS = Spec::text("MILLRACE_CORS_ORIGINS", None,
        "*, or origins as browsers send them, such as https://game.example, separated by commas: in lower case, \
         without a path, and without the default port of the scheme",
        "Pages of these origins may use the HTTP API in a browser. Unset or empty: none.");
    HTTP_BASE_PATH = Spec::text("MILLRACE_HTTP_BASE_PATH", None,
        "/, or segments that each begin with a slash, such as /game or /prod/v1, of A-Z a-z 0-9 and $-_.+!*'()~",
        "What the path of every HTTP request begins with: the base path of a custom domain, or the name of a \
         stage. It is removed before routing. Unset, empty or `/`: nothing.");
    CACHE_TTL_ACTIVE_QUEUE_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", 300, 1, 86_400,
        "How long the shared cache keeps the copy of a queue with unfinished tasks.");
    CACHE_TTL_TASK_PROGRESS_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_TASK_PROGRESS_SECONDS", 60, 1, 86_400,
        "How long the shared cache keeps a copy with progress between milestones.");
    CACHE_TTL_PLAYER_STATS_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", 600, 1, 86_400,
        "How long the shared cache keeps the copy of a queue without unfinished tasks.");
    CACHE_TTL_FREQUENT_DATA_SECONDS = Spec::whole("MILLRACE_CACHE_TTL_FREQUENT_DATA_SECONDS", 1_800, 1, 86_400,
        "How long the shared cache keeps first pages of the history.");
    LOCAL_CACHE_MAX_ENTRIES = Spec::whole("MILLRACE_LOCAL_CACHE_MAX_ENTRIES", 10_000, 1, 10_000_000,
        "The most queues in the local cache.");
    LOCAL_CACHE_MAX_BYTES = Spec::whole("MILLRACE_LOCAL_CACHE_MAX_BYTES", 32 << 20, 64 << 10, 8 << 30,
        "The approximate limit of bytes in the local cache.");
    LOCAL_CACHE_FRESHNESS_MS = Spec::whole("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", 1_000, 0, 60_000,
        "How long a copy in the local cache is used without a look into the shared cache or the table. 0: never.");
    EMERGENCY_FRESHNESS_MS = Spec::whole("MILLRACE_EMERGENCY_FRESHNESS_MS", 60_000, 0, 3_600_000,
        "The same for reads in emergency mode, if it is longer.");
    MEMORY_THRESHOLD_BYTES = Spec {
        name: "MILLRACE_MEMORY_THRESHOLD_BYTES",
        values: Values::Whole {
            default: 400 << 20,
            min: 16 << 20,
            max: 16 << 30,
            shown: Some("80 % of the function's memory; outside Lambda 419430400"),
        },
        meaning: "The resident memory of the process above which the local cache shrinks.",
    };
    DB_MAX_CONNECTIONS = Spec::whole("MILLRACE_DB_MAX_CONNECTIONS", 20, 1, 20,
        "The most connections to the store at the same time.");
    DB_CONNECT_TIMEOUT_MS = Spec::whole("MILLRACE_DB_CONNECT_TIMEOUT_MS", 3_000, 50, 60_000,
        "How long a call waits for a connection to the store. The embedded store also waits this long for \
         other writers.");
    DB_IDLE_TIMEOUT_SECONDS = Spec::whole("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", 60, 1, 3_600,
        "A connection to the store is closed after this time without use.");
    DB_CALL_TIMEOUT_MS = Spec::whole("MILLRACE_DB_CALL_TIMEOUT_MS", 5_000, 100, 60_000,
        "How long one attempt of a call to DynamoDB may take.");
    BATCH_MAX_ITEMS = Spec::whole("MILLRACE_BATCH_MAX_ITEMS", 25, 1, 25,
        "The most records in one call, and the most commits.");
    BATCH_LINGER_MS = Spec::whole("MILLRACE_BATCH_LINGER_MS", 0, 0, 1_000,
        "How long a call with fewer records waits for more.");
    BATCH_CONCURRENCY = Spec::whole("MILLRACE_BATCH_CONCURRENCY", 5, 1, 50,
        "The most calls to the store at the same time.");
    CONFLICT_RETRIES = Spec::whole("MILLRACE_CONFLICT_RETRIES", 5, 0, 50,
        "How often a commit is retried after a version conflict.");
    DEADLINE_MARGIN_MS = Spec::whole("MILLRACE_DEADLINE_MARGIN_MS", 500, 50, 60_000,
        "How long before its time-out an invocation stops taking up work and answers.");
    WARM_MAX_PLAYERS = Spec::whole("MILLRACE_WARM_MAX_PLAYERS", 1_000, 1, 100_000,
        "The most players of one warm-up.");
    WARM_INTERVAL_SECONDS = Spec::whole("MILLRACE_WARM_INTERVAL_SECONDS", 900, 1, 86_400,
        "The time between two warm-ups. A warm-up takes the queues with something due before the next one, \
         and the copies that it puts into the shared cache live until then.");
    LOCAL_CACHE = Spec::switch("MILLRACE_LOCAL_CACHE", "The local cache of the process.");
    LOCAL_CACHE_ROLLOUT_PERCENT = Spec::percent("MILLRACE_LOCAL_CACHE_ROLLOUT_PERCENT",
        "The percentage of players for whom the local cache is on.");
    REDIS_CACHE = Spec::switch("MILLRACE_REDIS_CACHE", "The shared cache, if `MILLRACE_REDIS_URL` names one.");
    REDIS_CACHE_ROLLOUT_PERCENT = Spec::percent("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT",
        "The percentage of players for whom the shared cache is on.");
    BATCHING = Spec::switch("MILLRACE_BATCHING", "Writing records in batches. Off: one call for each record.");
    BATCHING_ROLLOUT_PERCENT = Spec::percent("MILLRACE_BATCHING_ROLLOUT_PERCENT",
        "The percentage of players whose records are written in batches.");
    HISTORY_RETENTION_DAYS = Spec::whole("MILLRACE_HISTORY_RETENTION_DAYS", 90, 1, 3_650,
        "How long finished tasks are kept.");
    REJECTIONS_RETENTION_DAYS = Spec::whole("MILLRACE_REJECTIONS_RETENTION_DAYS", 30, 1, 3_650,
        "How long refused commands and malformed input are kept.");
    LOG = Spec::text("MILLRACE_LOG", Some("info"),
        "off, error, warn, info, debug, trace, or directives such as info,millrace_store=debug",
        "The level of the logs, or a level for each module.");
    LOG_SAMPLE_RATE = Spec::text("MILLRACE_LOG_SAMPLE_RATE", Some("0"), "a number from 0 to 1",
        "The share of invocations, chosen at random, whose debug logs are written as well. Debug logs contain \
         payloads and results.");
    METRICS = Spec::text("MILLRACE_METRICS", Some("on"), "on, log, off",
        "The line of metrics at the end of each invocation. It does not depend on the level of the logs. `log`: \
         CloudWatch takes no metrics from it, which saves their price.");
    METRICS_NAMESPACE = Spec::text("MILLRACE_METRICS_NAMESPACE", Some("Millrace"),
        "1 to 255 characters of A-Z a-z 0-9 . - _ / # :, not beginning with AWS/",
        "The namespace of the metrics in CloudWatch.");
    THRESHOLDS = Spec::text("MILLRACE_THRESHOLDS", None,
        "<threshold>=<number>, separated by commas, each once; docs/metrics.md lists the thresholds",
        "Limits of thresholds that differ from their defaults. The infrastructure sets the limits of its alarms \
         here. Unset or empty: the defaults.");
    TRACES = Spec::text("MILLRACE_TRACES", None, "off, xray, otlp:<URL of a collector> with http:// or https://",
        "Where traces are sent: to the daemon of X-Ray, or to an OTLP collector over HTTP. The path of a URL \
         without one is `/v1/traces`. Unset or empty: xray where `AWS_XRAY_DAEMON_ADDRESS` is set, as in \
         Lambda, else off.");
}

/// The row of a setting.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    table::ALL.iter().find(|spec| spec.name == name).copied()
}

/// Every setting as a Markdown table, for the documentation.
pub fn markdown() -> String {
    let mut text = String::from("| setting | default | allowed | meaning |\n|---|---|---|---|\n");
    for spec in table::ALL {
        let Spec { name, meaning, .. } = spec;
        let default = spec.default().map_or_else(|| "unset".to_owned(), |default| format!("`{default}`"));
        // Markdown would read angle brackets as HTML.
        let allowed = spec.allowed().replace('<', "\\<");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {default} | {allowed} | {meaning} |");
    }
    text
}
