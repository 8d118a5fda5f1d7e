//! Numbers and switches: the default, the limits, values outside of them.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, time::Duration};

use millrace_cache::LocalSettings;
use millrace_domain::{FeatureSwitch, Rules};

use super::{error, read};
use crate::settings::{
    Authentication, LogSettings, Settings, StoreChoice,
    reference::{Values, table},
};

/// The numbers in `settings`, each with the name of its setting.
fn numbers(settings: &Settings) -> Vec<(&'static str, u64)> {
    let seconds = |duration: Duration| duration.as_secs();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
    let percent = |switch: FeatureSwitch| u64::from(switch.rollout_percent);
    vec![
        ("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", millis(settings.redis_limits.connect_timeout)),
        ("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", millis(settings.redis_limits.response_timeout)),
        ("MILLRACE_REDIS_BREAKER_FAILURES", u64::from(settings.redis_limits.breaker.failures)),
        ("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", millis(settings.redis_limits.breaker.cool_down)),
        ("MILLRACE_ADVANCE_PERIOD_SECONDS", seconds(settings.advance.period)),
        ("MILLRACE_ADVANCE_SLACK_SECONDS", seconds(settings.advance.slack)),
        ("MILLRACE_INACTIVE_PAUSE_DAYS", pause_days(settings)),
        ("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", seconds(settings.cache_ttl.queue)),
        ("MILLRACE_CACHE_TTL_TASK_PROGRESS_SECONDS", seconds(settings.cache_ttl.progress)),
        ("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", seconds(settings.cache_ttl.stats)),
        ("MILLRACE_CACHE_TTL_FREQUENT_DATA_SECONDS", seconds(settings.cache_ttl.frequent)),
        ("MILLRACE_LOCAL_CACHE_MAX_ENTRIES", settings.local_cache.max_entries),
        ("MILLRACE_LOCAL_CACHE_MAX_BYTES", settings.local_cache.max_bytes),
        ("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", settings.local_cache.freshness_ms),
        ("MILLRACE_EMERGENCY_FRESHNESS_MS", settings.local_cache.emergency_freshness_ms),
        ("MILLRACE_MEMORY_THRESHOLD_BYTES", settings.memory_threshold_bytes),
        ("MILLRACE_DB_MAX_CONNECTIONS", settings.database.max_connections as u64),
        ("MILLRACE_DB_CONNECT_TIMEOUT_MS", millis(settings.database.connect_timeout)),
        ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", seconds(settings.database.idle_timeout)),
        ("MILLRACE_DB_CALL_TIMEOUT_MS", millis(settings.database.call_timeout)),
        ("MILLRACE_BATCH_MAX_ITEMS", settings.batch_writer.max_items as u64),
        ("MILLRACE_BATCH_LINGER_MS", millis(settings.batch_writer.linger)),
        ("MILLRACE_BATCH_CONCURRENCY", settings.batch_writer.concurrency as u64),
        ("MILLRACE_CONFLICT_RETRIES", u64::from(settings.conflict_retries)),
        ("MILLRACE_DEADLINE_MARGIN_MS", millis(settings.deadline_margin)),
        ("MILLRACE_WARM_MAX_PLAYERS", settings.upkeep.warm_max_players as u64),
        ("MILLRACE_WARM_INTERVAL_SECONDS", seconds(settings.upkeep.warm_interval)),
        ("MILLRACE_LOCAL_CACHE_ROLLOUT_PERCENT", percent(settings.features.local_cache)),
        ("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", percent(settings.features.redis_cache)),
        ("MILLRACE_BATCHING_ROLLOUT_PERCENT", percent(settings.features.batching)),
        ("MILLRACE_HISTORY_RETENTION_DAYS", seconds(settings.retention.history) / 86_400),
        ("MILLRACE_REJECTIONS_RETENTION_DAYS", seconds(settings.retention.rejections) / 86_400),
        ("MILLRACE_EVENTS_RETENTION_HOURS", seconds(settings.retention.events) / 3_600),
    ]
}

/// The days without a command after which a queue is paused.
fn pause_days(settings: &Settings) -> u64 {
    let days = (0..=3_650).find(|days| settings.rules == Rules::default().pause_after_days(*days));
    days.expect("a number that is allowed")
}

fn number(settings: &Settings, name: &str) -> u64 {
    numbers(settings).into_iter().find(|(other, _)| *other == name).unwrap_or_else(|| panic!("{name} is not covered")).1
}

#[test]
fn every_row_of_the_table_is_read() {
    let asked = RefCell::new(BTreeSet::new());
    Settings::from_lookup(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "MILLRACE_STORE").then(|| "dynamodb".to_owned())
    })
    .unwrap();
    let asked = asked.into_inner();
    let names: BTreeSet<_> = table::ALL.iter().map(|spec| spec.name.to_owned()).collect();
    assert_eq!(names.len(), table::ALL.len(), "two rows have one name");
    assert_eq!(asked.into_iter().filter(|name| name.starts_with("MILLRACE_")).collect::<BTreeSet<_>>(), names);
}

#[test]
fn the_defaults() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.store, StoreChoice::Sqlite(PathBuf::from("x.db")));
    assert_eq!(settings.table_prefix, "millrace-");
    assert_eq!(settings.redis, None);
    assert_eq!((&settings.ticks_queue_url, &settings.clock_file), (&None, &None));
    assert_eq!(settings.authentication, Authentication::Authorizer);
    assert_eq!(settings.log, LogSettings::parse("info").unwrap());
    for feature in [settings.features.local_cache, settings.features.redis_cache, settings.features.batching] {
        assert_eq!(feature, FeatureSwitch::ON);
    }
    let limits = [500, 200, 3, 1_000, 60, 5, 0];
    let caches = [300, 60, 600, 1_800, 10_000, 32 << 20, 1_000, 60_000, 400 << 20];
    let store = [20, 3_000, 60, 5_000, 25, 0, 5, 5, 500, 1_000, 900, 100, 100, 100, 90, 30, 24];
    let expected = limits.into_iter().chain(caches).chain(store);
    let found = numbers(&settings);
    assert_eq!(
        found.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        expected.collect::<Vec<u64>>(),
        "{found:?}"
    );
    assert_eq!(settings.local_cache, LocalSettings::default(), "the cache has the same defaults");
}

#[test]
fn whole_numbers_are_checked_at_their_limits() {
    for spec in table::ALL {
        let Values::Whole { default, min, max, .. } = spec.values else { continue };
        let name = spec.name;
        assert!((min..=max).contains(&default), "{name}");
        for allowed in [min, max] {
            let settings = read(&[(name, &allowed.to_string())]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(number(&settings, name), allowed, "{name}");
        }
        let mut refused = vec![(max + 1).to_string(), u64::MAX.to_string(), "99999999999999999999".to_owned()];
        refused.extend(min.checked_sub(1).map(|below| below.to_string()));
        refused.extend(["", " ", "-1", "+5", "5 ", "5.0", "1e2", "0x10", "five", "٥"].map(str::to_owned));
        for value in refused {
            let expected = format!("{name}={value} is not allowed; allowed: a whole number from {min} to {max}");
            assert_eq!(error(name, &value), expected);
        }
    }
}

#[test]
fn switches_are_on_or_off() {
    type Get = fn(&Settings) -> FeatureSwitch;
    let switches: [(&str, Get); 3] = [
        ("MILLRACE_LOCAL_CACHE", |settings| settings.features.local_cache),
        ("MILLRACE_REDIS_CACHE", |settings| settings.features.redis_cache),
        ("MILLRACE_BATCHING", |settings| settings.features.batching),
    ];
    for (name, get) in switches {
        assert!(get(&read(&[(name, "on")]).unwrap()).enabled);
        let rollout = format!("{name}_ROLLOUT_PERCENT");
        let settings = read(&[(name, "off"), (&rollout, "40")]).unwrap();
        assert_eq!(get(&settings), FeatureSwitch { enabled: false, rollout_percent: 40 });
        for value in ["", "ON", "true", "1", "on "] {
            assert_eq!(error(name, value), format!("{name}={value} is not allowed; allowed: on, off"));
        }
    }
}

#[test]
fn the_memory_threshold_follows_the_function() {
    let threshold = |vars: &[(&str, &str)]| read(vars).unwrap().memory_threshold_bytes;
    assert_eq!(threshold(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")]), (512 << 20) / 5 * 4);
    assert_eq!(threshold(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1")]), 16 << 20, "never below what is allowed");
    let both = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"), ("MILLRACE_MEMORY_THRESHOLD_BYTES", "99999999")];
    assert_eq!(threshold(&both), 99_999_999);
    assert_eq!(
        error("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=much is not allowed; allowed: a whole number of MiB, as Lambda sets it"
    );
}
