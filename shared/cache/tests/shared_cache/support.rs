//! Servers, caches and copies for the tests.

use std::{sync::Arc, time::Duration};

use millrace_cache::{
    BreakerSettings, DataKind, ScanCursor, SharedCache, SharedCacheState,
    redis::{RedisCache, RedisCacheSettings, RedisMode},
};
use millrace_domain::{PlayerId, Queue, Task, TaskSpec, Timestamp, codec::CachedQueue, task::TaskState};
use millrace_servers::{Redis, RedisBuilder, RedisCluster, TcpProxy};

/// The configuration of a server of the tested program.
pub fn server() -> RedisBuilder {
    Redis::builder().program(crate::PROGRAM)
}

/// A cluster of the tested program.
pub async fn cluster() -> RedisCluster {
    RedisCluster::start_with(server()).await
}

/// A proxy in front of a server, and the URL of the server through the proxy.
pub async fn behind_proxy(redis: &Redis) -> (TcpProxy, String) {
    let proxy = TcpProxy::start(redis.address()).await;
    let url = format!("redis://{}", proxy.address());
    (proxy, url)
}

/// A player's id.
pub fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

/// The players `p-0`, `p-1` and so on.
pub fn players(count: usize) -> Vec<PlayerId> {
    (0..count).map(|n| player(&format!("p-{n}"))).collect()
}

/// The key of a player's copy.
pub fn key(name: &str) -> String {
    format!("millrace:queue:{name}")
}

/// A copy as it was committed, with one task that is not finished.
pub fn copy(name: &str, version: u64) -> Arc<CachedQueue> {
    with_task(name, version, r#"{"taskId": "t-1", "kind": "dig", "work": {"durationMs": 1000}}"#)
}

/// A copy without unfinished tasks.
pub fn idle(name: &str, version: u64) -> Arc<CachedQueue> {
    let mut cached = Arc::unwrap_or_clone(copy(name, version));
    cached.queue.tasks.clear();
    Arc::new(cached)
}

fn with_task(name: &str, version: u64, task: &str) -> Arc<CachedQueue> {
    let at = Timestamp::from_millis(1_000);
    let mut queue = Queue::new(player(name), at);
    queue.version = version;
    let spec: TaskSpec = serde_json::from_str(task).unwrap();
    queue.tasks.push(Task::new(&spec, Vec::new(), at));
    Arc::new(CachedQueue { queue, progress_known: true })
}

/// A copy with an active task of 100 units.
pub fn progress(name: &str, version: u64, units_done: u64, progress_known: bool) -> Arc<CachedQueue> {
    let task = r#"{"taskId": "t-1", "kind": "dig", "work": {"units": 100}}"#;
    let mut cached = Arc::unwrap_or_clone(with_task(name, version, task));
    let task = &mut cached.queue.tasks[0];
    task.state = TaskState::Active { started_at: Timestamp::from_millis(1_000), paused_ms: 0, reported_ms: 0 };
    task.units_done = units_done;
    cached.progress_known = progress_known;
    Arc::new(cached)
}

/// Settings with long time-outs, and a circuit breaker that closes soon.
pub fn settings(url: impl Into<String>) -> RedisCacheSettings {
    RedisCacheSettings {
        response_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        breaker: BreakerSettings {
            failures: 3,
            cool_down: Duration::from_millis(50),
            max_cool_down: Duration::from_millis(200),
        },
        seed: 7,
        ..RedisCacheSettings::new(url)
    }
}

/// The same with a short time-out, for tests that wait for it.
pub fn hasty(url: impl Into<String>) -> RedisCacheSettings {
    RedisCacheSettings { response_timeout: Duration::from_millis(500), ..settings(url) }
}

/// Settings with a short time-out, and a circuit breaker that stays open.
pub fn patient(url: impl Into<String>) -> RedisCacheSettings {
    let settings = hasty(url);
    let cool_down = Duration::from_secs(600);
    RedisCacheSettings {
        breaker: BreakerSettings { cool_down, max_cool_down: cool_down, ..settings.breaker },
        ..settings
    }
}

/// Settings for a cluster, with long time-outs.
pub fn in_cluster(url: impl Into<String>) -> RedisCacheSettings {
    RedisCacheSettings { mode: RedisMode::Cluster, ..settings(url) }
}

/// A cache with these settings.
pub async fn connect(settings: RedisCacheSettings) -> RedisCache {
    RedisCache::connect(settings, None).await.unwrap()
}

/// A server, and a cache on it.
pub async fn start() -> (Redis, RedisCache) {
    let redis = server().start().await;
    let cache = connect(settings(redis.url())).await;
    (redis, cache)
}

/// A cluster, and a cache on it.
pub async fn start_cluster() -> (RedisCluster, RedisCache) {
    let cluster = cluster().await;
    let cache = connect(in_cluster(cluster.url())).await;
    (cluster, cache)
}

/// A server, a proxy in front of it, and a cache behind the proxy.
pub async fn start_behind_proxy(settings: impl Fn(String) -> RedisCacheSettings) -> (Redis, TcpProxy, RedisCache) {
    let redis = server().start().await;
    let (proxy, url) = behind_proxy(&redis).await;
    let cache = connect(settings(url)).await;
    (redis, proxy, cache)
}

/// The version of each player's copy, as a get without errors returns it.
pub async fn versions(cache: &RedisCache, names: &[&str]) -> Vec<Option<u64>> {
    let players: Vec<PlayerId> = names.iter().map(|name| player(name)).collect();
    let (found, errors) = cache.get(&players).await;
    assert_eq!(errors, 0);
    found.iter().map(|copy| copy.as_ref().map(|copy| copy.queue.version)).collect()
}

/// Puts copies without errors.
pub async fn put(cache: &RedisCache, copies: &[Arc<CachedQueue>]) {
    assert_eq!(cache.put(copies, Timestamp::from_millis(2_000)).await, 0);
}

/// Waits until the cache is in use again.
pub async fn until_up(cache: &RedisCache) {
    until("the cache is in use again", || cache.state() == SharedCacheState::Up).await;
}

/// Waits until a condition is met.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("20 s passed, but not until {what}");
}

/// Fails calls until the breaker opens.
pub async fn fail_until_down(cache: &RedisCache) {
    for _ in 0..3 {
        assert_eq!(cache.state(), SharedCacheState::Up);
        let (found, errors) = cache.get(&players(2)).await;
        assert_eq!((found.iter().flatten().count(), errors), (0, 1));
    }
    assert_eq!(cache.state(), SharedCacheState::Down);
}

/// How often a server has executed a command. The question itself executes `INFO`.
pub async fn calls(redis: &Redis, command: &str) -> u64 {
    count(redis, command, "calls").await
}

/// How often a server has refused a command.
pub async fn refusals(redis: &Redis, command: &str) -> u64 {
    count(redis, command, "rejected_calls").await
}

async fn count(redis: &Redis, command: &str, what: &str) -> u64 {
    let info: String = redis.cli(&["INFO", "commandstats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let count = line.and_then(|line| line.split(',').find_map(|part| part.strip_prefix(&format!("{what}="))));
    count.map_or(0, |count| count.parse().unwrap())
}

/// A player whose key belongs to this node of a cluster, and its slot.
pub async fn player_of(cluster: &RedisCluster, node: usize) -> (String, String) {
    for n in 0..1_000 {
        let name = format!("of-{node}-{n}");
        if cluster.node_of(&key(&name)).await.port() == cluster.nodes()[node].port() {
            let slot: u16 = cluster.nodes()[0].cli(&["CLUSTER", "KEYSLOT", &key(&name)]).await;
            return (name, slot.to_string());
        }
    }
    panic!("none of 1,000 keys belongs to node {node}");
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
    panic!("20 s passed without the error {code}; the last one was {last:?}");
}

/// A deadline that no call of the upkeep reaches.
pub fn later() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(30)
}

/// A moment in milliseconds.
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The time by the clock of the servers.
pub fn server_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    at(u64::try_from(since.as_millis()).unwrap())
}

/// The ids of players as text.
pub fn ids(players: &[PlayerId]) -> Vec<&str> {
    players.iter().map(PlayerId::as_str).collect()
}

/// Clears all pages of a scan: the number of scanned keys, cleared copies and pages.
pub async fn clear(cache: &RedisCache, kind: Option<DataKind>) -> (u64, u64, u64) {
    let (mut scanned, mut cleared, mut pages, mut cursor) = (0, 0, 0, None);
    loop {
        let page = cache.clear(kind, cursor.as_ref(), later()).await.unwrap();
        assert_eq!(page.failed, 0);
        (scanned, cleared, pages) = (scanned + page.scanned, cleared + page.cleared, pages + 1);
        // Callers get the cursor as text and send it back.
        cursor = page.next.map(|next: ScanCursor| next.to_string().parse().unwrap());
        if cursor.is_none() {
            return (scanned, cleared, pages);
        }
    }
}
