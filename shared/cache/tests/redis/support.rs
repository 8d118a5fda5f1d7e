//! Copies of queues, tiers with short times, and what tests ask of them.

use std::{sync::Arc, time::Duration};

use millrace_cache::{
    BreakerSettings, RemoteTier, TierState,
    redis::{RedisMode, RedisTier, RedisTierSettings},
};
use millrace_domain::{PlayerId, Queue, Task, TaskSpec, Timestamp, codec::CachedQueue, task::TaskState};
use millrace_servers::{Redis, RedisCluster};

/// A player's id.
pub fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

/// So many players.
pub fn players(count: usize) -> Vec<PlayerId> {
    (0..count).map(|n| player(&format!("p-{n}"))).collect()
}

/// The key of a player.
pub fn key(name: &str) -> String {
    format!("millrace:queue:{name}")
}

/// A copy as it was committed.
pub fn copy(name: &str, version: u64) -> Arc<CachedQueue> {
    let mut queue = Queue::new(player(name), Timestamp::from_millis(1_000));
    queue.version = version;
    Arc::new(CachedQueue { queue, progress_known: true })
}

/// A copy with a task of 100 units, so many of them done, and whether that is known.
pub fn progress(name: &str, version: u64, units_done: u64, progress_known: bool) -> Arc<CachedQueue> {
    let mut cached = Arc::unwrap_or_clone(copy(name, version));
    let spec: TaskSpec = serde_json::from_str(r#"{"taskId": "t-1", "kind": "dig", "work": {"units": 100}}"#).unwrap();
    let mut task = Task::new(&spec, Vec::new(), Timestamp::from_millis(1_000));
    task.state = TaskState::Active { started_at: Timestamp::from_millis(1_000), paused_ms: 0 };
    task.units_done = units_done;
    cached.queue.tasks.push(task);
    cached.progress_known = progress_known;
    Arc::new(cached)
}

/// Settings with which nothing that succeeds comes near its time-out, and whose breaker closes soon.
pub fn settings(url: impl Into<String>) -> RedisTierSettings {
    RedisTierSettings {
        response_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        breaker: BreakerSettings {
            failures: 3,
            cool_down: Duration::from_millis(50),
            max_cool_down: Duration::from_millis(200),
        },
        seed: 7,
        ..RedisTierSettings::new(url)
    }
}

/// The same for tests that wait for time-outs.
pub fn hasty(url: impl Into<String>) -> RedisTierSettings {
    RedisTierSettings { response_timeout: Duration::from_millis(500), ..settings(url) }
}

/// The same, but once the breaker has opened it stays so.
pub fn patient(url: impl Into<String>) -> RedisTierSettings {
    let settings = hasty(url);
    let cool_down = Duration::from_secs(600);
    RedisTierSettings {
        breaker: BreakerSettings { cool_down, max_cool_down: cool_down, ..settings.breaker },
        ..settings
    }
}

/// The same for a cluster.
pub fn in_cluster(url: impl Into<String>) -> RedisTierSettings {
    RedisTierSettings { mode: RedisMode::Cluster, ..settings(url) }
}

/// A tier with these settings.
pub async fn connect(settings: RedisTierSettings) -> RedisTier {
    RedisTier::connect(settings, None).await.unwrap()
}

/// The version held of each player, as a get sees it. There must be no errors.
pub async fn versions(tier: &RedisTier, names: &[&str]) -> Vec<Option<u64>> {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    let (found, errors) = tier.get(&players).await;
    assert_eq!(errors, 0);
    found.iter().map(|copy| copy.as_ref().map(|copy| copy.queue.version)).collect()
}

/// Puts copies; there must be no errors.
pub async fn put(tier: &RedisTier, copies: &[Arc<CachedQueue>]) {
    assert_eq!(tier.put(copies, Timestamp::from_millis(2_000)).await, 0);
}

/// Waits until the tier takes part again.
pub async fn until_up(tier: &RedisTier) {
    until("the tier is up again", || tier.state() == TierState::Up).await;
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain waited for 20 s until {what}");
}

/// Fails calls until the breaker opens.
pub async fn fail_until_down(tier: &RedisTier) {
    for _ in 0..3 {
        assert_eq!(tier.state(), TierState::Up);
        let (found, errors) = tier.get(&players(2)).await;
        assert_eq!((found.iter().flatten().count(), errors), (0, 1));
    }
    assert_eq!(tier.state(), TierState::Down);
}

/// How often a server has run a command. To ask is to run `INFO`.
pub async fn calls(redis: &Redis, command: &str) -> u64 {
    count(redis, command, "calls").await
}

/// How often a server has refused to run a command.
pub async fn refusals(redis: &Redis, command: &str) -> u64 {
    count(redis, command, "rejected_calls").await
}

async fn count(redis: &Redis, command: &str, what: &str) -> u64 {
    let info: String = redis.cli(&["INFO", "commandstats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let count = line.and_then(|line| line.split(',').find_map(|part| part.strip_prefix(&format!("{what}="))));
    count.map_or(0, |count| count.parse().unwrap())
}

/// A player whose key belongs to this node, and its slot.
pub async fn player_of(cluster: &RedisCluster, node: usize) -> (String, String) {
    for n in 0..1_000 {
        let name = format!("of-{node}-{n}");
        if cluster.node_of(&key(&name)).await.port() == cluster.nodes()[node].port() {
            let slot: u16 = cluster.nodes()[0].cli(&["CLUSTER", "KEYSLOT", &key(&name)]).await;
            return (name, slot.to_string());
        }
    }
    panic!("no key of a thousand belongs to node {node}");
}

/// Waits until a server answers a read with this error.
pub async fn until_error(redis: &Redis, code: &str) {
    let mut last = String::new();
    for _ in 0..2_000 {
        if let Err(error) = redis.try_cli::<Option<Vec<u8>>>(&["GET", &key("any")]).await {
            if error.code() == Some(code) {
                return;
            }
            last = error.to_string();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain waited for 20 s until a read is answered with {code}; last it was {last:?}");
}
