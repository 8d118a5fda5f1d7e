//! Every setting: its default, its ends, what lies just outside, and what is no value at all.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, time::Duration};

use millrace_cache::redis::RedisMode;

use super::{
    reference::{Values, table},
    *,
};

/// The settings of these variables; the store is set unless they say otherwise.
fn read(vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let mut all = vec![("MILLRACE_STORE", "sqlite:x.db")];
    all.retain(|(name, _)| !vars.iter().any(|(other, _)| other == name));
    all.extend(vars);
    Settings::from_vars(all.into_iter().map(|(name, value)| (name.into(), value.into())))
}

fn error(name: &str, value: &str) -> String {
    let error = read(&[(name, value)]).expect_err(&format!("{name}={value} should be refused")).to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// The numbers of `settings`, by the name of their setting.
fn numbers(settings: &Settings) -> Vec<(&'static str, u64)> {
    let seconds = |duration: Duration| duration.as_secs();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
    let percent = |switch: FeatureSwitch| u64::from(switch.rollout_percent);
    vec![
        ("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", millis(settings.redis_limits.connect_timeout)),
        ("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", millis(settings.redis_limits.response_timeout)),
        ("MILLRACE_REDIS_BREAKER_FAILURES", u64::from(settings.redis_limits.breaker_failures)),
        ("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", millis(settings.redis_limits.breaker_cool_down)),
        ("MILLRACE_ADVANCE_PERIOD_SECONDS", seconds(settings.advance.period)),
        ("MILLRACE_ADVANCE_SLACK_SECONDS", seconds(settings.advance.slack)),
        ("MILLRACE_INACTIVE_PAUSE_DAYS", pause_days(settings)),
        ("MILLRACE_CACHE_TTL_ACTIVE_QUEUE_SECONDS", seconds(settings.cache_ttl.active_queue)),
        ("MILLRACE_CACHE_TTL_TASK_PROGRESS_SECONDS", seconds(settings.cache_ttl.task_progress)),
        ("MILLRACE_CACHE_TTL_PLAYER_STATS_SECONDS", seconds(settings.cache_ttl.player_stats)),
        ("MILLRACE_CACHE_TTL_FREQUENT_DATA_SECONDS", seconds(settings.cache_ttl.frequent_data)),
        ("MILLRACE_LOCAL_CACHE_MAX_ENTRIES", settings.local_cache.max_entries),
        ("MILLRACE_LOCAL_CACHE_MAX_BYTES", settings.local_cache.max_bytes),
        ("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", settings.local_cache.freshness_ms),
        ("MILLRACE_EMERGENCY_FRESHNESS_MS", settings.local_cache.emergency_freshness_ms),
        ("MILLRACE_MEMORY_THRESHOLD_BYTES", settings.memory_threshold_bytes),
        ("MILLRACE_DB_MAX_CONNECTIONS", settings.database.max_connections as u64),
        ("MILLRACE_DB_CONNECT_TIMEOUT_MS", millis(settings.database.connect_timeout)),
        ("MILLRACE_DB_IDLE_TIMEOUT_SECONDS", seconds(settings.database.idle_timeout)),
        ("MILLRACE_DB_CALL_TIMEOUT_MS", millis(settings.database.call_timeout)),
        ("MILLRACE_BATCH_MAX_ITEMS", settings.batch.max_items as u64),
        ("MILLRACE_BATCH_LINGER_MS", millis(settings.batch.linger)),
        ("MILLRACE_BATCH_CONCURRENCY", settings.batch.concurrency as u64),
        ("MILLRACE_CONFLICT_RETRIES", u64::from(settings.conflict_retries)),
        ("MILLRACE_DEADLINE_MARGIN_MS", millis(settings.deadline_margin)),
        ("MILLRACE_WARM_MAX_PLAYERS", settings.warming.max_players as u64),
        ("MILLRACE_WARM_DUE_WITHIN_SECONDS", seconds(settings.warming.due_within)),
        ("MILLRACE_LOCAL_CACHE_ROLLOUT_PERCENT", percent(settings.features.local_cache)),
        ("MILLRACE_REDIS_CACHE_ROLLOUT_PERCENT", percent(settings.features.redis_cache)),
        ("MILLRACE_BATCHING_ROLLOUT_PERCENT", percent(settings.features.batching)),
        ("MILLRACE_HISTORY_RETENTION_DAYS", seconds(settings.retention.history) / 86_400),
        ("MILLRACE_REJECTIONS_RETENTION_DAYS", seconds(settings.retention.rejections) / 86_400),
    ]
}

/// After how many days an inactive queue is paused.
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
    let names: BTreeSet<_> = Settings::reference().into_iter().map(|setting| setting.name.to_owned()).collect();
    assert_eq!(names.len(), table::ALL.len(), "two rows have one name");
    assert_eq!(asked.into_iter().filter(|name| name.starts_with("MILLRACE_")).collect::<BTreeSet<_>>(), names);
}

#[test]
fn defaults() {
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
    let store = [20, 3_000, 60, 5_000, 25, 0, 5, 5, 500, 1_000, 300, 100, 100, 100, 90, 30];
    let expected = limits.into_iter().chain(caches).chain(store);
    let found = numbers(&settings);
    assert_eq!(
        found.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        expected.collect::<Vec<u64>>(),
        "{found:?}"
    );
    assert_eq!(settings.local_cache, LocalSettings::default(), "the cache has the same defaults");
    assert_eq!(settings.database.commits, CommitMode::Batched);
}

#[test]
fn whole_numbers_at_their_ends_and_just_outside() {
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
fn stores() {
    assert_eq!(read(&[("MILLRACE_STORE", "dynamodb")]).unwrap().store, StoreChoice::DynamoDb);
    let path = read(&[("MILLRACE_STORE", "sqlite:/a/b:c.db")]).unwrap().store;
    assert_eq!(path, StoreChoice::Sqlite(PathBuf::from("/a/b:c.db")));
    for value in ["", "DynamoDB", "dynamodb:", "sqlite", "sqlite:", "sqlite::memory:", "postgres:x", "x.db"] {
        let expected = format!("MILLRACE_STORE={value} is not allowed; allowed: dynamodb, sqlite:<path of a file>");
        assert_eq!(error("MILLRACE_STORE", value), expected);
    }
    let missing = Settings::from_vars([]).unwrap_err().to_string();
    assert_eq!(missing, "MILLRACE_STORE is not set; allowed: dynamodb, sqlite:<path of a file>");
}

#[test]
fn table_prefixes() {
    for value in ["", "a", "A-Za-z0-9_.-", &"x".repeat(200)] {
        assert_eq!(read(&[("MILLRACE_TABLE_PREFIX", value)]).unwrap().table_prefix, value);
    }
    for value in ["a b", "ä", "a/b", "a:b"] {
        let expected =
            format!("MILLRACE_TABLE_PREFIX={value} is not allowed; allowed: 0 to 200 characters of A-Z a-z 0-9 _ . -");
        assert_eq!(error("MILLRACE_TABLE_PREFIX", value), expected);
    }
    assert!(error("MILLRACE_TABLE_PREFIX", &"x".repeat(201)).contains("0 to 200 characters"));
    assert!(error("MILLRACE_TABLE_PREFIX", &"x/".repeat(100_000)).len() < 500, "a long value is clipped");
    assert!(error("MILLRACE_TABLE_PREFIX", "a\nb\tc").contains("=a\u{fffd}b\u{fffd}c is"));
}

#[test]
fn redis() {
    for url in [
        "redis://localhost",
        "rediss://cache.example.com:6380",
        "redis://:pa%40ss@10.0.0.1:6379/2",
        "redis://user:password@[::1]:6379/0?protocol=resp3",
    ] {
        let settings = read(&[("MILLRACE_REDIS_URL", url), ("MILLRACE_REDIS_MODE", "cluster")]).unwrap();
        let redis = settings.redis.unwrap();
        assert_eq!((redis.url.expose(), redis.mode), (url, RedisMode::Cluster));
    }
    assert_eq!(read(&[("MILLRACE_REDIS_URL", "")]).unwrap().redis, None, "empty is unset");
    let redis = read(&[("MILLRACE_REDIS_URL", "redis://h")]).unwrap().redis.unwrap();
    assert_eq!(redis.mode, RedisMode::Standalone);
    for mode in ["", "Cluster", "sentinel"] {
        let expected = format!("MILLRACE_REDIS_MODE={mode} is not allowed; allowed: standalone, cluster");
        assert_eq!(error("MILLRACE_REDIS_MODE", mode), expected);
    }
}

#[test]
fn redis_over_tls_and_with_tokens() {
    let url = ("MILLRACE_REDIS_URL", "rediss://app@cache.example.com");
    let redis = read(&[url]).unwrap().redis.unwrap();
    assert_eq!((redis.ca_file, redis.iam_cache_name, redis.url.token_user()), (None, None, Some("app")));
    let vars = [url, ("MILLRACE_REDIS_CA_FILE", "/etc/ca.pem"), ("MILLRACE_REDIS_IAM_CACHE_NAME", "Millrace-1")];
    let redis = read(&vars).unwrap().redis.unwrap();
    assert_eq!(redis.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!(redis.iam_cache_name.as_deref(), Some("millrace-1"), "ElastiCache knows it in lower case");
    for name in ["a b", "a/b", &"x".repeat(41)] {
        let error = error("MILLRACE_REDIS_IAM_CACHE_NAME", name);
        assert!(error.contains("is not allowed; allowed: the name of an ElastiCache replication group"), "{error}");
    }
    for url in ["redis://app@cache", "rediss://cache", "rediss://app:secret@cache", "rediss://:secret@cache"] {
        let vars = [("MILLRACE_REDIS_URL", url), ("MILLRACE_REDIS_IAM_CACHE_NAME", "millrace")];
        let error = read(&vars).unwrap_err().to_string();
        assert!(error.starts_with("MILLRACE_REDIS_IAM_CACHE_NAME=millrace is not allowed; allowed: the name"));
        assert!(error.ends_with("MILLRACE_REDIS_URL=rediss://user@host"), "{error}");
    }
}

#[test]
fn commit_modes() {
    for (value, mode) in [("batched", CommitMode::Batched), ("single", CommitMode::Single)] {
        assert_eq!(read(&[("MILLRACE_DB_COMMITS", value)]).unwrap().database.commits, mode);
    }
    for value in ["", "Batched", "partiql"] {
        let expected = format!("MILLRACE_DB_COMMITS={value} is not allowed; allowed: batched, single");
        assert_eq!(error("MILLRACE_DB_COMMITS", value), expected);
    }
}

#[test]
fn secrets_stay_hidden() {
    let settings = read(&[("MILLRACE_REDIS_URL", "redis://app:hunter2@cache:6379/1?password=hunter2")]).unwrap();
    for shown in [format!("{settings:?}"), format!("{settings:#?}"), settings.redis.unwrap().url.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("redis://***@cache:6379/1"), "{shown}");
    }
    for url in [
        "redis://app:hunter2@",
        "redis://app:hunter2@cache:port",
        "redis://app:hunter2@cache:0",
        "redis://app:hunter2@cache/first",
        "redis://:hunter2",
        "redis:hunter2@cache",
        "http://app:hunter2@cache",
        "hunter2",
        "hunter2://cache",
        "redis://app:hunter2 @cache",
    ] {
        let error = error("MILLRACE_REDIS_URL", url);
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.starts_with("MILLRACE_REDIS_URL=") && error.contains("*** is not allowed; allowed: redis://"));
    }
    for (name, value) in
        [("MILLRACE_STORE", "redis://app:hunter2@cache"), ("MILLRACE_TICKS_QUEUE_URL", "https://app:hunter2@sqs/1/q")]
    {
        let error = error(name, value);
        assert!(!error.contains("hunter2"), "{error}");
    }
    let unknown = read(&[("MILLRACE_REDIS_PASSWORD", "hunter2")]).unwrap();
    assert!(!format!("{unknown:?}").contains("hunter2"), "{unknown:?}");
}

#[test]
fn ticks_queue_urls() {
    for url in ["https://sqs.eu-west-1.amazonaws.com/123456789012/ticks", "http://localhost:4566/000000000000/ticks"] {
        let settings = read(&[("MILLRACE_TICKS_QUEUE_URL", url)]).unwrap();
        assert_eq!(settings.ticks_queue_url.as_deref(), Some(url));
    }
    assert_eq!(read(&[("MILLRACE_TICKS_QUEUE_URL", "")]).unwrap().ticks_queue_url, None, "empty is unset");
    for url in [
        "ticks",
        "arn:aws:sqs:eu-west-1:123456789012:ticks",
        "https://",
        "https://sqs",
        "ftp://sqs/1/q",
        "https://sqs:x/1/q",
    ] {
        let expected = format!(
            "MILLRACE_TICKS_QUEUE_URL={url} is not allowed; allowed: the http:// or https:// URL of an SQS queue"
        );
        assert_eq!(error("MILLRACE_TICKS_QUEUE_URL", url), expected);
    }
}

#[test]
fn no_authentication_only_away_from_aws() {
    let none = ("MILLRACE_AUTH", "none");
    let dynamodb = ("MILLRACE_STORE", "dynamodb");
    assert_eq!(read(&[none]).unwrap().authentication, Authentication::None);
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
        let settings = read(&[none, dynamodb, (name, "http://localhost:8000")]).unwrap();
        assert_eq!(settings.authentication, Authentication::None);
    }
    for vars in [
        vec![none, dynamodb],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL", "")],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL_SQS", "http://localhost:8000")],
        vec![none, dynamodb, ("AWS_ENDPOINT_URL", "http://l"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
    ] {
        let error = read(&vars).unwrap_err().to_string();
        assert!(
            error.starts_with("MILLRACE_AUTH=none is not allowed; allowed: unset, or none with AWS_ENDPOINT"),
            "{error}"
        );
    }
    assert_eq!(read(&[("MILLRACE_AUTH", ""), dynamodb]).unwrap().authentication, Authentication::Authorizer);
    for value in ["None", "iam", "off"] {
        assert!(
            error("MILLRACE_AUTH", value).starts_with(&format!("MILLRACE_AUTH={value} is not allowed; allowed: none"))
        );
    }
}

#[test]
fn a_moved_clock_only_away_from_aws() {
    let file = ("MILLRACE_CLOCK_FILE", "/tmp/clock");
    let dynamodb = ("MILLRACE_STORE", "dynamodb");
    let read_path = |vars: &[(&str, &str)]| read(vars).unwrap().clock_file;
    assert_eq!(read_path(&[file]), Some(PathBuf::from("/tmp/clock")));
    assert_eq!(read_path(&[file, dynamodb, ("AWS_ENDPOINT_URL", "http://l")]), Some(PathBuf::from("/tmp/clock")));
    assert_eq!(read_path(&[dynamodb, ("MILLRACE_CLOCK_FILE", "")]), None);
    for vars in [vec![file, dynamodb], vec![file, dynamodb, ("AWS_ENDPOINT_URL_SQS", "http://l")]] {
        let error = read(&vars).unwrap_err().to_string();
        let expected = "MILLRACE_CLOCK_FILE=/tmp/clock is not allowed; allowed: unset, or the path of a file with AWS_";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn log_directives() {
    for value in ["off", "error", "WARN", "info", "trace", "info,millrace_store=debug", "info, hyper=off,"] {
        assert!(read(&[("MILLRACE_LOG", value)]).is_ok(), "{value}");
    }
    for value in ["", " ", ",", "inof", "loud", "info,hyper", "hyper=loud", "a=b=c", "[span]"] {
        let expected = format!(
            "MILLRACE_LOG={value} is not allowed; allowed: off, error, warn, info, debug, trace, or directives such as info,millrace_store=debug"
        );
        assert_eq!(error("MILLRACE_LOG", value), expected);
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

#[test]
fn unknown_settings_are_listed_with_the_nearest_ones_and_stop_nothing() {
    let settings = read(&[("MILLRACE_BATCH_MAX_ITEM", "3"), ("MILLRACES", "x"), ("OTHER", "x")]).unwrap();
    let unknown: Vec<_> = settings.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown.len(), 1, "others are not ours: {unknown:?}");
    let expected =
        "MILLRACE_BATCH_MAX_ITEM is not a setting and has no effect; the nearest ones: MILLRACE_BATCH_MAX_ITEMS, ";
    assert!(unknown[0].starts_with(expected), "{unknown:?}");
    assert_eq!(settings.batch.max_items, 25);
}

#[test]
#[cfg(unix)]
fn values_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let vars = [("MILLRACE_STORE".into(), OsString::from_vec(b"sqlite:\xff.db".to_vec()))];
    let error = Settings::from_vars(vars).unwrap_err().to_string();
    assert_eq!(error, "MILLRACE_STORE=sqlite:\u{fffd}.db is not allowed; allowed: UTF-8 text");
    let vars = [
        ("MILLRACE_STORE".into(), "dynamodb".into()),
        (OsString::from_vec(b"\xff".to_vec()), OsString::from_vec(b"\xff".to_vec())),
    ];
    assert!(Settings::from_vars(vars).is_ok(), "others are not ours");
}

#[test]
fn the_first_error_is_always_the_same() {
    let vars = [("MILLRACE_LOG", "loud"), ("MILLRACE_BATCH_MAX_ITEMS", "26"), ("MILLRACE_CONFLICT_RETRIES", "51")];
    let expected = "MILLRACE_BATCH_MAX_ITEMS=26 is not allowed; allowed: a whole number from 1 to 25";
    for rotation in 0..vars.len() {
        let mut vars = vars;
        vars.rotate_left(rotation);
        assert_eq!(read(&vars).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_reference_has_a_row_for_each_setting() {
    let markdown = markdown();
    assert_eq!(markdown.lines().count(), 2 + table::ALL.len());
    for line in markdown.lines() {
        assert_eq!(line.matches('|').count(), 5, "{line}");
    }
    assert!(markdown.contains("| `MILLRACE_BATCH_MAX_ITEMS` | `25` | a whole number from 1 to 25 | "), "{markdown}");
    assert!(markdown.contains("| `MILLRACE_STORE` | unset | dynamodb, sqlite:\\<path of a file> | "), "{markdown}");
}

#[test]
fn the_documentation_has_the_same_table() {
    let documented = include_str!("../../../../docs/settings.md");
    assert!(documented.contains(&markdown()), "docs/settings.md is not what examples/settings_reference.rs prints");
}

#[test]
fn origins_are_listed_as_a_browser_sends_them() {
    let origins = |value: &str| {
        let vars = [("MILLRACE_STORE", "dynamodb"), ("MILLRACE_CORS_ORIGINS", value)];
        Settings::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).map(|settings| settings.cors_origins)
    };
    assert_eq!(origins(""), Ok(CorsOrigins::Listed(Vec::new())));
    assert_eq!(origins("*"), Ok(CorsOrigins::Any));
    let listed = ["https://game.example", "http://localhost:5173"].map(str::to_owned).to_vec();
    assert_eq!(origins("https://game.example, http://localhost:5173"), Ok(CorsOrigins::Listed(listed)));
    let others = ["https://a:80", "http://a:443", "https://a:8443"].map(str::to_owned).to_vec();
    assert_eq!(origins("https://a:80,http://a:443,https://a:8443"), Ok(CorsOrigins::Listed(others)));
    // No browser sends these.
    for bad in ["https://game.example:443", "http://x:80", "http://a,http://x:80", "https://x:08443"] {
        let error = origins(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("MILLRACE_CORS_ORIGINS={bad} is not allowed")), "{error}");
        assert!(error.contains("without the port that the scheme has anyway"), "{error}");
    }
    for bad in
        ["game.example", "https://game.example/", "https://Game.example", "https://a,*", "ftp://a", "https://u@a", "a,"]
    {
        let error = origins(bad).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("MILLRACE_CORS_ORIGINS={bad} is not allowed")) || bad.contains('@'),
            "{error}"
        );
    }
}
