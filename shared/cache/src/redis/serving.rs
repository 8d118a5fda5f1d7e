//! Get, put and forget: one exchange with Redis for any number of players, or for a page.

use std::sync::Arc;

use super::{
    cache::RedisCache,
    call::Call,
    command::{self, Forget},
    housekeeping::Traffic,
    reply::Reply,
    value,
};
use crate::{
    emergency::Emergency, kind::DataKind, shared_cache::SharedCache, stamp::Stamp, state::SharedCacheState,
    statistics::SharedStatistics,
};
use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};

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
        let found = players.iter().zip(replies).map(|(player, reply)| {
            let copy = core.read(player, DataKind::Queue, reply, |bytes| decode(bytes, player));
            errors += u64::from(copy.is_err());
            copy.ok().flatten().map(Arc::new)
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
        let refused = copies
            .iter()
            .zip(&replies)
            .map(|(copy, reply)| u64::from(!core.count_put(&copy.queue.player_id, DataKind::of(copy), reply)));
        u64::from(failed) + refused.sum::<u64>()
    }

    /// Replaces the copies by tombstones with their versions.
    async fn forget(&self, players: &[PlayerId]) -> u64 {
        let core = &self.core;
        if players.is_empty() {
            return 0;
        }
        if core.state_and_probe() != SharedCacheState::Up {
            return players.len() as u64;
        }
        let commands = players.iter().map(|player| core.forget(player, Stamp::default(), Forget::Any));
        let (replies, _) = core.call(&core.forget, commands.collect(), Call::default()).await;
        replies.iter().filter(|reply| !matches!(reply, Reply::Value(_))).count() as u64
    }

    async fn get_page(&self, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
        let core = &self.core;
        if core.state_and_probe() != SharedCacheState::Up {
            return (None, 0);
        }
        let read = command::get([core.key(DataKind::Frequent, player)].into_iter());
        let call = Call { traffic: Traffic::Get, ..Call::default() };
        let (replies, failed) = core.call(&core.get, vec![read], call).await;
        let reply = replies.into_iter().flat_map(|reply| reply.split(1)).next().unwrap_or(Reply::Missing);
        let page = core.read(player, DataKind::Frequent, reply, |bytes| {
            let page = value::decode_page(bytes, version).map_err(|error| error.to_string())?;
            Ok(page.map(|page| (DataKind::Frequent, page)))
        });
        let errors = u64::from(failed) + u64::from(page.is_err());
        (page.ok().flatten(), errors)
    }

    /// Each player has one page. Its value begins with the version of the queue that it belongs to,
    /// so a page of another version is a miss. That is why a put needs no comparison.
    async fn put_page(&self, player: &PlayerId, version: u64, page: &[u8]) -> u64 {
        let core = &self.core;
        if page.len() > value::MAX_BYTES || core.state_and_probe() != SharedCacheState::Up {
            return 0;
        }
        let value = value::encode_page(version, page);
        core.kinds()[DataKind::Frequent].bytes_written += value.len() as u64;
        let ttl = core.jittered(core.settings.ttls[DataKind::Frequent]);
        let write = command::set(&core.key(DataKind::Frequent, player), &value, ttl);
        let (replies, failed) = core.call(&core.put, vec![write], Call::default()).await;
        let stored = replies.iter().all(|reply| core.count_put(player, DataKind::Frequent, reply));
        u64::from(failed) + u64::from(!stored)
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

    fn statistics(&self) -> SharedStatistics {
        self.core.statistics()
    }
}

/// The copy of a value, with its kind.
fn decode(bytes: &[u8], player: &PlayerId) -> Result<Option<(DataKind, CachedQueue)>, String> {
    match value::decode(bytes).map_err(|error| error.to_string())? {
        Some(copy) if copy.queue.player_id == *player => Ok(Some((DataKind::of(&copy), copy))),
        Some(copy) => Err(format!("it belongs to the player `{}`", copy.queue.player_id)),
        None => Ok(None),
    }
}
