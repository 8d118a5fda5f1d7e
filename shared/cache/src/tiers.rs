//! The tiers in their order: local, then remote.

use std::{sync::Arc, time::Instant};

use millrace_domain::{FeatureSwitch, PlayerId, Timestamp, codec::CachedQueue};
use serde::Serialize;

use crate::{
    emergency::Emergency,
    flights::{Claim, Flights},
    local::{CachedCopy, LocalTier, Usage},
    remote::{RemoteTier, TierState},
    statistics::{CacheStatistics, RemoteStatistics},
    upkeep::Upkeep,
};

/// Where a copy was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Inside the process.
    Local,
    /// In the tier that all processes share.
    Redis,
}

/// A copy that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The copy.
    pub held: CachedCopy,
    /// Where.
    pub tier: Tier,
}

/// The answer to [`Tiers::get`].
#[derive(Debug)]
pub struct Lookup {
    /// One entry for each player, in the order of asking; none is a miss.
    pub hits: Vec<Option<Hit>>,
    /// Errors of the remote tier.
    pub remote_errors: u64,
}

/// The tiers, each on for the players that its switch names.
#[derive(Clone)]
pub struct Tiers {
    local: LocalTier,
    local_switch: FeatureSwitch,
    remote: Option<Arc<dyn RemoteTier>>,
    remote_switch: FeatureSwitch,
    flights: Flights,
}

impl Tiers {
    /// A local tier alone.
    pub fn local_only(local: LocalTier, switch: FeatureSwitch) -> Self {
        Self {
            local,
            local_switch: switch,
            remote: None,
            remote_switch: FeatureSwitch::OFF,
            flights: Flights::default(),
        }
    }

    /// The same with a remote tier behind the local one.
    #[must_use]
    pub fn with_remote(mut self, remote: Arc<dyn RemoteTier>, switch: FeatureSwitch) -> Self {
        self.remote = Some(remote);
        self.remote_switch = switch;
        self
    }

    /// Looks for `players` to read their queues: first inside the process, then in one round trip for
    /// all that are left. What the remote tier has is kept inside the process.
    /// In emergency mode older copies inside the process are taken for good.
    pub async fn get(&self, players: &[PlayerId], now: Timestamp) -> Lookup {
        self.keep(self.look(players, now, 0, self.reading(now)).await)
    }

    /// Looks for one player's queue of at least this version: an older copy is passed over, in either tier.
    pub async fn get_at_least(&self, player: &PlayerId, version: u64, now: Timestamp) -> Lookup {
        self.keep(self.look(std::slice::from_ref(player), now, version, self.reading(now)).await)
    }

    /// How those who only read look inside the process.
    fn reading(&self, now: Timestamp) -> fn(&LocalTier, &PlayerId, Timestamp) -> Option<CachedCopy> {
        if self.emergency(now).is_some() { LocalTier::get_in_emergency } else { LocalTier::get }
    }

    fn keep(&self, lookup: Lookup) -> Lookup {
        for hit in lookup.hits.iter().flatten().filter(|hit| hit.tier == Tier::Redis) {
            self.put_local(hit.held.clone());
        }
        lookup
    }

    /// The same to change them: copies inside the process are taken out ([`LocalTier::take`]), and
    /// nothing is kept there before it is put back.
    pub async fn take(&self, players: &[PlayerId], now: Timestamp) -> Lookup {
        self.look(players, now, 0, LocalTier::take).await
    }

    async fn look(
        &self,
        players: &[PlayerId],
        now: Timestamp,
        at_least: u64,
        local: fn(&LocalTier, &PlayerId, Timestamp) -> Option<CachedCopy>,
    ) -> Lookup {
        let started = Instant::now();
        let mut hits: Vec<Option<Hit>> = players
            .iter()
            .map(|player| {
                let held = self.local_switch.is_on_for(player).then(|| local(&self.local, player, now))??;
                (held.cached.queue.version >= at_least).then_some(Hit { held, tier: Tier::Local })
            })
            .collect();
        self.local.record_lookups(started);
        let mut remote_errors = 0;
        if let Some(remote) = self.remote.as_ref().filter(|remote| remote.state() == TierState::Up) {
            let wanted: Vec<usize> = (0..players.len())
                .filter(|at| hits[*at].is_none() && self.remote_switch.is_on_for(&players[*at]))
                .collect();
            if !wanted.is_empty() {
                let keys: Vec<PlayerId> = wanted.iter().map(|at| players[*at].clone()).collect();
                let (found, errors) = remote.get(&keys).await;
                remote_errors = errors;
                for (at, cached) in wanted.into_iter().zip(found) {
                    // What is shared may be older than what was seen here, after a put that failed or a
                    // failover that lost it. Nobody is to see a queue go back: that is a miss.
                    let newer = |cached: &Arc<CachedQueue>| {
                        self.local_switch.is_on_for(&cached.queue.player_id) && self.local.knows_newer(cached, now)
                    };
                    let cached = cached.filter(|cached| cached.queue.version >= at_least && !newer(cached));
                    // It is as new as what is committed: whoever commits puts it there before answering.
                    hits[at] = cached.map(|cached| Hit { held: CachedCopy { cached, since: now }, tier: Tier::Redis });
                }
            }
        }
        Lookup { hits, remote_errors }
    }

    /// What is inside the process of one player, without counting a lookup elsewhere.
    pub fn get_local(&self, player: &PlayerId, now: Timestamp) -> Option<CachedCopy> {
        self.local_switch.is_on_for(player).then(|| self.local.get(player, now))?
    }

    /// Puts a copy inside the process alone: one that others know already, or that is not changed yet.
    pub fn put_local(&self, held: CachedCopy) {
        if self.local_switch.is_on_for(&held.cached.queue.player_id) {
            self.local.put(held);
        }
    }

    /// Puts copies into every tier that is on for them, one round trip for all. Returns the errors of
    /// the remote tier; they fail nothing.
    pub async fn put(&self, copies: &[CachedCopy], now: Timestamp) -> u64 {
        for held in copies {
            self.put_local(held.clone());
        }
        // A tier that is down is told too: it remembers whose copies it has missed.
        let Some(remote) = self.remote.as_ref().filter(|remote| remote.state() != TierState::Off) else { return 0 };
        let copies: Vec<_> = copies
            .iter()
            .map(|held| &held.cached)
            .filter(|cached| self.remote_switch.is_on_for(&cached.queue.player_id))
            .cloned()
            .collect();
        if copies.is_empty() { 0 } else { remote.put(&copies, now).await }
    }

    /// Forgets a player inside the process: what is known of it there is out of date.
    pub fn forget_local(&self, player: &PlayerId) {
        self.local.forget(player);
    }

    /// Forgets players in every tier, in one round trip; whatever is under way with what was known before
    /// does not bring it back. Returns the errors of the remote tier.
    pub async fn forget(&self, players: &[PlayerId]) -> u64 {
        for player in players {
            self.local.forget(player);
        }
        let Some(remote) = self.remote.as_ref().filter(|remote| remote.state() != TierState::Off) else { return 0 };
        let players: Vec<PlayerId> =
            players.iter().filter(|player| self.remote_switch.is_on_for(player)).cloned().collect();
        if players.is_empty() { 0 } else { remote.forget(&players).await }
    }

    /// Forgets everything inside the process.
    pub fn clear_local(&self) {
        self.local.clear();
    }

    /// What the remote tier can do beside serving; none where there is none, or it is switched off.
    pub fn upkeep(&self) -> Option<&dyn Upkeep> {
        self.remote.as_ref().filter(|_| self.remote_switch.enabled)?.upkeep()
    }

    /// Whether a player's copies go to the remote tier.
    pub fn is_shared(&self, player: &PlayerId) -> bool {
        self.remote.is_some() && self.remote_switch.is_on_for(player)
    }

    /// Emergency mode, where it is on as far as this process knows.
    pub fn emergency(&self, now: Timestamp) -> Option<Emergency> {
        self.remote.as_ref()?.emergency().filter(|emergency| emergency.is_on(now))
    }

    /// Whether the remote tier takes a report of this process to the others with its next put.
    pub fn wants_report(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| self.remote_switch.enabled && remote.wants_report())
    }

    /// Gives the remote tier a report to take along. It may be lost.
    pub fn offer_report(&self, report: String) {
        if let Some(remote) = &self.remote {
            remote.offer_report(report);
        }
    }

    /// Claims players for loading ([`Flights::claim`]).
    pub fn claim(&self, players: impl IntoIterator<Item = PlayerId>) -> Claim {
        self.flights.claim(players)
    }

    /// Asks the remote tier for a sign of life, in one round trip. One that is left alone is not waited for.
    pub async fn ping_remote(&self) -> TierState {
        match &self.remote {
            None => TierState::Off,
            Some(remote) if remote.state() != TierState::Up => remote.state(),
            Some(remote) => match remote.ping().await {
                true => TierState::Up,
                false => TierState::Down,
            },
        }
    }

    /// Whether the remote tier takes part.
    pub fn remote_state(&self) -> TierState {
        self.remote.as_ref().map_or(TierState::Off, |remote| remote.state())
    }

    /// What the local tier holds and has done.
    pub fn usage(&self) -> Usage {
        self.local.usage()
    }

    /// What both tiers hold and have done.
    pub fn statistics(&self) -> CacheStatistics {
        let redis = self.remote.as_ref().map_or_else(RemoteStatistics::default, |remote| remote.statistics());
        CacheStatistics { local: self.local.statistics(), redis }
    }

    /// Halves the local tier ([`LocalTier::shrink`]).
    pub fn shrink(&self) -> u64 {
        self.local.shrink()
    }
}
