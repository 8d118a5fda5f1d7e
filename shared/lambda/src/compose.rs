//! From settings and open back ends to the service, and from an invocation of Lambda to one of the service.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use millrace_cache::{BreakerSettings, Tiers, Ttls, redis::RedisCacheSettings};
use millrace_pipeline::{Parts, Service, ServiceSettings};
use millrace_store::{
    BatchWriter, BatchWriterSettings, RecordStore, Store, dynamodb::DynamoDbSettings, sqlite::SqliteSettings,
};
use tokio::time::Instant;

use crate::{
    clock, resident_memory,
    runtime::Invocation,
    settings::{CacheTtl, RedisSettings, Settings},
};

/// The service that the settings describe, on `store` and `cache`. `seed` sets the jitter of waits: processes
/// that were started together must not wait together.
pub fn service(settings: &Settings, store: Arc<dyn Store>, cache: Tiers, seed: u64) -> Service {
    with(settings, store, cache, service_settings(settings, seed))
}

/// The same for a function whose invocations nobody repeats, those of the clock or of callers over HTTP:
/// what it does not finish has to be found.
pub fn invoked_once_service(settings: &Settings, store: Arc<dyn Store>, cache: Tiers, seed: u64) -> Service {
    let own = ServiceSettings { delivered_again: false, ..service_settings(settings, seed) };
    with(settings, store, cache, own)
}

fn with(settings: &Settings, store: Arc<dyn Store>, cache: Tiers, own: ServiceSettings) -> Service {
    Service::new(Parts {
        batcher: BatchWriter::new(Arc::clone(&store) as Arc<dyn RecordStore>, batcher_settings(settings, own.seed)),
        store,
        cache,
        clock: clock::of(settings),
        resident_bytes: resident_memory::resident_bytes,
        settings: own,
    })
}

/// A seed from the system's randomness. Process ids would not do: in Lambda's sandboxes they are all alike.
pub fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The settings of the embedded store.
pub(crate) fn sqlite_settings(settings: &Settings) -> SqliteSettings {
    SqliteSettings {
        prefix: settings.table_prefix.clone(),
        max_connections: settings.database.max_connections,
        connect_timeout: settings.database.connect_timeout,
        idle_timeout: settings.database.idle_timeout,
        history_retention: settings.retention.history,
        rejections_retention: settings.retention.rejections,
    }
}

/// The settings of the store in DynamoDB.
pub(crate) fn dynamodb_settings(settings: &Settings) -> DynamoDbSettings {
    DynamoDbSettings {
        prefix: settings.table_prefix.clone(),
        max_connections: settings.database.max_connections,
        connect_timeout: settings.database.connect_timeout,
        idle_timeout: settings.database.idle_timeout,
        call_timeout: settings.database.call_timeout,
        commits: settings.database.commits,
        history_retention: settings.retention.history,
        rejections_retention: settings.retention.rejections,
        seed: None,
    }
}

/// The settings of the shared cache tier. Its keys have the tables' prefix: deployments that share a
/// server must not share queues.
pub(crate) fn redis_settings(settings: &Settings, redis: &RedisSettings, seed: u64) -> RedisCacheSettings {
    let CacheTtl { active_queue, task_progress, player_stats, frequent_data } = settings.cache_ttl;
    let limits = &settings.redis_limits;
    RedisCacheSettings {
        mode: redis.mode,
        key_prefix: settings.table_prefix.clone(),
        ttls: Ttls { queue: active_queue, progress: task_progress, stats: player_stats, frequent: frequent_data },
        connect_timeout: limits.connect_timeout,
        response_timeout: limits.response_timeout,
        breaker: BreakerSettings {
            failures: limits.breaker_failures,
            cool_down: limits.breaker_cool_down,
            ..BreakerSettings::default()
        },
        ca_file: redis.ca_file.clone(),
        seed,
        ..RedisCacheSettings::new(redis.url.expose())
    }
}

fn batcher_settings(settings: &Settings, seed: u64) -> BatchWriterSettings {
    BatchWriterSettings {
        max_items: settings.batch.max_items,
        linger: settings.batch.linger,
        concurrency: settings.batch.concurrency,
        seed,
        ..BatchWriterSettings::default()
    }
}

fn service_settings(settings: &Settings, seed: u64) -> ServiceSettings {
    ServiceSettings {
        conflict_retries: settings.conflict_retries,
        deadline_margin: settings.deadline_margin,
        commit_batch: settings.batch.max_items,
        concurrency: settings.batch.concurrency,
        batching: settings.features.batching,
        memory_threshold: settings.memory_threshold_bytes,
        warm_max_players: settings.warming.max_players,
        warm_due_within: settings.warming.due_within,
        function: settings.function_name.clone(),
        look_ahead: settings.advance.period + settings.advance.slack,
        rules: settings.rules,
        seed,
        ..ServiceSettings::default()
    }
}

/// An invocation as the service takes it: its time-out on the clock that never jumps.
pub fn invocation(invocation: &Invocation) -> millrace_pipeline::Invocation {
    let left = Duration::from_millis(invocation.deadline.millis_since(clock::now()));
    millrace_pipeline::Invocation {
        request_id: invocation.request_id.clone(),
        times_out_at: Instant::now() + left,
        cold_start: invocation.cold_start,
    }
}

#[cfg(test)]
mod tests {
    use millrace_cache::redis::RedisMode;
    use millrace_domain::{Rules, Timestamp};
    use millrace_store::dynamodb::CommitMode;

    use super::*;

    #[test]
    fn the_service_is_told_what_was_set() {
        let vars = [
            ("MILLRACE_STORE", "dynamodb"),
            ("MILLRACE_CONFLICT_RETRIES", "7"),
            ("MILLRACE_DEADLINE_MARGIN_MS", "900"),
            ("MILLRACE_BATCH_MAX_ITEMS", "12"),
            ("MILLRACE_BATCH_LINGER_MS", "3"),
            ("MILLRACE_BATCH_CONCURRENCY", "4"),
            ("MILLRACE_BATCHING_ROLLOUT_PERCENT", "30"),
            ("MILLRACE_MEMORY_THRESHOLD_BYTES", "99999999"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f-1"),
            ("MILLRACE_WARM_MAX_PLAYERS", "77"),
            ("MILLRACE_WARM_DUE_WITHIN_SECONDS", "8"),
            ("MILLRACE_ADVANCE_PERIOD_SECONDS", "30"),
            ("MILLRACE_ADVANCE_SLACK_SECONDS", "7"),
            ("MILLRACE_INACTIVE_PAUSE_DAYS", "4"),
        ];
        let settings = Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let service = service_settings(&settings, 1);
        assert_eq!((service.conflict_retries, service.deadline_margin.as_millis()), (7, 900));
        assert_eq!((service.commit_batch, service.concurrency, service.memory_threshold), (12, 4, 99_999_999));
        assert_eq!(service.function, "f-1");
        assert_eq!((service.warm_max_players, service.warm_due_within.as_secs()), (77, 8));
        assert_eq!((service.batching.enabled, service.batching.rollout_percent), (true, 30));
        assert_eq!((service.look_ahead.as_secs(), service.delivered_again), (37, true));
        assert_eq!(service.rules, Rules::default().pause_after_days(4));
        let batcher = batcher_settings(&settings, 2);
        assert_eq!((batcher.max_items, batcher.linger.as_millis(), batcher.concurrency), (12, 3, 4));
        assert_eq!((service.seed, batcher.seed), (1, 2));
        assert_ne!(random_seed(), random_seed());
    }

    #[test]
    fn the_stores_are_told_what_was_set() {
        let vars = [
            ("MILLRACE_STORE", "dynamodb"),
            ("MILLRACE_TABLE_PREFIX", "t-"),
            ("MILLRACE_DB_MAX_CONNECTIONS", "6"),
            ("MILLRACE_DB_CONNECT_TIMEOUT_MS", "80"),
            ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", "9"),
            ("MILLRACE_DB_CALL_TIMEOUT_MS", "700"),
            ("MILLRACE_DB_COMMITS", "single"),
            ("MILLRACE_HISTORY_RETENTION_DAYS", "1"),
            ("MILLRACE_REJECTIONS_RETENTION_DAYS", "2"),
        ];
        let settings = Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let day = Duration::from_secs(86_400);
        let expected = SqliteSettings {
            prefix: "t-".to_owned(),
            max_connections: 6,
            connect_timeout: Duration::from_millis(80),
            idle_timeout: Duration::from_secs(9),
            history_retention: day,
            rejections_retention: 2 * day,
        };
        assert_eq!(sqlite_settings(&settings), expected);
        let expected = DynamoDbSettings {
            prefix: "t-".to_owned(),
            max_connections: 6,
            connect_timeout: Duration::from_millis(80),
            idle_timeout: Duration::from_secs(9),
            call_timeout: Duration::from_millis(700),
            commits: CommitMode::Single,
            history_retention: day,
            rejections_retention: 2 * day,
            seed: None,
        };
        assert_eq!(dynamodb_settings(&settings), expected);
    }

    #[test]
    fn the_cache_is_told_what_was_set() {
        let vars = [
            ("MILLRACE_STORE", "dynamodb"),
            ("MILLRACE_TABLE_PREFIX", "t-"),
            ("MILLRACE_REDIS_URL", "rediss://app:secret@cache"),
            ("MILLRACE_REDIS_MODE", "cluster"),
            ("MILLRACE_REDIS_CA_FILE", "ca.pem"),
            ("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "11"),
            ("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "12"),
            ("MILLRACE_REDIS_BREAKER_FAILURES", "13"),
            ("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", "140"),
            ("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", "1"),
            ("MILLRACE_CACHE_TTL_TASK_PROGRESS_SECONDS", "2"),
            ("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", "3"),
            ("MILLRACE_CACHE_TTL_FREQUENT_DATA_SECONDS", "4"),
        ];
        let settings = Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let tier = redis_settings(&settings, settings.redis.as_ref().unwrap(), 5);
        assert_eq!((tier.url.as_str(), tier.mode), ("rediss://app:secret@cache", RedisMode::Cluster));
        assert_eq!((tier.key_prefix.as_str(), tier.seed), ("t-", 5));
        assert_eq!(tier.ca_file.as_deref(), Some(std::path::Path::new("ca.pem")));
        assert_eq!((tier.connect_timeout.as_millis(), tier.response_timeout.as_millis()), (11, 12));
        assert_eq!((tier.breaker.failures, tier.breaker.cool_down.as_millis()), (13, 140));
        let [queue, progress, stats, frequent] = [1, 2, 3, 4].map(Duration::from_secs);
        assert_eq!(tier.ttls, Ttls { queue, progress, stats, frequent });
    }

    #[test]
    fn the_time_out_is_as_far_away_as_the_deadline() {
        let deadline = clock::now() + 30_000_u64;
        let of_lambda = Invocation { payload: "{}".into(), request_id: "r-1".to_owned(), deadline, cold_start: true };
        let before = Instant::now();
        let taken = invocation(&of_lambda);
        let left = taken.times_out_at - before;
        assert!(left <= Duration::from_secs(30) + before.elapsed() && left > Duration::from_secs(29), "{left:?}");
        assert_eq!((taken.request_id.as_str(), taken.cold_start), ("r-1", true));
        let passed = invocation(&Invocation { deadline: Timestamp::from_millis(1), ..of_lambda });
        assert!(passed.times_out_at <= Instant::now(), "a deadline that has passed is now");
    }
}
