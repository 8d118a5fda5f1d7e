//! Get, put and forget: each one exchange with Redis for any number of players.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use redis::Value;
use tokio::time::Instant;

use super::{
    OperationCounters, RedisMode, RedisTier, Shared,
    command::Command,
    value,
    verdict::{Failure, Reply, describe},
};
use crate::{
    emergency::Emergency,
    kind::DataKind,
    remote::{RemoteTier, TierState},
    stamp::Stamp,
    statistics::RemoteStatistics,
    upkeep::Upkeep,
};

/// Most keys that one command reads: what others ask of Redis waits no longer than for that.
const KEYS_AT_ONCE: usize = 100;

#[async_trait]
impl RemoteTier for RedisTier {
    fn state(&self) -> TierState {
        self.shared.state_and_probe()
    }

    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64) {
        let shared = &self.shared;
        if players.is_empty() || shared.state_and_probe() != TierState::Up {
            return (vec![None; players.len()], 0);
        }
        // A cluster takes several keys in one command only where all have the same slot.
        let at_once = if shared.settings.mode == RedisMode::Cluster { 1 } else { KEYS_AT_ONCE };
        let reads = players.chunks(at_once).map(|some| Command::get(some.iter().map(|player| shared.key(player))));
        let (replies, failed) = shared.call(&shared.get, reads.collect(), players, Vec::new()).await;
        let mut errors = u64::from(failed);
        let each = players.chunks(at_once).zip(replies).flat_map(|(some, reply)| reply.of_each(some.len()));
        let found = players.iter().zip(each).map(|(player, reply)| match shared.read(player, reply) {
            Ok(copy) => copy.map(Arc::new),
            Err(Unreadable) => {
                errors += 1;
                None
            }
        });
        (found.collect(), errors)
    }

    /// Every node has to take a write, as when the breaker asks.
    async fn ping(&self) -> bool {
        let shared = &self.shared;
        match shared.client.probe(&shared.settings, shared.moment()).await {
            Ok(()) => {
                shared.succeeded();
                true
            }
            Err(failure) => {
                shared.failed(&failure);
                false
            }
        }
    }

    async fn put(&self, copies: &[Arc<CachedQueue>], now: Timestamp) -> u64 {
        let shared = &self.shared;
        if copies.is_empty() {
            return 0;
        }
        let debts = copies.iter().map(|copy| (copy.queue.player_id.clone(), Stamp::of(copy)));
        if shared.state_and_probe() != TierState::Up {
            shared.owed.add(debts);
            return 0;
        }
        let kinds: Vec<DataKind> = copies.iter().map(|copy| DataKind::of(copy)).collect();
        let writes = copies.iter().zip(&kinds).map(|(copy, kind)| {
            Command::put(shared.key(&copy.queue.player_id), &shared.value(copy), shared.ttl(*kind, now))
        });
        let debts: Vec<_> = debts.collect();
        shared.owed.settle(&debts);
        let (replies, failed) = shared.call(&shared.put, writes.collect(), &[], debts).await;
        let mut errors = u64::from(failed);
        for ((copy, kind), reply) in copies.iter().zip(kinds).zip(replies) {
            let counters = &shared.kinds[kind];
            match reply {
                Reply::Value(Value::Int(0)) => counters.outdated.add(1),
                Reply::Value(_) => counters.sets.add(1),
                Reply::Refused(error) => {
                    errors += 1;
                    counters.errors.add(1);
                    let player = copy.queue.player_id.as_str();
                    tracing::debug!(player, error = describe(&error), "Redis has refused a copy");
                }
                Reply::None => counters.errors.add(1),
            }
        }
        errors
    }

    async fn forget(&self, players: &[PlayerId]) -> u64 {
        let players: Vec<(PlayerId, u64)> = players.iter().map(|player| (player.clone(), 0)).collect();
        self.forget_before(&players).await
    }

    fn emergency(&self) -> Option<Emergency> {
        self.shared.client.companions.emergency()
    }

    fn wants_report(&self) -> bool {
        self.shared.client.companions.wants_report(self.shared.moment())
    }

    fn offer_report(&self, report: String) {
        self.shared.client.companions.offer_report(report);
    }

    fn upkeep(&self) -> Option<&dyn Upkeep> {
        Some(self)
    }

    fn statistics(&self) -> RemoteStatistics {
        self.figures()
    }
}

impl RedisTier {
    /// Forgets players, and for some time every copy of them that is older than the version given or, where
    /// that is greater, the one held. Returns how many errors there were: each player who was not forgotten.
    pub async fn forget_before(&self, players: &[(PlayerId, u64)]) -> u64 {
        let shared = &self.shared;
        if players.is_empty() {
            return 0;
        }
        if shared.state_and_probe() != TierState::Up {
            return players.len() as u64;
        }
        let commands =
            players.iter().map(|(player, version)| shared.tombstone(player, Stamp::of_version(*version), false));
        let (replies, _) = shared.call(&shared.forget, commands.collect(), &[], Vec::new()).await;
        replies.iter().filter(|reply| !matches!(reply, Reply::Value(_))).count() as u64
    }
}

/// A value that cannot be read. What is wrong with it was counted and logged.
struct Unreadable;

impl Shared {
    pub(super) fn key(&self, player: &PlayerId) -> String {
        let (prefix, player) = (self.settings.key_prefix.as_str(), player.as_str());
        let mut key = String::with_capacity(prefix.len() + 6 + player.len());
        key.push_str(prefix);
        key.push_str("queue:");
        key.push_str(player);
        key
    }

    /// What is held of a copy in Redis, counted.
    pub(super) fn value(&self, copy: &CachedQueue) -> Vec<u8> {
        let value = value::encode(copy);
        self.kinds[DataKind::of(copy)].bytes_written.add(value.len() as u64);
        value
    }

    /// How long a copy is to live that is put now: in emergency mode, until that is over and then as ever.
    pub(super) fn ttl(&self, kind: DataKind, now: Timestamp) -> Duration {
        let ttl = self.jittered(self.settings.ttls[kind]);
        match self.client.companions.emergency().filter(|emergency| emergency.is_on(now)) {
            Some(emergency) => ttl + Duration::from_millis(emergency.until.millis_since(now)),
            None => ttl,
        }
    }

    pub(super) fn jittered(&self, ttl: Duration) -> Duration {
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).f64();
        ttl.mul_f64(1.0 - self.settings.ttl_jitter.clamp(0.0, 1.0) * random)
    }

    fn tombstone(&self, player: &PlayerId, stamp: Stamp, older: bool) -> Command {
        Command::forget(self.key(player), stamp, self.settings.tombstone_ttl, older)
    }

    /// Sends commands in one exchange, with word of who is owed before them. Returns the reply to each, and
    /// whether some were not answered.
    ///
    /// `reads` are players about to be read, who are not to get a copy older than what is owed. `debts`
    /// are owed where the call is not answered: one for each command, or none at all.
    async fn call(
        &self,
        counters: &OperationCounters,
        commands: Vec<Command>,
        reads: &[PlayerId],
        debts: Vec<(PlayerId, Stamp)>,
    ) -> (Vec<Reply>, bool) {
        let started = Instant::now();
        let mut owed = self.owed.take(reads);
        let told = owed.len();
        let mut all = commands;
        if told > 0 {
            all.splice(0..0, owed.iter().map(|(player, stamp)| self.tombstone(player, *stamp, true)));
        }
        owed.extend(debts);
        // One command may read many keys.
        let time = self.settings.time_of(all.len().max(told + reads.len()));
        let mut attempt = Attempt { shared: self, commands: all, owed, over: false };
        counters.calls.add(1);

        let exchange = self.client.exchange(&mut attempt.commands, time, self.moment()).await;

        attempt.over = true;
        let owed = std::mem::take(&mut attempt.owed);
        counters.round_trips.add(exchange.round_trips);
        counters.latency.record(started.elapsed());
        let mut replies = exchange.replies;
        if let Some(failure) = &exchange.failure {
            counters.failures.add(1);
            let unanswered = owed.into_iter().zip(&replies).filter(|(_, reply)| matches!(reply, Reply::None));
            self.owed.add(unanswered.map(|(debt, _)| debt));
            self.failed(failure);
        } else {
            self.succeeded();
        }
        replies.drain(..told);
        (replies, exchange.failure.is_some())
    }

    /// The copy of a reply, counted.
    fn read(&self, player: &PlayerId, reply: Reply) -> Result<Option<CachedQueue>, Unreadable> {
        let nothing = &self.kinds[DataKind::Queue];
        let bytes = match reply {
            Reply::Value(Value::BulkString(bytes)) => bytes,
            Reply::Value(_) => {
                nothing.misses.add(1);
                return Ok(None);
            }
            Reply::None => {
                nothing.misses.add(1);
                nothing.errors.add(1);
                return Ok(None);
            }
            Reply::Refused(error) => {
                return Err(self.unreadable(player, &describe(&error)));
            }
        };
        match value::decode(&bytes) {
            Ok(Some(copy)) if copy.queue.player_id == *player => {
                let counters = &self.kinds[DataKind::of(&copy)];
                counters.hits.add(1);
                counters.bytes_read.add(bytes.len() as u64);
                Ok(Some(copy))
            }
            Ok(Some(copy)) => Err(self.unreadable(player, &format!("it is of `{}`", copy.queue.player_id))),
            Ok(None) => {
                nothing.misses.add(1);
                Ok(None)
            }
            Err(error) => Err(self.unreadable(player, &error.to_string())),
        }
    }

    fn unreadable(&self, player: &PlayerId, error: &str) -> Unreadable {
        let counters = &self.kinds[DataKind::Queue];
        counters.misses.add(1);
        counters.errors.add(1);
        tracing::debug!(player = player.as_str(), error, "a value in Redis cannot be read");
        Unreadable
    }
}

/// A call under way. One that is dropped was given up: it has failed, and what it was to put is owed.
struct Attempt<'a> {
    shared: &'a Shared,
    commands: Vec<Command>,
    owed: Vec<(PlayerId, Stamp)>,
    over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.shared.client.given_up(&self.commands);
        self.shared.owed.add(std::mem::take(&mut self.owed));
        self.shared.failed(&Failure::given_up());
    }
}
