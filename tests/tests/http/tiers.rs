//! The cache that answers a read, the round trips of a read, and reads of a certain version.

use millrace_tests::{
    Function,
    backends::Backends,
    http::{Request, Response},
};
use serde_json::Value;

use crate::{apply, enqueue, grant, queue_of};

/// `queue-api` with local copies that stay fresh for the whole test.
async fn api(backends: &Backends) -> Function {
    backends.queue_api().env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", "60000").started().await
}

async fn read(api: &Function) -> Response {
    let response = queue_of("p-1").trusted().send(api).await;
    response.expect(200);
    response
}

/// Reads this version or a newer one.
async fn read_since(api: &Function, version: u64) -> Response {
    let response = queue_of("p-1").header("x-min-queue-version", &version.to_string()).trusted().send(api).await;
    response.expect(200);
    response
}

/// The numbers of reads and of writes of Redis since the process started.
async fn redis_calls(api: &Function) -> [u64; 2] {
    let report: Value = Request::get("/admin/performance").trusted().send(api).await.expect(200);
    ["/statistics/redis/get/roundTrips", "/statistics/redis/put/roundTrips"]
        .map(|path| report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {report:#}")))
}

#[tokio::test]
async fn reads_come_from_the_table_then_redis_then_the_local_cache() {
    let backends = Backends::start().await;
    let writer = api(&backends).await;
    apply(&writer, "p-1", enqueue("t-1", serde_json::json!({"durationMs": 60_000}))).await;
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    let [one, other] = [api(&backends).await, api(&backends).await];

    backends.aws_proxy.reset_counts();
    assert_eq!(read(&one).await.header("x-cache"), "miss");
    assert_eq!((backends.aws_proxy.count("BatchGetItem"), backends.aws_proxy.total()), (1, 1), "one load and no write");
    assert_eq!(redis_calls(&one).await, [1, 1], "one get and one put");

    let response = read(&other).await;
    assert_eq!((response.header("x-cache"), response.header("x-queue-version")), ("redis", "1"));
    assert_eq!(redis_calls(&other).await, [1, 0]);
    for api in [&one, &other] {
        let before = redis_calls(api).await;
        for _ in 0..5 {
            assert_eq!(read(api).await.header("x-cache"), "local");
        }
        assert_eq!(redis_calls(api).await, before, "local reads do not call Redis");
    }
    assert_eq!(backends.aws_proxy.total(), 1);
    // The absence of a player is not cached.
    queue_of("unknown").trusted().send(&one).await.problem(404, "unknown_player");
    assert_eq!(backends.aws_proxy.total(), 2);
}

#[tokio::test]
async fn a_read_of_a_version_skips_older_copies() {
    let backends = Backends::start().await;
    let [writer, reader] = [api(&backends).await, api(&backends).await];
    apply(&writer, "p-1", grant(1)).await;
    assert_eq!(read(&reader).await.header("x-cache"), "redis");
    let keys: Vec<String> = backends.redis.cli(&["KEYS", "*"]).await;
    let key = keys.iter().find(|key| key.contains("p-1")).expect("a copy in Redis");
    let _: i64 = backends.redis.cli(&["COPY", key, "old"]).await;

    let answer = apply(&writer, "p-1", grant(1)).await;
    assert_eq!(answer["queue"]["version"], 2);
    // The local copy of the reader is one version old and still fresh.
    let stale = read(&reader).await;
    assert_eq!((stale.header("x-cache"), stale.header("x-queue-version")), ("local", "1"));
    backends.aws_proxy.reset_counts();
    let own = read_since(&reader, 2).await;
    assert_eq!((own.header("x-cache"), own.header("x-queue-version")), ("redis", "2"));
    assert_eq!(backends.aws_proxy.total(), 0);
    assert_eq!(read(&reader).await.header("x-queue-version"), "2", "the cached version never decreases");

    // Redis has the old copy again, as after a failover. The new process has no local copy.
    apply(&writer, "p-1", grant(1)).await;
    let _: i64 = backends.redis.cli(&["COPY", "old", key, "REPLACE"]).await;
    let late = api(&backends).await;
    let own = read_since(&late, 3).await;
    assert_eq!((own.header("x-cache"), own.header("x-queue-version")), ("miss", "3"));
    assert_eq!(own.json()["balances"]["gold"], 3);
    assert_eq!(read(&late).await.header("x-cache"), "local");
    // The copy in Redis is current again.
    assert_eq!(read(&api(&backends).await).await.header("x-queue-version"), "3");
    queue_of("p-1").header("x-min-queue-version", "4").trusted().send(&late).await.problem(412, "version_not_reached");
}

#[tokio::test]
async fn a_cached_command_over_http_takes_one_commit_and_one_redis_write() {
    let backends = Backends::start().await;
    let api = api(&backends).await;
    let cold = apply(&api, "p-1", grant(1)).await;
    assert_eq!((&cold["report"]["loads"]["calls"], &cold["report"]["commits"]["calls"]), (&1.into(), &1.into()));
    backends.aws_proxy.reset_counts();
    let before = redis_calls(&api).await;
    let warm = apply(&api, "p-1", grant(1)).await;
    assert_eq!(warm["report"]["cache"]["local"]["hits"], 1);
    assert_eq!(backends.aws_proxy.total(), 1, "only the commit");
    let after = redis_calls(&api).await;
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 1]);
}

#[tokio::test]
async fn progress_without_a_copy_is_read_from_the_progress_table() {
    let backends = Backends::start().await;
    let [writer, reader] = [api(&backends).await, api(&backends).await];
    apply(&writer, "p-1", enqueue("t-1", serde_json::json!({"units": 100}))).await;
    apply(&writer, "p-1", serde_json::json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": 9})).await;
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    backends.aws_proxy.reset_counts();
    let response = read(&reader).await;
    assert_eq!((response.header("x-cache"), &response.json()["tasks"][0]["unitsDone"]), ("miss", &9.into()));
    assert_eq!(backends.aws_proxy.total(), 1, "queue and progress are loaded in one call");
}

/// Subjects of Auth0 contain a bar, others are e-mail addresses or end with the padding of base64.
#[tokio::test]
async fn players_of_identity_providers_are_stored_and_cached() {
    let backends = Backends::start().await;
    let [writer, reader] = [api(&backends).await, api(&backends).await];
    let (player, path) = ("auth0|a+b@example.com~=", "auth0%7Ca+b%40example.com~=");
    apply(&writer, path, enqueue(player, serde_json::json!({"units": 1}))).await;
    let done = serde_json::json!({"type": "reportProgress", "taskId": player, "unitsDone": 1});
    apply(&writer, path, done).await;
    let own = |route: &str| Request::get(&format!("/players/{path}/{route}")).token(player, &[]);
    let cached = own("queue").send(&reader).await;
    assert_eq!((&cached.expect(200)["playerId"], cached.header("x-cache")), (&player.into(), "redis"));
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    let other = api(&backends).await;
    assert_eq!(own("queue").send(&other).await.header("x-cache"), "miss");
    for list in ["history", "history?limit=1"] {
        assert_eq!(own(list).send(&other).await.expect(200)["items"][0]["taskId"], player);
    }
}
