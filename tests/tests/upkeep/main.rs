//! `maintain-cache` on a real Redis, alone and as a cluster, beside `process-tasks`.
//!
//! | module | what it shows |
//! |---|---|
//! | `clear` | copies taken away, others' keys left alone, and how to go on after a deadline |
//! | `warm` | who is warmed, and how many calls that takes, exactly |
//! | `rebuild` | wrong copies made right |
//! | `emergency` | a flag that other processes see, and reads without the table |
//! | `statistics` | what is measured and kept |
//! | `faults` | no Redis, a Redis that is away, silent or locked, a table in trouble, bad requests |

mod clear;
mod emergency;
mod faults;
mod rebuild;
mod statistics;
mod warm;

use std::{sync::Arc, time::Duration};

use millrace_cache::{
    SharedCache,
    redis::{RedisCache, RedisCacheSettings, RedisMode},
};
use millrace_domain::{PlayerId, Queue, Timestamp, codec::CachedQueue};
use millrace_servers::Redis;
use millrace_tests::{Function, FunctionError, Invocation, function::Setup, stored::player};
use serde_json::{Value, json};

/// Starts a function that has to start.
async fn started(setup: Setup) -> Function {
    setup.start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// Invokes a function that has to answer.
async fn invoke(function: &Function, invocation: impl Into<Invocation>) -> Value {
    function.invoke(invocation).await.unwrap_or_else(|error| panic!("{error}\n{}", function.stderr()))
}

/// The error of a function that has to answer with one: its type and message.
async fn refusal(function: &Function, invocation: impl Into<Invocation>) -> (String, String) {
    match function.invoke(invocation).await {
        Err(FunctionError::Reported { error_type, message, .. }) => (error_type, message),
        other => panic!("an error was expected, not {other:?}"),
    }
}

/// The players `<name>-0` to `<name>-<count - 1>`.
fn players(name: &str, count: usize) -> Vec<PlayerId> {
    (0..count).map(|at| player(&format!("{name}-{at}"))).collect()
}

/// Has `process-tasks` apply one command for each player, 100 to a call.
async fn apply(process_tasks: &Function, players: &[PlayerId], command: &Value) -> Value {
    let mut answer = Value::Null;
    for players in players.chunks(100) {
        let commands = players.iter().map(|player| {
            let mut command = command.clone();
            command["playerId"] = player.as_str().into();
            command
        });
        answer = invoke(process_tasks, json!({"commands": commands.collect::<Vec<_>>()})).await;
        assert_eq!(answer["report"]["commands"]["applied"], players.len(), "{answer:#}");
    }
    answer
}

/// One gold for each player.
async fn grant(process_tasks: &Function, players: &[PlayerId]) -> Value {
    apply(process_tasks, players, &json!({"type": "grantResources", "resources": {"gold": 1}})).await
}

/// Has `process-tasks` look at queues in which nothing is due: it reads them, from the table too where they
/// are cached, and writes nothing.
async fn tick(process_tasks: &Function, players: &[PlayerId]) -> Value {
    let ids: Vec<&str> = players.iter().map(PlayerId::as_str).collect();
    invoke(process_tasks, json!({"type": "advanceQueues", "playerIds": ids})).await
}

/// A whole number of an answer.
fn number(answer: &Value, path: &str) -> u64 {
    answer.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {answer:#}"))
}

/// Round trips of the upkeep since the start of the process.
fn round_trips(answer: &Value) -> u64 {
    number(answer, "/report/statistics/redis/upkeep/roundTrips")
}

/// A tier in this process on the same keys.
async fn tier(url: &str, mode: RedisMode, prefix: &str) -> RedisCache {
    let settings = RedisCacheSettings {
        mode,
        key_prefix: prefix.to_owned(),
        response_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        ..RedisCacheSettings::new(url)
    };
    RedisCache::connect(settings, None).await.expect("the URL can be used")
}

/// A copy of an empty queue with so much gold.
fn copy(player_id: &PlayerId, version: u64, gold: u64) -> Arc<CachedQueue> {
    let mut queue = Queue::new(player_id.clone(), Timestamp::from_millis(1_000));
    queue.version = version;
    if gold > 0 {
        let balances = serde_json::from_value(json!({"gold": gold}));
        queue.balances = balances.expect("a balance");
    }
    Arc::new(CachedQueue { queue, progress_known: true })
}

/// Puts copies that were never committed.
async fn plant(tier: &RedisCache, copies: &[Arc<CachedQueue>]) {
    for copies in copies.chunks(1_000) {
        assert_eq!(tier.put(copies, Timestamp::from_millis(1_000)).await, 0);
    }
}

/// How often a server has run a command.
async fn calls(redis: &Redis, command: &str) -> u64 {
    let info: String = redis.cli(&["INFO", "commandstats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().and_then(|count| count.parse().ok()).expect("a count"))
}
