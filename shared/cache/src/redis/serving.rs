//! Get, put and forget: one exchange with Redis for any number of players.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use redis::Value;

use super::{
    cache::{Core, RedisCache},
    call::Call,
    command::{self, Forget},
    housekeeping::Traffic,
    pages,
    reply::{Reply, describe},
    value,
};
use crate::{
    emergency::Emergency, kind::DataKind, shared_cache::SharedCache, stamp::Stamp, state::SharedCacheState,
    statistics::SharedStatistics, upkeep::Upkeep,
};

/// The maximum number of keys that one command reads, so that other clients do not wait long for
/// it.
const KEYS_PER_COMMAND: usize = 100;

#[async_trait]
impl SharedCache for RedisCache {
    fn state(&self) -> SharedCacheState {
        self.core.state_and_probe()
    }

    async fn get(&self, players: &[PlayerId]) -> (Vec<Option<Arc<CachedQueue>>>, u64) {
        let core = &self.core;
        if players.is_empty() || core.state_and_probe() != SharedCacheState::Up {
            return (vec![None; players.len()], 0);
        }
        // In a cluster each player has a command, so that a lost node fails only its own players.
        let per_command = if core.client.is_cluster() { 1 } else { KEYS_PER_COMMAND };
        let chunks = || players.chunks(per_command);
        let reads = chunks().map(|chunk| command::get(chunk.iter().map(|player| core.queue_key(player))));
        let call = Call { traffic: Traffic::Get, reads: players, invalidations: Vec::new() };
        let (replies, failed) = core.call(&core.get, reads.collect(), call).await;
        let mut errors = u64::from(failed);
        let replies = chunks().zip(replies).flat_map(|(chunk, reply)| reply.split(chunk.len()));
        let found = players.iter().zip(replies).map(|(player, reply)| match core.read(player, reply) {
            Ok(copy) => copy.map(Arc::new),
            Err(Unreadable) => {
                errors += 1;
                None
            }
        });
        (found.collect(), errors)
    }

    async fn put(&self, copies: &[Arc<CachedQueue>], now: Timestamp) -> u64 {
        let core = &self.core;
        if copies.is_empty() {
            return 0;
        }
        let invalidations = copies.iter().map(|copy| (copy.queue.player_id.clone(), Stamp::of(copy)));
        let invalidations: Vec<_> = invalidations.collect();
        if core.state_and_probe() != SharedCacheState::Up {
            core.pending.add(invalidations);
            return 0;
        }
        let puts = copies.iter().map(|copy| {
            let ttl = core.ttl(DataKind::of(copy), now);
            command::put(&core.queue_key(&copy.queue.player_id), &core.value(copy), ttl)
        });
        core.pending.settle(&invalidations);
        let call = Call { traffic: Traffic::Put(copies), reads: &[], invalidations };
        let (replies, failed) = core.call(&core.put, puts.collect(), call).await;
        let mut errors = u64::from(failed);
        for (copy, reply) in copies.iter().zip(replies) {
            let counters = &core.kinds[DataKind::of(copy)];
            match reply {
                Reply::Value(Value::Int(0)) => counters.outdated.add(1),
                Reply::Value(_) => counters.sets.add(1),
                Reply::Refused(error) => {
                    errors += 1;
                    counters.errors.add(1);
                    let player = copy.queue.player_id.as_str();
                    tracing::debug!(player, error = describe(&error), "Redis refused a copy");
                }
                Reply::Missing => counters.errors.add(1),
            }
        }
        errors
    }

    async fn forget(&self, players: &[PlayerId]) -> u64 {
        let players: Vec<(PlayerId, u64)> = players.iter().map(|player| (player.clone(), 0)).collect();
        self.forget_before(&players).await
    }

    async fn get_page(&self, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
        pages::get(&self.core, player, version).await
    }

    async fn put_page(&self, player: &PlayerId, version: u64, page: &[u8]) -> u64 {
        pages::put(&self.core, player, version, page).await
    }

    /// Succeeds only if the server, or every node of a cluster, accepts a write.
    async fn ping(&self) -> bool {
        let core = &self.core;
        match core.client.probe(&core.settings, core.moment()).await {
            Ok(()) => {
                core.succeeded();
                true
            }
            Err(failure) => {
                core.failed(&failure);
                false
            }
        }
    }

    fn emergency(&self) -> Option<Emergency> {
        self.core.client.housekeeping.emergency()
    }

    fn wants_report(&self) -> bool {
        self.core.client.housekeeping.wants_report(self.core.moment())
    }

    fn offer_report(&self, report: String) {
        self.core.client.housekeeping.offer_report(report);
    }

    fn upkeep(&self) -> Option<&dyn Upkeep> {
        Some(self)
    }

    fn statistics(&self) -> SharedStatistics {
        self.core.statistics()
    }
}

impl RedisCache {
    /// Replaces the copies of players by tombstones: copies older than the given version, or the
    /// current one if that is greater, do not come back for some time. Returns the number of
    /// errors: the players whose copies may still be there.
    pub async fn forget_before(&self, players: &[(PlayerId, u64)]) -> u64 {
        let core = &self.core;
        if players.is_empty() {
            return 0;
        }
        if core.state_and_probe() != SharedCacheState::Up {
            return players.len() as u64;
        }
        let commands =
            players.iter().map(|(player, version)| core.forget(player, Stamp::of_version(*version), Forget::Any));
        let (replies, _) = core.call(&core.forget, commands.collect(), Call::default()).await;
        replies.iter().filter(|reply| !matches!(reply, Reply::Value(_))).count() as u64
    }
}

/// A value that cannot be read. The reason was counted and logged.
struct Unreadable;

impl Core {
    /// The copy of a reply; counts it.
    fn read(&self, player: &PlayerId, reply: Reply) -> Result<Option<CachedQueue>, Unreadable> {
        let missing = &self.kinds[DataKind::Queue];
        let bytes = match reply {
            Reply::Value(Value::BulkString(bytes)) => bytes,
            Reply::Value(_) => {
                missing.misses.add(1);
                return Ok(None);
            }
            Reply::Missing => {
                missing.misses.add(1);
                missing.errors.add(1);
                return Ok(None);
            }
            Reply::Refused(error) => return Err(self.unreadable(player, &describe(&error))),
        };
        match value::decode(&bytes) {
            Ok(Some(copy)) if copy.queue.player_id == *player => {
                let counters = &self.kinds[DataKind::of(&copy)];
                counters.hits.add(1);
                counters.bytes_read.add(bytes.len() as u64);
                Ok(Some(copy))
            }
            Ok(Some(copy)) => {
                Err(self.unreadable(player, &format!("it belongs to the player `{}`", copy.queue.player_id)))
            }
            Ok(None) => {
                missing.misses.add(1);
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
