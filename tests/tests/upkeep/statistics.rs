//! Samples of the shared cache, and reports that processes share.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_domain::Timestamp;
use millrace_servers::Redis;
use millrace_tests::{Function, answers::number, database::Database, function::FunctionBuilder, http::Request};
use serde_json::{Value, json};

use crate::{grant, invoke, players, tick};

const HISTORY: &str = "t-upkeep:statistics";

/// The samples and the reports of processes that `queue-api` shows, newest first.
async fn samples_and_reports(queue_api: &Function) -> [Value; 2] {
    let performance = Request::get("/admin/performance").trusted().send(queue_api).await.expect(200);
    ["cacheHistory", "processes"].map(|name| performance[name].clone())
}

/// A function with this Redis.
fn with_redis(builder: FunctionBuilder, redis: &Redis) -> FunctionBuilder {
    builder.env("MILLRACE_REDIS_URL", redis.url()).env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "5000")
}

#[tokio::test]
async fn samples_are_stored_trimmed_and_shown_by_queue_api() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let process_tasks = with_redis(database.process_tasks(), &redis).env("MILLRACE_LOCAL_CACHE", "off").started().await;
    let maintain_cache = with_redis(database.function("maintain-cache"), &redis).started().await;
    let some = players("p", 50);
    grant(&process_tasks, &some).await;
    let answer = invoke(&maintain_cache, json!({"action": "statistics"})).await;
    let sample = &answer["statistics"];
    assert_eq!((&answer["redis"], &sample["sinceLast"]), (&json!("up"), &Value::Null), "{answer:#}");
    assert!(Timestamp::parse(sample["at"].as_str().expect("a time")).is_ok());
    assert_eq!((number(sample, "/server/keys"), number(sample, "/server/sample/copies/stats")), (51, 50));
    let node = &sample["server"]["nodes"][0];
    assert_eq!(node["address"], redis.address());
    for field in ["usedBytes", "maxBytes", "keyspaceHits", "keyspaceMisses", "evictions", "expirations", "clients"] {
        assert!(node[field].is_u64(), "{field} in {node:#}");
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
    assert_eq!(number(&answer, "/warm/cached"), 50, "upkeep warms after taking the sample: {answer:#}");

    // Samples older than a day are removed, and all but the newest thousand.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as u64;
    for n in 0..1_010_u64 {
        let at = (now - 60_000 - n).to_string();
        redis.cli::<i64>(&["ZADD", HISTORY, &at, &format!("{{\"number\":{n}}}")]).await;
    }
    redis.cli::<i64>(&["ZADD", HISTORY, &(now - 24 * 3_600_000 - 1).to_string(), "{\"old\":true}"]).await;
    invoke(&maintain_cache, json!({"action": "statistics"})).await;
    assert_eq!(redis.cli::<u64>(&["ZCARD", HISTORY]).await, 1_000);
    assert!((86_000_000..=86_400_000).contains(&redis.cli::<u64>(&["PTTL", HISTORY]).await));

    let queue_api = with_redis(database.queue_api(), &redis).started().await;
    let [samples, _] = samples_and_reports(&queue_api).await;
    let samples = samples.as_array().expect("samples");
    assert_eq!(samples.len(), 60, "queue-api shows the newest samples");
    assert!(samples[..3].iter().all(|sample| sample["server"]["nodes"].is_array()), "{samples:#?}");
    assert_eq!((&samples[3], &samples[59]), (&json!({"number": 0}), &json!({"number": 56})), "newest first");
    redis.kill();
    assert_eq!(samples_and_reports(&queue_api).await, [Value::Null, Value::Null]);
}

#[tokio::test]
async fn an_event_of_the_scheduler_runs_the_upkeep() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let maintain_cache = with_redis(database.function("maintain-cache"), &redis).started().await;
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
async fn processes_share_their_reports_without_extra_round_trips() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let mut functions = Vec::new();
    for _ in 0..2 {
        functions.push(with_redis(database.process_tasks(), &redis).env("MILLRACE_LOCAL_CACHE", "off").started().await);
    }
    let mine = players("p", 10);
    for function in &functions {
        for calls in 1..4 {
            let answer = grant(function, &mine).await;
            let redis = |what: &str| number(&answer, &format!("/report/statistics/redis/{what}/roundTrips"));
            assert_eq!((redis("get"), redis("put"), redis("upkeep")), (calls, calls, 0));
        }
    }
    let queue_api = with_redis(database.queue_api(), &redis).started().await;
    let [_, reports] = samples_and_reports(&queue_api).await;
    let reports = reports.as_array().expect("reports");
    // Each process reports its first invocation together with the put of its second. The next
    // report follows after ten seconds.
    assert_eq!(reports.len(), 2, "{reports:#?}");
    assert_ne!(reports[0]["process"], reports[1]["process"]);
    for report in reports {
        assert_eq!((&report["function"], &report["invocations"]), (&json!("process-tasks"), &json!(1)));
        assert_eq!((number(report, "/commands/applied"), number(report, "/committed")), (10, 10), "{report:#}");
        assert_eq!((number(report, "/lookups"), &report["from"]), (10, &report["to"]));
        assert!(report["processingTimeMs"].as_f64() > Some(0.0) && number(report, "/coldStarts") == 1);
    }
    assert!(reports[0]["to"].as_str() >= reports[1]["to"].as_str(), "newest first");
}
