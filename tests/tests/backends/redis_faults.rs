//! Errors of Redis. Every command is applied once, and no invocation waits for Redis while the
//! circuit breaker is open.

use std::time::{Duration, Instant};

use millrace_domain::PlayerId;
use millrace_servers::{Cut, Redis};
use millrace_tests::{Function, backends::Backends, function::FunctionBuilder};
use serde_json::Value;

use crate::{apply, grants, number, players, step_ms};

const PLAYERS: usize = 20;
/// How many milliseconds the cache may add to an invocation while the breaker is open.
const MAX_ADDED_MS: f64 = 5.0;

/// A function with failing backends, and the rounds of grants so far.
struct Fixture {
    backends: Backends,
    function: Function,
    players: Vec<PlayerId>,
    round: usize,
}

fn state(answer: &Value) -> &str {
    answer["report"]["cache"]["redis"]["state"].as_str().unwrap_or_else(|| panic!("no state in {answer:#}"))
}

impl Fixture {
    async fn with(redis: Redis, change: impl Fn(FunctionBuilder) -> FunctionBuilder) -> Self {
        let backends = Backends::with_redis(redis).await;
        let builder = backends
            .process_tasks()
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "250")
            .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "250")
            .env("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", "300")
            // Every copy comes from Redis. Without Redis, every queue comes from the table.
            .env("MILLRACE_LOCAL_CACHE", "off");
        let function = change(builder).started().await;
        Self { backends, function, players: players(PLAYERS), round: 0 }
    }

    async fn new() -> Self {
        let mut fixture = Self::with(Redis::start().await, |builder| builder).await;
        fixture.grant().await;
        let answer = fixture.grant().await;
        assert_eq!(
            (state(&answer), number(&answer, "/cache/redis/hits")),
            ("up", PLAYERS as u64),
            "Redis is used before the fault"
        );
        fixture
    }

    /// Grants every player one gold. Panics if a command is not applied.
    async fn grant(&mut self) -> Value {
        self.round += 1;
        apply(&self.function, &grants(&self.players, self.round)).await
    }

    /// Grants until the report has this state of Redis.
    async fn wait_for_state(&mut self, wanted: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.grant().await;
            if state(&answer) == wanted {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "the state was never {wanted}: {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that no invocation calls Redis while the breaker is open, and that the refresh step,
    /// which would write to Redis, takes almost no time.
    async fn assert_open_breaker_adds_no_time(&mut self) {
        let mut last = self.wait_for_state("down").await;
        let line = self.function.metrics().pop().expect("a line of metrics");
        assert_eq!(line["RedisUnavailable"], 100, "{line:#}");
        assert_eq!(number(&last, "/cache/redis/errors"), line["RedisErrors"].as_u64().unwrap_or_default());
        let mut refresh_ms = Vec::new();
        let began = Instant::now();
        while refresh_ms.len() < 21 {
            assert!(began.elapsed() < Duration::from_secs(60), "not down for long enough: {last:#}");
            let answer = self.grant().await;
            // An invocation that probes Redis does not count. Its call opens the breaker again.
            if [&last, &answer].iter().all(|answer| state(answer) == "down")
                && redis_calls(&last) == redis_calls(&answer)
            {
                refresh_ms.push(step_ms(&answer, "refresh"));
            } else {
                assert!(number(&answer, "/statistics/redis/openings") > 0, "{answer:#}");
            }
            last = answer;
        }
        let added = median(refresh_ms);
        println!("added while the breaker is open: {added:.3} ms");
        assert!(added <= MAX_ADDED_MS, "{added} ms");
    }

    /// Asserts that every player has one gold for each round.
    async fn assert_balances(&self) {
        for queue in self.backends.queues(&self.players).await {
            assert_eq!(queue.balances.get("gold"), self.round as u64, "gold of {}", queue.player_id);
        }
    }

    /// Asserts that Redis is used again and that its copies are current.
    async fn assert_recovery(&mut self) {
        self.wait_for_state("up").await;
        let answer = self.grant().await;
        assert_eq!(state(&answer), "up");
        let answer = self.grant().await;
        assert_eq!(number(&answer, "/cache/redis/hits"), PLAYERS as u64, "{answer:#}");
        assert_eq!(number(&answer, "/commits/conflicts"), 0, "a copy is stale: {answer:#}");
        self.assert_balances().await;
    }
}

/// The numbers of calls of Redis that get and that put copies.
fn redis_calls(answer: &Value) -> [u64; 2] {
    ["/statistics/redis/get/calls", "/statistics/redis/put/calls"].map(|path| number(answer, path))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
async fn redis_is_used_again_after_a_crash_that_empties_it() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis.kill();
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.assert_balances().await;
    fixture.backends.redis.restart().await;
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn a_redis_that_restarts_empty_between_invocations_is_filled_again() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis.restart().await;
    let answer = fixture.grant().await;
    assert_eq!(number(&answer, "/cache/misses"), PLAYERS as u64, "{answer:#}");
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn redis_is_used_again_after_a_pause_of_thirty_seconds() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis.pause();
    let paused = Instant::now();
    fixture.assert_open_breaker_adds_no_time().await;
    while paused.elapsed() < Duration::from_secs(30) {
        fixture.grant().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    fixture.backends.redis.resume();
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn commands_are_applied_while_redis_is_a_read_only_replica() {
    let mut fixture = Fixture::new().await;
    let primary = Redis::start().await;
    fixture.backends.redis.demote_to_replica_of(&primary).await;
    for _ in 0..10 {
        fixture.grant().await;
    }
    let answer = fixture.grant().await;
    assert!(number(&answer, "/statistics/redis/openings") > 0, "{answer:#}");
    fixture.assert_balances().await;
    fixture.backends.redis.promote().await;
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn commands_are_applied_while_redis_is_full() {
    let redis = Redis::builder().maxmemory("4mb", "noeviction").start().await;
    let mut fixture = Fixture::with(redis, |builder| builder).await;
    fixture.grant().await;
    // The limit is below the memory in use, so Redis refuses writes that need memory.
    let _: String = fixture.backends.redis.cli(&["CONFIG", "SET", "maxmemory", "500kb"]).await;
    let answer = fixture.grant().await;
    assert!(number(&answer, "/cache/redis/errors") > 0, "{answer:#}");
    // Copies that could not be replaced were deleted, so no stale copy is read.
    let answer = fixture.grant().await;
    assert_eq!(number(&answer, "/commits/conflicts"), 0, "{answer:#}");
    fixture.assert_balances().await;
    let _: String = fixture.backends.redis.cli(&["CONFIG", "SET", "maxmemory", "4mb"]).await;
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn a_wrong_redis_password_is_logged_and_opens_the_breaker() {
    let redis = Redis::builder().requirepass("right").start().await;
    let mut fixture = Fixture::with(redis, |builder| builder).await;
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.assert_balances().await;
    let log = format!("{:?}", fixture.function.log());
    assert!(log.to_lowercase().contains("auth"), "the log does not give the reason: {log}");
}

#[tokio::test]
async fn a_redis_slower_than_the_time_out_opens_the_breaker() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis_proxy.delay(Duration::from_millis(600));
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.backends.redis_proxy.normal();
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn broken_redis_connections_are_replaced_without_opening_the_breaker() {
    let mut fixture = Fixture::new().await;
    for cut in [Cut::Reset, Cut::Fin] {
        fixture.backends.redis_proxy.cut(cut);
        let answer = fixture.grant().await;
        assert_eq!(state(&answer), "up", "the breaker stays closed");
        assert_eq!(number(&answer, "/cache/redis/hits"), PLAYERS as u64, "every copy is found: {answer:#}");
    }
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn half_open_redis_connections_open_the_breaker() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis_proxy.swallow();
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.backends.redis_proxy.normal();
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn refused_redis_connections_open_the_breaker() {
    let mut fixture = Fixture::new().await;
    fixture.backends.redis_proxy.refuse();
    fixture.backends.redis_proxy.cut(Cut::Reset);
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.backends.redis_proxy.normal();
    fixture.assert_recovery().await;
}

#[tokio::test]
async fn a_function_that_starts_without_redis_uses_it_later() {
    let redis = Redis::start().await;
    redis.kill();
    let mut fixture = Fixture::with(redis, |builder| builder).await;
    fixture.assert_open_breaker_adds_no_time().await;
    fixture.backends.redis.restart().await;
    fixture.assert_recovery().await;
}
