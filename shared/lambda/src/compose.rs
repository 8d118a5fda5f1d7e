//! From settings and open back ends to the pipeline.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
};

use millrace_cache::redis::RedisCacheSettings;
use millrace_pipeline::{PipelineSettings, Platform, PlatformParts, steps::apply::apply_items};
use millrace_store::{BatchWriter, BatchWriterSettings, MeteredStore, RecordStore, Store, dynamodb::DynamoDbSettings};

use crate::{
    opened::BackEnds,
    resident_memory,
    settings::{RedisSettings, Settings},
};

/// The platform of the pipeline on open back ends, with a random seed for the jitter of waits:
/// processes that start together must not retry together.
///
/// `redelivered` says whether the source of the invocations delivers unfinished work again.
pub fn platform(settings: &Settings, back_ends: BackEnds, redelivered: bool) -> Platform {
    let BackEnds { store, cache, publishing, history, clock } = back_ends;
    let seed = random_seed();
    let store: Arc<dyn Store> = Arc::new(MeteredStore::new(store));
    let records = Arc::clone(&store) as Arc<dyn RecordStore>;
    Platform::new(PlatformParts {
        batch_writer: BatchWriter::new(records, BatchWriterSettings { seed, ..settings.batch_writer.clone() }),
        store,
        cache,
        publishing,
        history,
        clock,
        resident_bytes: resident_memory::resident_bytes,
        apply: apply_items,
        settings: PipelineSettings { is_redelivered: redelivered, ..pipeline_settings(settings, seed) },
    })
}

/// A seed from the randomness of the system. Process ids would not do: in the execution
/// environments of Lambda they are all alike.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The settings of the DynamoDB store.
pub(crate) fn dynamodb_settings(settings: &Settings) -> DynamoDbSettings {
    DynamoDbSettings {
        prefix: settings.table_prefix.clone(),
        max_connections: settings.database.max_connections,
        connect_timeout: settings.database.connect_timeout,
        idle_timeout: settings.database.idle_timeout,
        call_timeout: settings.database.call_timeout,
        retention: settings.retention,
    }
}

/// The settings of the shared cache. Its keys have the prefix of the tables, so that deployments on
/// one server do not share queues.
pub(crate) fn redis_settings(settings: &Settings, redis: &RedisSettings, seed: u64) -> RedisCacheSettings {
    let limits = &settings.redis_limits;
    RedisCacheSettings {
        mode: redis.mode,
        key_prefix: settings.table_prefix.clone(),
        ttls: settings.cache_ttl,
        connect_timeout: limits.connect_timeout,
        response_timeout: limits.response_timeout,
        breaker: limits.breaker,
        ca_file: redis.ca_file.clone(),
        seed,
        ..RedisCacheSettings::new(redis.url.expose())
    }
}

fn pipeline_settings(settings: &Settings, seed: u64) -> PipelineSettings {
    PipelineSettings {
        conflict_retries: settings.conflict_retries,
        deadline_margin: settings.deadline_margin,
        commit_batch: settings.batch_writer.max_items,
        concurrency: settings.batch_writer.concurrency,
        batching: settings.features.batching,
        memory_threshold: settings.memory_threshold_bytes,
        memory_mib: settings.function_memory_mib,
        thresholds: settings.thresholds.clone(),
        rules: settings.rules,
        seed,
        ..PipelineSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_cache::{Ttls, redis::RedisMode};
    use millrace_domain::Rules;
    use millrace_store::Retention;

    use super::*;
    use crate::settings::{Limits, tests::read};

    #[test]
    fn the_pipeline_gets_its_settings() {
        let vars = [
            ("MILLRACE_CONFLICT_RETRIES", "7"),
            ("MILLRACE_DEADLINE_MARGIN_MS", "900"),
            ("MILLRACE_BATCH_MAX_ITEMS", "12"),
            ("MILLRACE_BATCH_CONCURRENCY", "4"),
            ("MILLRACE_BATCHING_ROLLOUT_PERCENT", "30"),
            ("MILLRACE_MEMORY_THRESHOLD_BYTES", "99999999"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("MILLRACE_THRESHOLDS", "lateness=60000"),
            ("MILLRACE_ADVANCE_PERIOD_SECONDS", "30"),
            ("MILLRACE_ADVANCE_SLACK_SECONDS", "7"),
            ("MILLRACE_INACTIVE_PAUSE_DAYS", "4"),
        ];
        let settings = read(&vars).unwrap();
        let pipeline = pipeline_settings(&settings, 1);
        assert_eq!((pipeline.conflict_retries, pipeline.deadline_margin.as_millis()), (7, 900));
        assert_eq!((pipeline.commit_batch, pipeline.concurrency, pipeline.memory_threshold), (12, 4, 99_999_999));
        assert_eq!(pipeline.memory_mib, Some(512));
        assert_eq!(pipeline.thresholds, Limits::parse("lateness=60000").unwrap());
        assert_eq!((pipeline.batching.enabled, pipeline.batching.rollout_percent), (true, 30));
        assert_eq!((settings.advance.look_ahead().as_secs(), pipeline.is_redelivered), (37, true));
        assert_eq!(pipeline.rules, Rules::default().pause_after_days(4));
        assert_eq!(pipeline.seed, 1);
        assert_ne!(random_seed(), random_seed());
    }

    #[test]
    fn the_dynamodb_store_gets_its_settings() {
        let vars = [
            ("MILLRACE_TABLE_PREFIX", "t-"),
            ("MILLRACE_DB_MAX_CONNECTIONS", "6"),
            ("MILLRACE_DB_CONNECT_TIMEOUT_MS", "80"),
            ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", "9"),
            ("MILLRACE_DB_CALL_TIMEOUT_MS", "700"),
            ("MILLRACE_HISTORY_RETENTION_DAYS", "1"),
            ("MILLRACE_REJECTIONS_RETENTION_DAYS", "2"),
            ("MILLRACE_EVENTS_RETENTION_HOURS", "3"),
        ];
        let settings = read(&vars).unwrap();
        let day = Duration::from_secs(86_400);
        let expected = DynamoDbSettings {
            prefix: "t-".to_owned(),
            max_connections: 6,
            connect_timeout: Duration::from_millis(80),
            idle_timeout: Duration::from_secs(9),
            call_timeout: Duration::from_millis(700),
            retention: Retention { history: day, rejections: 2 * day, events: day / 8 },
        };
        assert_eq!(dynamodb_settings(&settings), expected);
    }

    #[test]
    fn the_shared_cache_gets_its_settings() {
        let vars = [
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
        let settings = read(&vars).unwrap();
        let tier = redis_settings(&settings, settings.redis.as_ref().unwrap(), 5);
        assert_eq!((tier.url.as_str(), tier.mode), ("rediss://app:secret@cache", RedisMode::Cluster));
        assert_eq!((tier.key_prefix.as_str(), tier.seed), ("t-", 5));
        assert_eq!(tier.ca_file.as_deref(), Some(std::path::Path::new("ca.pem")));
        assert_eq!((tier.connect_timeout.as_millis(), tier.response_timeout.as_millis()), (11, 12));
        assert_eq!((tier.breaker.failures, tier.breaker.cool_down.as_millis()), (13, 140));
        let [queue, progress, stats, frequent] = [1, 2, 3, 4].map(Duration::from_secs);
        assert_eq!(tier.ttls, Ttls { queue, progress, stats, frequent });
    }
}
