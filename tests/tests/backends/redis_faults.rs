//! Redis in trouble: every command is applied all the same, once, and no invocation waits for a Redis
//! that the breaker has taken out.

use std::time::{Duration, Instant};

use millrace_domain::PlayerId;
use millrace_servers::{Cut, Redis};
use millrace_tests::{Function, backends::BackEnds, function::Setup};
use serde_json::Value;

use crate::{apply, figure, grants, players, started, step_ms};

const PLAYERS: usize = 20;
/// Most milliseconds that an invocation may take longer while the breaker is open.
const MOST_ADDED_MS: f64 = 5.0;

/// A function on back ends that fail, and what its players have to hold.
struct Scene {
    back_ends: BackEnds,
    function: Function,
    players: Vec<PlayerId>,
    round: usize,
}

fn state(answer: &Value) -> &str {
    answer["report"]["cache"]["redis"]["state"].as_str().unwrap_or_else(|| panic!("no state in {answer:#}"))
}

impl Scene {
    async fn with(redis: Redis, change: impl Fn(Setup) -> Setup) -> Self {
        let back_ends = BackEnds::with_redis(redis).await;
        let setup = back_ends
            .process_tasks()
            .env("MILLRACE_REDIS_RESPONSE_TIMEOUT_MS", "250")
            .env("MILLRACE_REDIS_CONNECT_TIMEOUT_MS", "250")
            .env("MILLRACE_REDIS_BREAKER_COOL_DOWN_MS", "300")
            // Everything has to come from Redis, or from the table where there is no Redis.
            .env("MILLRACE_LOCAL_CACHE", "off");
        let function = started(change(setup)).await;
        Self { back_ends, function, players: players(PLAYERS), round: 0 }
    }

    async fn new() -> Self {
        let mut scene = Self::with(Redis::start().await, |setup| setup).await;
        scene.grant().await;
        let answer = scene.grant().await;
        assert_eq!(
            (state(&answer), figure(&answer, "/cache/redis/hits")),
            ("up", PLAYERS as u64),
            "it is healthy first"
        );
        scene
    }

    /// Grants every player one gold, which has to be applied.
    async fn grant(&mut self) -> Value {
        self.round += 1;
        apply(&self.function, &grants(&self.players, self.round)).await
    }

    /// Grants until the tier is in this state.
    async fn until(&mut self, wanted: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.grant().await;
            if state(&answer) == wanted {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "never {wanted}: {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// While the breaker is open no invocation asks Redis for anything, and what is left of the steps
    /// that would have takes no time.
    async fn costs_nothing_while_open(&mut self) {
        let mut last = self.until("down").await;
        let mut refreshing = Vec::new();
        let began = Instant::now();
        while refreshing.len() < 21 {
            assert!(began.elapsed() < Duration::from_secs(60), "not down for long enough: {last:#}");
            let answer = self.grant().await;
            // A probe may have ended meanwhile; and the call that opens the breaker again is no open one.
            if [&last, &answer].iter().all(|answer| state(answer) == "down") && calls(&last) == calls(&answer) {
                refreshing.push(step_ms(&answer, "refresh"));
            } else {
                assert!(figure(&answer, "/statistics/redis/openings") > 0, "{answer:#}");
            }
            last = answer;
        }
        let added = median(refreshing);
        println!("added while the breaker is open: {added:.3} ms");
        assert!(added <= MOST_ADDED_MS, "{added} ms");
    }

    /// Every player holds one gold a round, whatever happened.
    async fn check(&self) {
        for queue in self.back_ends.queues(&self.players).await {
            assert_eq!(queue.balances.get("gold"), self.round as u64, "gold of {}", queue.player_id);
        }
    }

    /// Redis is used again, and what it holds is right.
    async fn recovers(&mut self) {
        self.until("up").await;
        let answer = self.grant().await;
        assert_eq!(state(&answer), "up");
        let answer = self.grant().await;
        assert_eq!(figure(&answer, "/cache/redis/hits"), PLAYERS as u64, "{answer:#}");
        assert_eq!(figure(&answer, "/commits/conflicts"), 0, "no copy is out of date: {answer:#}");
        self.check().await;
    }
}

/// How often Redis was asked for copies, and given some.
fn calls(answer: &Value) -> [u64; 2] {
    ["/statistics/redis/get/calls", "/statistics/redis/put/calls"].map(|path| figure(answer, path))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
async fn killed_and_started_again_empty() {
    let mut scene = Scene::new().await;
    scene.back_ends.redis.kill();
    scene.costs_nothing_while_open().await;
    scene.check().await;
    scene.back_ends.redis.restart().await;
    scene.recovers().await;
}

#[tokio::test]
async fn started_again_empty_between_two_invocations() {
    let mut scene = Scene::new().await;
    scene.back_ends.redis.restart().await;
    let answer = scene.grant().await;
    assert_eq!(figure(&answer, "/cache/misses"), PLAYERS as u64, "{answer:#}");
    scene.recovers().await;
}

#[tokio::test]
async fn paused_for_thirty_seconds() {
    let mut scene = Scene::new().await;
    scene.back_ends.redis.pause();
    let paused = Instant::now();
    scene.costs_nothing_while_open().await;
    while paused.elapsed() < Duration::from_secs(30) {
        scene.grant().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    scene.back_ends.redis.resume();
    scene.recovers().await;
}

#[tokio::test]
async fn demoted_to_a_replica_that_answers_readonly() {
    let mut scene = Scene::new().await;
    let primary = Redis::start().await;
    scene.back_ends.redis.demote_to_replica_of(&primary).await;
    for _ in 0..10 {
        scene.grant().await;
    }
    let answer = scene.grant().await;
    assert!(figure(&answer, "/statistics/redis/put/failures") > 0, "{answer:#}");
    scene.check().await;
    scene.back_ends.redis.promote().await;
    scene.recovers().await;
}

#[tokio::test]
async fn full_without_eviction() {
    let redis = Redis::builder().maxmemory("4mb", "noeviction").start().await;
    let mut scene = Scene::with(redis, |setup| setup).await;
    scene.grant().await;
    // Less than it holds already: no write that takes memory is let in.
    let _: String = scene.back_ends.redis.cli(&["CONFIG", "SET", "maxmemory", "500kb"]).await;
    let answer = scene.grant().await;
    assert!(figure(&answer, "/cache/redis/errors") > 0, "{answer:#}");
    // What could not be replaced is gone: nobody reads an old copy.
    let answer = scene.grant().await;
    assert_eq!(figure(&answer, "/commits/conflicts"), 0, "{answer:#}");
    scene.check().await;
    let _: String = scene.back_ends.redis.cli(&["CONFIG", "SET", "maxmemory", "4mb"]).await;
    scene.recovers().await;
}

#[tokio::test]
async fn locked_with_another_password() {
    let redis = Redis::builder().requirepass("right").start().await;
    let mut scene = Scene::with(redis, |setup| setup).await;
    scene.costs_nothing_while_open().await;
    scene.check().await;
    let log = format!("{:?}", scene.function.log());
    assert!(log.to_lowercase().contains("auth"), "the log says why: {log}");
}

#[tokio::test]
async fn slow_beyond_the_time_out() {
    let mut scene = Scene::new().await;
    scene.back_ends.wire.delay(Duration::from_millis(600));
    scene.costs_nothing_while_open().await;
    scene.back_ends.wire.normal();
    scene.recovers().await;
}

#[tokio::test]
async fn cut_connections_are_replaced_at_once() {
    let mut scene = Scene::new().await;
    for cut in [Cut::Reset, Cut::Fin] {
        scene.back_ends.wire.cut(cut);
        let answer = scene.grant().await;
        assert_eq!(state(&answer), "up", "a broken pipe after a thaw opens no breaker");
        assert_eq!(figure(&answer, "/cache/redis/hits"), PLAYERS as u64, "and costs no hit: {answer:#}");
    }
    scene.recovers().await;
}

#[tokio::test]
async fn half_open_connections_are_given_up() {
    let mut scene = Scene::new().await;
    scene.back_ends.wire.swallow();
    scene.costs_nothing_while_open().await;
    scene.back_ends.wire.normal();
    scene.recovers().await;
}

#[tokio::test]
async fn refused_connections() {
    let mut scene = Scene::new().await;
    scene.back_ends.wire.refuse();
    scene.back_ends.wire.cut(Cut::Reset);
    scene.costs_nothing_while_open().await;
    scene.back_ends.wire.normal();
    scene.recovers().await;
}

#[tokio::test]
async fn absent_from_the_start() {
    let redis = Redis::start().await;
    redis.kill();
    let mut scene = Scene::with(redis, |setup| setup).await;
    scene.costs_nothing_while_open().await;
    scene.back_ends.redis.restart().await;
    scene.recovers().await;
}
