//! `maintain-cache` with a real Redis server or cluster, together with `process-tasks`.
//!
//! | module | content |
//! |---|---|
//! | `clear` | removing copies, keeping the keys of others, and continuing after a deadline |
//! | `warm` | which players are warmed, and the exact number of calls |
//! | `rebuild` | replacing wrong copies |
//! | `heartbeats` | reports between milestones while the cache is warmed, cleared and rebuilt |
//! | `emergency` | emergency mode in all processes, and reads without the table |
//! | `statistics` | samples of the shared cache and reports of processes |
//! | `faults` | errors of Redis and of the table, and invalid requests |

mod clear;
mod emergency;
mod faults;
mod heartbeats;
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
use millrace_tests::{
    Function, FunctionError, Invocation,
    answers::number,
    sqs::{self, Message},
    store_contents::player,
};
use serde_json::{Value, json};

/// Invokes a function. Panics if it fails.
async fn invoke(function: &Function, invocation: impl Into<Invocation>) -> Value {
    function.answer(invocation).await
}

/// Invokes a function and returns the type and message of its error. Panics if there is no error.
async fn invoke_error(function: &Function, invocation: impl Into<Invocation>) -> (String, String) {
    match function.invoke(invocation).await {
        Err(FunctionError::Reported { error_type, message, .. }) => (error_type, message),
        other => panic!("an error was expected, not {other:?}"),
    }
}

/// The players `<name>-0` to `<name>-<count - 1>`.
fn players(name: &str, count: usize) -> Vec<PlayerId> {
    (0..count).map(|at| player(&format!("{name}-{at}"))).collect()
}

/// Sends `command` to `process-tasks` for each player, 100 to a call. Returns the last answer.
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

/// Grants one gold to each player.
async fn grant(process_tasks: &Function, players: &[PlayerId]) -> Value {
    apply(process_tasks, players, &json!({"type": "grantResources", "resources": {"gold": 1}})).await
}

/// Sends a tick for queues in which nothing is due, through SQS, so that a tick that fails is
/// handed back. `process-tasks` loads the queues, also those that are cached, and writes nothing.
async fn tick(process_tasks: &Function, players: &[PlayerId]) -> Value {
    let ids: Vec<&str> = players.iter().map(PlayerId::as_str).collect();
    let tick = json!({"type": "advanceQueues", "playerIds": ids});
    invoke(process_tasks, sqs::standard(&[Message::new(1, tick)])).await
}

/// The number of round trips for upkeep since the process started.
fn round_trips(answer: &Value) -> u64 {
    number(answer, "/report/statistics/redis/upkeep/roundTrips")
}

/// A Redis tier in the test process, with the keys of the functions.
async fn tier(url: &str, mode: RedisMode, prefix: &str) -> RedisCache {
    let settings = RedisCacheSettings {
        mode,
        key_prefix: prefix.to_owned(),
        response_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        ..RedisCacheSettings::new(url)
    };
    RedisCache::connect(settings, None).await.expect("the URL is valid")
}

/// A copy of an empty queue with this version and this balance of gold.
fn cached_copy(player_id: &PlayerId, version: u64, gold: u64) -> Arc<CachedQueue> {
    let mut queue = Queue::new(player_id.clone(), Timestamp::from_millis(1_000));
    queue.version = version;
    if gold > 0 {
        let balances = serde_json::from_value(json!({"gold": gold}));
        queue.balances = balances.expect("a balance");
    }
    Arc::new(CachedQueue { queue, progress_known: true })
}

/// Puts copies into Redis that are not in the table.
async fn put_copies(tier: &RedisCache, copies: &[Arc<CachedQueue>]) {
    for copies in copies.chunks(1_000) {
        assert_eq!(tier.put(copies, Timestamp::from_millis(1_000)).await, 0);
    }
}

/// How often a Redis server has executed a command.
async fn command_calls(redis: &Redis, command: &str) -> u64 {
    let info: String = redis.cli(&["INFO", "commandstats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().and_then(|count| count.parse().ok()).expect("a count"))
}
