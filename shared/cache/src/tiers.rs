//! Both caches in their order: local, then shared.

use std::{sync::Arc, time::Instant};

use millrace_domain::{FeatureSwitch, PlayerId, Timestamp, codec::CachedQueue};
use serde::Serialize;

use crate::{
    emergency::Emergency,
    local::{CachedCopy, LocalCache},
    redis::RedisCache,
    shared_cache::SharedCache,
    state::SharedCacheState,
    statistics::{CacheStatistics, SharedStatistics},
};

/// The cache that has a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// In the local cache.
    Local,
    /// In the shared cache.
    Redis,
}

/// A copy that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The copy.
    pub copy: CachedCopy,
    /// The cache that has it.
    pub tier: Tier,
}

/// The result of a lookup.
#[derive(Debug)]
pub struct Lookup {
    /// One entry for each player, in the order of the request; none is a miss.
    pub hits: Vec<Option<Hit>>,
    /// Errors of the shared cache.
    pub shared_errors: u64,
}

/// Both caches. Each is used for the players of its feature switch.
#[derive(Clone)]
pub struct Tiers {
    local: LocalCache,
    local_switch: FeatureSwitch,
    shared: Option<Arc<dyn SharedCache>>,
    /// The shared cache for its upkeep; none where it is not Redis, as in simulations.
    redis: Option<RedisCache>,
    shared_switch: FeatureSwitch,
}

/// A way to look into the local cache.
type LocalLookup = fn(&LocalCache, &PlayerId, Timestamp) -> Option<CachedCopy>;

impl Tiers {
    /// A local cache without a shared one.
    pub fn local_only(local: LocalCache, switch: FeatureSwitch) -> Self {
        Self { local, local_switch: switch, shared: None, redis: None, shared_switch: FeatureSwitch::OFF }
    }

    /// Adds a shared cache behind the local one.
    #[must_use]
    pub fn with_shared(mut self, shared: Arc<dyn SharedCache>, switch: FeatureSwitch) -> Self {
        self.shared = Some(shared);
        self.shared_switch = switch;
        self
    }

    /// Adds Redis as the shared cache, with its upkeep.
    #[must_use]
    pub fn with_redis(self, redis: RedisCache, switch: FeatureSwitch) -> Self {
        Self { redis: Some(redis.clone()), ..self.with_shared(Arc::new(redis), switch) }
    }

    /// Looks up the queues of `players` to read them: first in the local cache, then all others in
    /// one round trip in the shared cache. Copies of the shared cache are put into the local one.
    /// In emergency mode older local copies count as fresh.
    pub async fn get(&self, players: &[PlayerId], now: Timestamp) -> Lookup {
        self.keep_locally(self.look_up(players, now, 0, self.read_lookup(now)).await)
    }

    /// Looks up one player's queue; copies of an older version than this are misses in both caches.
    pub async fn get_at_least(&self, player: &PlayerId, version: u64, now: Timestamp) -> Lookup {
        self.keep_locally(self.look_up(std::slice::from_ref(player), now, version, self.read_lookup(now)).await)
    }

    fn read_lookup(&self, now: Timestamp) -> LocalLookup {
        if self.emergency(now).is_some() { LocalCache::get_in_emergency } else { LocalCache::get }
    }

    fn keep_locally(&self, lookup: Lookup) -> Lookup {
        for hit in lookup.hits.iter().flatten().filter(|hit| hit.tier == Tier::Redis) {
            self.put_local(hit.copy.clone());
        }
        lookup
    }

    /// Looks up the queues of `players` to change them. Local copies are taken out of the cache
    /// ([`LocalCache::take`]), and shared ones are not put into it before the caller does.
    pub async fn take(&self, players: &[PlayerId], now: Timestamp) -> Lookup {
        self.look_up(players, now, 0, LocalCache::take).await
    }

    async fn look_up(&self, players: &[PlayerId], now: Timestamp, at_least: u64, local: LocalLookup) -> Lookup {
        let started = Instant::now();
        let mut hits: Vec<Option<Hit>> = players
            .iter()
            .map(|player| {
                let copy = self.local_switch.is_on_for(player).then(|| local(&self.local, player, now))??;
                (copy.cached.queue.version >= at_least).then_some(Hit { copy, tier: Tier::Local })
            })
            .collect();
        self.local.record_lookups(started);
        let missing: Vec<usize> = (0..players.len())
            .filter(|at| hits[*at].is_none() && self.shared_switch.is_on_for(&players[*at]))
            .collect();
        let Some(shared) = self.shared_if_up().filter(|_| !missing.is_empty()) else {
            return Lookup { hits, shared_errors: 0 };
        };
        let keys: Vec<PlayerId> = missing.iter().map(|at| players[*at].clone()).collect();
        let (found, shared_errors) = shared.get(&keys).await;
        for (at, cached) in missing.into_iter().zip(found) {
            let cached =
                cached.filter(|cached| cached.queue.version >= at_least && !self.local_knows_newer(cached, now));
            // The process that commits a version puts it into the shared cache before it answers.
            // So the copy is the newest version now.
            hits[at] = cached.map(|cached| Hit { copy: CachedCopy { cached, since: now }, tier: Tier::Redis });
        }
        Lookup { hits, shared_errors }
    }

    /// Whether the local cache has seen a newer version. A shared copy can be older after a put
    /// that failed or a failover; then it is a miss, so that no reader sees a queue go back.
    fn local_knows_newer(&self, cached: &CachedQueue, now: Timestamp) -> bool {
        self.local_switch.is_on_for(&cached.queue.player_id) && self.local.knows_newer(cached, now)
    }

    fn shared_if_up(&self) -> Option<&Arc<dyn SharedCache>> {
        self.shared.as_ref().filter(|shared| shared.state() == SharedCacheState::Up)
    }

    fn shared_unless_off(&self) -> Option<&Arc<dyn SharedCache>> {
        self.shared.as_ref().filter(|shared| shared.state() != SharedCacheState::Off)
    }

    /// Puts a copy into the local cache only, when other processes know it already.
    pub fn put_local(&self, copy: CachedCopy) {
        if self.local_switch.is_on_for(&copy.cached.queue.player_id) {
            self.local.put(copy);
        }
    }

    /// Puts copies into both caches, in one round trip. Returns the errors of the shared cache.
    pub async fn put(&self, copies: &[CachedCopy], now: Timestamp) -> u64 {
        for copy in copies {
            self.put_local(copy.clone());
        }
        // A shared cache that is down is called too: it notes the pending invalidations.
        let Some(shared) = self.shared_unless_off() else { return 0 };
        let copies: Vec<_> = copies
            .iter()
            .map(|copy| &copy.cached)
            .filter(|cached| self.shared_switch.is_on_for(&cached.queue.player_id))
            .cloned()
            .collect();
        if copies.is_empty() { 0 } else { shared.put(&copies, now).await }
    }

    /// Removes a player's copy from the local cache.
    pub fn forget_local(&self, player: &PlayerId) {
        self.local.forget(player);
    }

    /// Removes the copies of players from both caches, in one round trip. No older copy that is
    /// under way comes back. Returns the errors of the shared cache.
    pub async fn forget(&self, players: &[PlayerId]) -> u64 {
        for player in players {
            self.local.forget(player);
        }
        let Some(shared) = self.shared_unless_off() else { return 0 };
        let players: Vec<PlayerId> =
            players.iter().filter(|player| self.shared_switch.is_on_for(player)).cloned().collect();
        if players.is_empty() { 0 } else { shared.forget(&players).await }
    }

    /// The page of a player in the shared cache ([`SharedCache::get_page`]), and the number of
    /// errors.
    pub async fn get_page(&self, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
        match self.shared_if_up().filter(|_| self.shared_switch.is_on_for(player)) {
            Some(shared) => shared.get_page(player, version).await,
            None => (None, 0),
        }
    }

    /// Puts a page of a player into the shared cache ([`SharedCache::put_page`]). Returns the
    /// errors.
    pub async fn put_page(&self, player: &PlayerId, version: u64, page: &[u8]) -> u64 {
        match self.shared_if_up().filter(|_| self.shared_switch.is_on_for(player)) {
            Some(shared) => shared.put_page(player, version, page).await,
            None => 0,
        }
    }

    /// Removes all copies from the local cache.
    pub fn clear_local(&self) {
        self.local.clear();
    }

    /// The shared cache for its upkeep; none where there is none or it is switched off.
    pub fn upkeep(&self) -> Option<&RedisCache> {
        self.redis.as_ref().filter(|_| self.shared_switch.enabled)
    }

    /// Whether the shared cache is used for a player.
    pub fn is_shared(&self, player: &PlayerId) -> bool {
        self.shared.is_some() && self.shared_switch.is_on_for(player)
    }

    /// Emergency mode, if this process knows that it is on.
    pub fn emergency(&self, now: Timestamp) -> Option<Emergency> {
        self.shared.as_ref()?.emergency().filter(|emergency| emergency.is_on(now))
    }

    /// Asks the shared cache whether it answers: one round trip, or none while it is down.
    pub async fn ping_shared(&self) -> SharedCacheState {
        match &self.shared {
            None => SharedCacheState::Off,
            Some(shared) if shared.state() != SharedCacheState::Up => shared.state(),
            Some(shared) if shared.ping().await => SharedCacheState::Up,
            Some(_) => SharedCacheState::Down,
        }
    }

    /// Whether the shared cache is in use.
    pub fn shared_state(&self) -> SharedCacheState {
        self.shared.as_ref().map_or(SharedCacheState::Off, |shared| shared.state())
    }

    /// The statistics of both caches.
    pub fn statistics(&self) -> CacheStatistics {
        let redis = self.shared.as_ref().map_or_else(SharedStatistics::default, |shared| shared.statistics());
        CacheStatistics { local: self.local.statistics(), redis }
    }

    /// Drops half of the local cache ([`LocalCache::shrink`]).
    pub fn shrink(&self) -> u64 {
        self.local.shrink()
    }
}
