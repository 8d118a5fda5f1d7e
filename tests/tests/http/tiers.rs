//! Where reads come from: each tier in its turn, the round trips that takes, and one's own writes.

use millrace_tests::{
    Function,
    backends::BackEnds,
    http::{Request, Response},
};
use serde_json::Value;

use crate::{apply, enqueue, grant, queue_of, started};

/// Nothing gets old while a test runs.
async fn api(back_ends: &BackEnds) -> Function {
    started(back_ends.queue_api().env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", "60000")).await
}

async fn read(api: &Function) -> Response {
    let response = queue_of("p-1").trusted().send(api).await;
    response.expect(200);
    response
}

/// Reads at least this version.
async fn read_since(api: &Function, version: u64) -> Response {
    let response = queue_of("p-1").header("x-min-queue-version", &version.to_string()).trusted().send(api).await;
    response.expect(200);
    response
}

/// Reads and writes of Redis since the process began.
async fn redis_calls(api: &Function) -> [u64; 2] {
    let report: Value = Request::get("/admin/performance").trusted().send(api).await.expect(200);
    ["/statistics/redis/get/roundTrips", "/statistics/redis/put/roundTrips"]
        .map(|path| report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report:#}")))
}

#[tokio::test]
async fn first_the_table_then_redis_then_the_process() {
    let back_ends = BackEnds::start().await;
    let writer = api(&back_ends).await;
    apply(&writer, "p-1", enqueue("t-1", serde_json::json!({"durationMs": 60_000}))).await;
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    let [one, other] = [api(&back_ends).await, api(&back_ends).await];

    back_ends.dynamodb.reset_counts();
    assert_eq!(read(&one).await.header("x-cache"), "miss");
    assert_eq!((back_ends.dynamodb.count("BatchGetItem"), back_ends.dynamodb.total()), (1, 1), "one read, no write");
    assert_eq!(redis_calls(&one).await, [1, 1], "asked once, told once");

    let response = read(&other).await;
    assert_eq!((response.header("x-cache"), response.header("x-queue-version")), ("redis", "1"));
    assert_eq!(redis_calls(&other).await, [1, 0]);
    for api in [&one, &other] {
        let before = redis_calls(api).await;
        for _ in 0..5 {
            assert_eq!(read(api).await.header("x-cache"), "local");
        }
        assert_eq!(redis_calls(api).await, before, "nobody is asked");
    }
    assert_eq!(back_ends.dynamodb.total(), 1);
    // A player that does not exist is looked for everywhere, each time.
    queue_of("nobody").trusted().send(&one).await.problem(404, "unknown_player");
    assert_eq!(back_ends.dynamodb.total(), 2);
}

#[tokio::test]
async fn a_read_of_a_version_passes_over_older_copies() {
    let back_ends = BackEnds::start().await;
    let [writer, reader] = [api(&back_ends).await, api(&back_ends).await];
    apply(&writer, "p-1", grant(1)).await;
    assert_eq!(read(&reader).await.header("x-cache"), "redis");
    let keys: Vec<String> = back_ends.redis.cli(&["KEYS", "*"]).await;
    let key = keys.iter().find(|key| key.contains("p-1")).expect("a copy in Redis");
    let _: i64 = back_ends.redis.cli(&["COPY", key, "old"]).await;

    let answer = apply(&writer, "p-1", grant(1)).await;
    assert_eq!(answer["queue"]["version"], 2);
    // The process of the reader has the version before, which is fresh enough for others.
    let stale = read(&reader).await;
    assert_eq!((stale.header("x-cache"), stale.header("x-queue-version")), ("local", "1"));
    back_ends.dynamodb.reset_counts();
    let own = read_since(&reader, 2).await;
    assert_eq!((own.header("x-cache"), own.header("x-queue-version")), ("redis", "2"));
    assert_eq!(back_ends.dynamodb.total(), 0);
    assert_eq!(read(&reader).await.header("x-queue-version"), "2", "and nobody sees it go back");

    // Redis has the old copy again, as after a failover, and the process has none.
    apply(&writer, "p-1", grant(1)).await;
    let _: i64 = back_ends.redis.cli(&["COPY", "old", key, "REPLACE"]).await;
    let late = api(&back_ends).await;
    let own = read_since(&late, 3).await;
    assert_eq!((own.header("x-cache"), own.header("x-queue-version")), ("miss", "3"));
    assert_eq!(own.json()["balances"]["gold"], 3);
    assert_eq!(read(&late).await.header("x-cache"), "local");
    // It has been put right for everybody.
    assert_eq!(read(&api(&back_ends).await).await.header("x-queue-version"), "3");
    queue_of("p-1").header("x-min-queue-version", "4").trusted().send(&late).await.problem(412, "version_not_reached");
}

#[tokio::test]
async fn a_command_over_http_costs_what_it_does_from_a_queue() {
    let back_ends = BackEnds::start().await;
    let api = api(&back_ends).await;
    let cold = apply(&api, "p-1", grant(1)).await;
    assert_eq!((&cold["report"]["loads"]["calls"], &cold["report"]["commits"]["calls"]), (&1.into(), &1.into()));
    back_ends.dynamodb.reset_counts();
    let before = redis_calls(&api).await;
    let warm = apply(&api, "p-1", grant(1)).await;
    assert_eq!(warm["report"]["cache"]["local"]["hits"], 1);
    assert_eq!(back_ends.dynamodb.total(), 1, "the commit alone");
    let after = redis_calls(&api).await;
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 1]);
}

#[tokio::test]
async fn progress_between_milestones_is_read_from_the_table_where_no_copy_knows_it() {
    let back_ends = BackEnds::start().await;
    let [writer, reader] = [api(&back_ends).await, api(&back_ends).await];
    apply(&writer, "p-1", enqueue("t-1", serde_json::json!({"units": 100}))).await;
    apply(&writer, "p-1", serde_json::json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": 9})).await;
    let _: String = back_ends.redis.cli(&["FLUSHALL"]).await;
    back_ends.dynamodb.reset_counts();
    let response = read(&reader).await;
    assert_eq!((response.header("x-cache"), &response.json()["tasks"][0]["unitsDone"]), ("miss", &9.into()));
    assert_eq!(back_ends.dynamodb.total(), 1, "queue and progress in one call");
}
