//! Copies of queues, tiers with short times, and what tests ask of them.

use std::{sync::Arc, time::Duration};

use millrace_cache::{
    BreakerSettings, RemoteTier, TierState,
    redis::{RedisTier, RedisTierSettings},
};
use millrace_domain::{PlayerId, Queue, Task, TaskSpec, Timestamp, codec::Cached, task::State};

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
pub fn copy(name: &str, version: u64) -> Arc<Cached> {
    let mut queue = Queue::new(player(name), Timestamp::from_millis(1_000));
    queue.version = version;
    Arc::new(Cached { queue, progress_known: true })
}

/// A copy with a task of 100 units, so many of them done, and whether that is known.
pub fn progress(name: &str, version: u64, units_done: u64, progress_known: bool) -> Arc<Cached> {
    let mut cached = Arc::unwrap_or_clone(copy(name, version));
    let spec: TaskSpec = serde_json::from_str(r#"{"taskId": "t-1", "kind": "dig", "work": {"units": 100}}"#).unwrap();
    let mut task = Task::new(&spec, Vec::new(), Timestamp::from_millis(1_000));
    task.state = State::Active { started_at: Timestamp::from_millis(1_000), paused_ms: 0 };
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
pub async fn put(tier: &RedisTier, copies: &[Arc<Cached>]) {
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
