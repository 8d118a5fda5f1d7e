//! The order of both caches, the calls that each gets, and their feature switches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use millrace_cache::{CachedCopy, Emergency, LocalCache, LocalSettings, SharedCache, SharedCacheState, Tier, Tiers};
use millrace_domain::{FeatureSwitch, PlayerId, Queue, Timestamp, codec::CachedQueue};

/// A shared cache in memory that counts its round trips.
struct Memory {
    state: SharedCacheState,
    copies: Mutex<HashMap<PlayerId, Arc<CachedQueue>>>,
    round_trips: Mutex<Vec<usize>>,
    emergency: Mutex<Option<Emergency>>,
    page: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Memory {
    fn new(state: SharedCacheState) -> Arc<Self> {
        Arc::new(Self {
            state,
            copies: Mutex::default(),
            round_trips: Mutex::default(),
            emergency: Mutex::default(),
            page: Mutex::default(),
        })
    }
}

#[async_trait]
impl SharedCache for Memory {
    fn state(&self) -> SharedCacheState {
        self.state
    }
    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64) {
        self.round_trips.lock().unwrap().push(players.len());
        let known = self.copies.lock().unwrap();
        (players.iter().map(|player| known.get(player).cloned()).collect(), 0)
    }
    async fn put(&self, copies: &[Arc<CachedQueue>], _now: Timestamp) -> u64 {
        self.round_trips.lock().unwrap().push(copies.len());
        let mut known = self.copies.lock().unwrap();
        known.extend(copies.iter().map(|copy| (copy.queue.player_id.clone(), Arc::clone(copy))));
        0
    }
    async fn ping(&self) -> bool {
        self.round_trips.lock().unwrap().push(0);
        self.state == SharedCacheState::Up
    }
    async fn forget(&self, players: &[PlayerId]) -> u64 {
        self.copies.lock().unwrap().retain(|player, _| !players.contains(player));
        0
    }
    async fn get_page(&self, _player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
        self.round_trips.lock().unwrap().push(1);
        let page = self.page.lock().unwrap().clone();
        (page.filter(|(of, _)| *of == version).map(|(_, page)| page), 0)
    }
    async fn put_page(&self, _player: &PlayerId, version: u64, page: &[u8]) -> u64 {
        *self.page.lock().unwrap() = Some((version, page.to_vec()));
        0
    }
    fn emergency(&self) -> Option<Emergency> {
        *self.emergency.lock().unwrap()
    }
}

fn copy(player: &str) -> CachedCopy {
    let since = Timestamp::from_millis(0);
    let queue = Queue::new(PlayerId::new(player).unwrap(), since);
    CachedCopy { cached: Arc::new(CachedQueue { queue, progress_known: true }), since }
}

fn ids(names: &[&str]) -> Vec<PlayerId> {
    names.iter().map(|name| PlayerId::new(name).unwrap()).collect()
}

fn local() -> LocalCache {
    LocalCache::new(LocalSettings { freshness_ms: 1_000, ..LocalSettings::default() })
}

/// Both caches, where the shared one has this state.
fn both(state: SharedCacheState) -> (Arc<Memory>, Tiers) {
    let shared = Memory::new(state);
    let tiers = Tiers::local_only(local(), FeatureSwitch::ON).with_shared(shared.clone(), FeatureSwitch::ON);
    (shared, tiers)
}

#[tokio::test]
async fn copies_of_the_shared_cache_are_read_in_one_round_trip_and_kept_locally() {
    let (shared, tiers) = both(SharedCacheState::Up);
    let now = Timestamp::from_millis(10);
    tiers.put(&[copy("a"), copy("b"), copy("c")], now).await;
    tiers.forget_local(&ids(&["b"])[0]);
    tiers.forget_local(&ids(&["c"])[0]);
    shared.round_trips.lock().unwrap().clear();

    let lookup = tiers.get(&ids(&["a", "b", "c", "d"]), now).await;
    let tiers_hit: Vec<_> = lookup.hits.iter().map(|hit| hit.as_ref().map(|hit| hit.tier)).collect();
    assert_eq!(tiers_hit, [Some(Tier::Local), Some(Tier::Redis), Some(Tier::Redis), None]);
    assert_eq!(*shared.round_trips.lock().unwrap(), [3]);

    let again = tiers.get(&ids(&["a", "b", "c"]), now).await;
    assert!(again.hits.iter().all(|hit| hit.as_ref().is_some_and(|hit| hit.tier == Tier::Local)));
    assert_eq!(*shared.round_trips.lock().unwrap(), [3], "all copies are local");
}

#[tokio::test]
async fn a_shared_cache_that_is_down_gets_puts_but_no_gets() {
    let (shared, tiers) = both(SharedCacheState::Down);
    tiers.get(&ids(&["a", "b"]), Timestamp::from_millis(0)).await;
    tiers.take(&ids(&["a", "b"]), Timestamp::from_millis(0)).await;
    assert!(shared.round_trips.lock().unwrap().is_empty());
    tiers.put(&[copy("a")], Timestamp::from_millis(0)).await;
    assert_eq!(*shared.round_trips.lock().unwrap(), [1]);
    assert_eq!(tiers.shared_state(), SharedCacheState::Down);
}

#[tokio::test]
async fn a_shared_copy_does_not_replace_a_newer_local_one() {
    let (shared, tiers) = both(SharedCacheState::Up);
    let (player, later) = (&ids(&["a"])[..], Timestamp::from_millis(5_000));
    let older = copy("a");
    shared.put(&[older.cached], later).await;
    let mut newer = copy("a");
    Arc::make_mut(&mut newer.cached).queue.version = 3;
    tiers.put_local(newer);
    assert!(tiers.get(player, later).await.hits[0].is_none(), "the local copy is stale, and the shared one older");
    assert!(tiers.take(player, later).await.hits[0].is_none());

    let mut newest = copy("a");
    Arc::make_mut(&mut newest.cached).queue.version = 4;
    shared.put(&[newest.cached], later).await;
    let hit = tiers.get(player, later).await.hits[0].clone().unwrap();
    assert_eq!((hit.tier, hit.copy.cached.queue.version, hit.copy.since), (Tier::Redis, 4, later));
}

#[tokio::test]
async fn in_emergency_mode_only_reads_accept_older_copies() {
    let (shared, tiers) = both(SharedCacheState::Up);
    let (player, at) = (&ids(&["a"])[..], Timestamp::from_millis);
    tiers.put_local(copy("a"));
    let found = async |millis| tiers.get(player, at(millis)).await.hits[0].is_some();
    assert!(found(1_000).await && !found(1_001).await);
    let on = Emergency { enabled: true, switched_at: at(0), until: at(70_000) };
    *shared.emergency.lock().unwrap() = Some(on);
    // A lookup drops a stale copy.
    tiers.put_local(copy("a"));
    assert!(found(1_001).await && found(60_000).await && !found(60_001).await);
    tiers.put_local(copy("a"));
    assert!(tiers.take(player, at(1_001)).await.hits[0].is_none(), "a change needs a fresh copy");
    assert_eq!(tiers.emergency(at(69_999)), Some(on));
    assert_eq!(tiers.emergency(at(70_000)), None);
    tiers.put_local(CachedCopy { since: at(69_000), ..copy("a") });
    assert!(found(70_000).await && !found(70_001).await, "it is over");
    *shared.emergency.lock().unwrap() = Some(Emergency { enabled: false, ..on });
    assert_eq!(tiers.emergency(at(1)), None);
}

#[tokio::test]
async fn forgetting_removes_copies_from_both_caches() {
    let (_, tiers) = both(SharedCacheState::Up);
    let now = Timestamp::from_millis(10);
    tiers.put(&[copy("a"), copy("b")], now).await;
    assert_eq!(tiers.forget(&ids(&["a"])).await, 0);
    let lookup = tiers.get(&ids(&["a", "b"]), now).await;
    assert!(lookup.hits[0].is_none() && lookup.hits[1].is_some());
}

#[tokio::test]
async fn statistics_are_kept_by_cache_and_kind() {
    let tiers = Tiers::local_only(local(), FeatureSwitch::ON);
    let now = Timestamp::from_millis(10);
    tiers.put(&[copy("a")], now).await;
    tiers.get(&ids(&["a", "b"]), now).await;
    let json = serde_json::to_value(tiers.statistics()).unwrap();
    let (queue, stats) = (&json["local"]["kinds"]["queue"], &json["local"]["kinds"]["stats"]);
    assert_eq!((&stats["hits"], &queue["misses"], &stats["sets"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&json["local"]["entries"], &stats["bytes"]), (&1.into(), &json["local"]["bytes"]));
    assert_eq!(json["local"]["kinds"]["progress"]["hits"], 0);
    assert!(json["local"]["lookups"]["p99Us"].is_u64());
    assert_eq!(json["redis"]["state"], "off");
    assert!(json["redis"]["server"].is_null());
    assert!(json["redis"]["kinds"]["frequent"]["bytesRead"].is_u64());
}

#[tokio::test]
async fn a_cache_that_is_switched_off_is_not_used() {
    let shared = Memory::new(SharedCacheState::Up);
    let tiers = Tiers::local_only(local(), FeatureSwitch::OFF).with_shared(shared.clone(), FeatureSwitch::OFF);
    tiers.put(&[copy("a")], Timestamp::from_millis(0)).await;
    let lookup = tiers.get(&ids(&["a"]), Timestamp::from_millis(0)).await;
    assert!(lookup.hits[0].is_none());
    assert!(shared.round_trips.lock().unwrap().is_empty());
    assert_eq!(tiers.statistics().local.kinds.stats.sets, 0);
}

/// A copy of this version.
fn version(player: &str, version: u64) -> CachedCopy {
    let mut copy = copy(player);
    Arc::make_mut(&mut copy.cached).queue.version = version;
    copy
}

#[tokio::test]
async fn copies_older_than_the_required_version_are_misses() {
    let (_, tiers) = both(SharedCacheState::Up);
    let now = Timestamp::from_millis(10);
    let player = &ids(&["a"])[0];
    tiers.put(&[version("a", 2)], now).await;
    tiers.put_local(version("a", 1));
    let found = async |at_least| {
        let hit = tiers.get_at_least(player, at_least, now).await.hits.remove(0);
        hit.map(|hit| (hit.tier, hit.copy.cached.queue.version))
    };
    assert_eq!(found(2).await, Some((Tier::Local, 2)), "an older copy does not replace a newer one");
    tiers.forget_local(player);
    tiers.put_local(version("a", 1));
    assert_eq!(found(1).await, Some((Tier::Local, 1)));
    assert_eq!(found(2).await, Some((Tier::Redis, 2)));
    assert_eq!(found(0).await, Some((Tier::Local, 2)), "the shared copy is kept locally");
    assert_eq!(found(3).await, None);
}

#[tokio::test]
async fn a_ping_is_sent_unless_the_shared_cache_is_down() {
    for (state, round_trips) in [(SharedCacheState::Up, 1), (SharedCacheState::Down, 0)] {
        let (shared, tiers) = both(state);
        assert_eq!(tiers.ping_shared().await, state);
        assert_eq!(shared.round_trips.lock().unwrap().len(), round_trips);
    }
    assert_eq!(Tiers::local_only(local(), FeatureSwitch::ON).ping_shared().await, SharedCacheState::Off);
}

#[tokio::test]
async fn pages_are_used_while_the_shared_cache_is_up_and_on() {
    let player = &ids(&["a"])[0];
    let cases = [
        (SharedCacheState::Up, FeatureSwitch::ON, Some(b"page".to_vec())),
        (SharedCacheState::Down, FeatureSwitch::ON, None),
        (SharedCacheState::Up, FeatureSwitch::OFF, None),
    ];
    for (state, switch, expected) in cases {
        let shared = Memory::new(state);
        let tiers = Tiers::local_only(local(), FeatureSwitch::ON).with_shared(shared.clone(), switch);
        assert_eq!(tiers.put_page(player, 7, b"page").await, 0);
        assert_eq!(tiers.get_page(player, 7).await, (expected.clone(), 0), "{state:?}");
        assert_eq!(tiers.get_page(player, 8).await, (None, 0), "another version");
        assert_eq!(shared.round_trips.lock().unwrap().len(), if expected.is_some() { 2 } else { 0 });
    }
    assert_eq!(Tiers::local_only(local(), FeatureSwitch::ON).get_page(player, 7).await, (None, 0));
}
