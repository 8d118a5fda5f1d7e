//! What is measured and kept.

use std::{path::Path, time::Duration};

use millrace_domain::Timestamp;
use millrace_lambda::{Settings, clock, compose, start};
use millrace_pipeline::{Invocation, Service};
use millrace_servers::Redis;
use millrace_tests::{
    function::Setup,
    tables::{Database, PREFIX},
};
use serde_json::{Value, json};

use crate::{grant, invoke, number, players, started, tick};

const HISTORY: &str = "t-{upkeep}:statistics";

/// A service in this process, as a function makes it.
async fn service(folder: &Path, redis: &Redis) -> Service {
    let vars = [
        ("MILLRACE_STORE", format!("sqlite:{}", folder.join("x.db").display())),
        ("MILLRACE_TABLE_PREFIX", PREFIX.to_owned()),
        ("MILLRACE_REDIS_URL", redis.url()),
        ("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000".to_owned()),
    ];
    let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into()));
    let settings = Settings::from_vars(vars).expect("allowed settings");
    let back_ends = start::open(&settings).await.expect("open back ends");
    compose::service(&settings, back_ends.store, back_ends.cache, 1)
}

fn invocation() -> Invocation {
    Invocation {
        request_id: "r-1".to_owned(),
        times_out_at: tokio::time::Instant::now() + Duration::from_secs(30),
        cold_start: false,
    }
}

fn with(setup: Setup, redis: &Redis) -> Setup {
    setup.env("MILLRACE_REDIS_URL", redis.url()).env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000")
}

#[tokio::test]
async fn samples_are_kept_read_and_trimmed() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let process_tasks = started(with(database.process_tasks(), &redis).env("MILLRACE_LOCAL_CACHE", "off")).await;
    let maintain_cache = started(with(database.function("maintain-cache"), &redis)).await;
    let some = players("p", 50);
    grant(&process_tasks, &some).await;
    let answer = invoke(&maintain_cache, json!({"action": "statistics"})).await;
    let sample = &answer["statistics"];
    assert_eq!((&answer["redis"], &sample["sinceLast"]), (&json!("up"), &Value::Null), "{answer:#}");
    assert!(Timestamp::parse(sample["at"].as_str().expect("a time")).is_ok());
    assert_eq!((number(sample, "/server/keys"), number(sample, "/server/sample/copies/queue")), (51, 50));
    let node = &sample["server"]["nodes"][0];
    assert_eq!(node["address"], redis.address());
    for figure in ["usedBytes", "maxBytes", "keyspaceHits", "keyspaceMisses", "evictions", "expirations", "clients"] {
        assert!(node[figure].is_u64(), "{figure} in {node:#}");
    }
    assert!(number(node, "/ping/p50Us") > 0 && number(node, "/ping/p99Us") >= number(node, "/ping/p50Us"));
    assert!(number(sample, "/process/redis/upkeep/roundTrips") >= 24, "{sample:#}");

    for _ in 0..4 {
        tick(&process_tasks, &some).await;
    }
    let answer = invoke(&maintain_cache, json!({"action": "upkeep"})).await;
    let last = &answer["statistics"]["sinceLast"];
    assert!(number(last, "/hits") >= 200, "{last:#}");
    assert!(last["hitRate"].as_f64().is_some_and(|rate| rate > 0.5 && rate <= 1.0), "{last:#}");
    assert_eq!(number(&answer, "/warm/cached"), 50, "and then it warms: {answer:#}");

    // What is a day old goes, and so does what is beyond a thousand.
    let now = clock::now().as_millis();
    for n in 0..1_010_u64 {
        let at = (now - 60_000 - n).to_string();
        redis.cli::<i64>(&["ZADD", HISTORY, &at, &format!("{{\"planted\":{n}}}")]).await;
    }
    redis.cli::<i64>(&["ZADD", HISTORY, &(now - 24 * 3_600_000 - 1).to_string(), "{\"old\":true}"]).await;
    invoke(&maintain_cache, json!({"action": "statistics"})).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", HISTORY]).await, 1_000);
    assert!((86_000_000..=86_400_000).contains(&redis.cli::<u64>(&["PTTL", HISTORY]).await));

    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), &redis).await;
    let history = service.statistics_history(5, &invocation()).await.expect("a history");
    assert_eq!(history.len(), 5);
    assert!(history[..3].iter().all(|sample| sample["server"]["nodes"].is_array()), "{history:#?}");
    assert_eq!(history[3], json!({"planted": 0}), "the latest first");
    let all = service.statistics_history(5_000, &invocation()).await.expect("a history");
    assert_eq!(all.len(), 1_000);
    redis.kill();
    let error = service.statistics_history(5, &invocation()).await.expect_err("no Redis");
    assert_eq!(error.error_type(), "CacheUnavailable");
}

#[tokio::test]
async fn an_event_of_the_scheduler_is_the_upkeep() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let maintain_cache = started(with(database.function("maintain-cache"), &redis)).await;
    let event = json!({
        "version": "0", "id": "2f1c8a6e-7d8a-4a3b-9d0e-3a5b6c7d8e9f", "detail-type": "Scheduled Event",
        "source": "aws.scheduler", "account": "123456789012", "time": "2026-11-20T12:00:00Z",
        "region": "eu-central-1", "detail": "{}",
        "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/millrace-upkeep"],
    });
    let answer = invoke(&maintain_cache, event).await;
    assert_eq!(answer["action"], "upkeep", "{answer:#}");
    assert_eq!((&answer["warm"]["done"], number(&answer, "/warm/players")), (&json!(true), 0));
    assert_eq!(redis.cli::<u64>(&["ZCARD", HISTORY]).await, 1);
}

#[tokio::test]
async fn what_processes_have_done_is_shared_without_another_round_trip() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let mut functions = Vec::new();
    for _ in 0..2 {
        functions.push(started(with(database.process_tasks(), &redis).env("MILLRACE_LOCAL_CACHE", "off")).await);
    }
    let mine = players("p", 10);
    for function in &functions {
        for calls in 1..4 {
            let answer = grant(function, &mine).await;
            let redis = |what: &str| number(&answer, &format!("/report/statistics/redis/{what}/roundTrips"));
            assert_eq!((redis("get"), redis("put"), redis("upkeep")), (calls, calls, 0));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), &redis).await;
    let reports = service.recent_reports(10, &invocation()).await.expect("reports");
    // The first invocation of each, with the put of its second; the others within ten seconds wait.
    assert_eq!(reports.len(), 2, "{reports:#?}");
    assert_ne!(reports[0]["process"], reports[1]["process"]);
    for report in &reports {
        assert_eq!((&report["function"], &report["invocations"]), (&json!("process-tasks"), &json!(1)));
        assert_eq!((number(report, "/commands/applied"), number(report, "/committed")), (10, 10), "{report:#}");
        assert_eq!((number(report, "/lookups"), &report["from"]), (10, &report["to"]));
        assert!(report["processingTimeMs"].as_f64() > Some(0.0) && number(report, "/coldStarts") == 1);
    }
    assert!(reports[0]["to"].as_str() >= reports[1]["to"].as_str(), "the latest first");
    assert_eq!(service.recent_reports(1, &invocation()).await.expect("reports").len(), 1);
}
