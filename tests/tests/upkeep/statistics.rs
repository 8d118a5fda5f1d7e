//! Samples of the shared cache, and the performance history of several processes.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_domain::Timestamp;
use millrace_servers::Redis;
use millrace_tests::{Function, answers::number, database::Database, function::FunctionBuilder, http::Request};
use serde_json::{Value, json};

use crate::{grant, invoke, players, tick};

const HISTORY: &str = "t-upkeep:statistics";

async fn performance(queue_api: &Function) -> Value {
    Request::get("/admin/performance").trusted().send(queue_api).await.expect(200)
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
    let samples = performance(&queue_api).await["cacheHistory"].clone();
    let samples = samples.as_array().expect("samples");
    assert_eq!(samples.len(), 60, "queue-api shows the newest samples");
    assert!(samples[..3].iter().all(|sample| sample["server"]["nodes"].is_array()), "{samples:#?}");
    assert_eq!((&samples[3], &samples[59]), (&json!({"number": 0}), &json!({"number": 56})), "newest first");
    redis.kill();
    assert_eq!(performance(&queue_api).await["cacheHistory"], Value::Null);
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
async fn processes_share_their_figures_without_extra_round_trips() {
    let (database, redis) = (Database::new(), Redis::start().await);
    let queue_api = with_redis(database.queue_api(), &redis).started().await;
    let mine = players("p", 10);
    for _ in 0..2 {
        let function = with_redis(database.process_tasks(), &redis).env("MILLRACE_LOCAL_CACHE", "off").started().await;
        for calls in 1..4 {
            let answer = grant(&function, &mine).await;
            let redis = |what: &str| number(&answer, &format!("/report/statistics/redis/{what}/roundTrips"));
            assert_eq!((redis("get"), redis("put"), redis("upkeep")), (calls, calls, 0));
        }
        // A process sends its last figures when it ends.
        function.terminate().await;
    }
    let history = performance(&queue_api).await["history"].clone();
    assert_eq!(history["source"], "redis", "{history:#}");
    let totals = &history["totals"];
    assert_eq!((number(totals, "/commands/applied"), number(totals, "/commits/committed")), (60, 60), "{totals:#}");
    assert_eq!((number(totals, "/cache/lookups"), number(totals, "/coldStarts")), (60, 2));
    assert_eq!(number(totals, "/processingTimeMs/commands/count"), 6);
}
