//! Get, put and forget: one exchange with Redis for any number of players, or for a page.

use std::sync::Arc;

use super::{
    cache::RedisCache,
    call::Call,
    command::{self, Forget},
    housekeeping::Traffic,
    reply::Reply,
    value,
    write_check::CheckedRead,
};
use crate::{
    emergency::Emergency, kind::DataKind, shared_cache::SharedCache, stamp::Stamp, state::SharedCacheState,
    statistics::SharedStatistics,
};
use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};

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
        let keys = players.iter().map(|player| core.queue_key(player)).collect();
        let read = CheckedRead::new(keys, core.client.is_cluster());
        let call = Call { traffic: Traffic::Get, reads: players, invalidations: Vec::new() };
        let (replies, failure) = core.call(&core.get, read.commands(), call).await;
        let mut errors = u64::from(failure.is_some());
        let found = players.iter().zip(read.replies(replies)).map(|(player, reply)| {
            // The invalidation that was sent before the read may be what failed.
            let reply = if failure.is_some() && core.pending.contains(player) { Reply::Missing } else { reply };
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
        let invalidations =
            copies.iter().map(|copy| (copy.queue.player_id.clone(), Forget::OlderThan(Stamp::of(copy))));
        let invalidations: Vec<_> = invalidations.collect();
        core.state_and_probe();
        if core.add_pending_while_down(&invalidations) {
            return 0;
        }
        let puts = copies.iter().map(|copy| {
            let ttl = core.ttl(DataKind::of(copy), now);
            command::put(&core.queue_key(&copy.queue.player_id), &core.value(copy), ttl)
        });
        core.pending.settle(&invalidations);
        let call = Call { traffic: Traffic::Put(copies), reads: &[], invalidations };
        let (replies, failure) = core.call(&core.put, puts.collect(), call).await;
        let refused = copies
            .iter()
            .zip(&replies)
            .map(|(copy, reply)| u64::from(!core.count_put(&copy.queue.player_id, DataKind::of(copy), reply)));
        u64::from(failure.is_some()) + refused.sum::<u64>()
    }

    /// Replaces the copies by tombstones with their versions.
    async fn forget(&self, players: &[PlayerId]) -> u64 {
        let core = &self.core;
        if players.is_empty() {
            return 0;
        }
        let invalidations: Vec<_> = players.iter().map(|player| (player.clone(), Forget::Any)).collect();
        core.state_and_probe();
        if core.add_pending_while_down(&invalidations) {
            return players.len() as u64;
        }
        let commands = players.iter().map(|player| core.forget(player, Forget::Any));
        let call = Call { invalidations, ..Call::default() };
        let (replies, _) = core.call(&core.forget, commands.collect(), call).await;
        replies.iter().filter(|reply| !matches!(reply, Reply::Value(_))).count() as u64
    }

    async fn get_page(&self, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
        let core = &self.core;
        if core.state_and_probe() != SharedCacheState::Up {
            return (None, 0);
        }
        let read = command::get(&core.key(DataKind::Frequent, player));
        let call = Call { traffic: Traffic::Get, ..Call::default() };
        let (replies, failure) = core.call(&core.get, vec![read], call).await;
        let reply = replies.into_iter().next().unwrap_or(Reply::Missing);
        let page = core.read(player, DataKind::Frequent, reply, |bytes| {
            let page = value::decode_page(bytes, version).map_err(|error| error.to_string())?;
            Ok(page.map(|page| (DataKind::Frequent, page)))
        });
        let errors = u64::from(failure.is_some()) + u64::from(page.is_err());
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
        let (replies, failure) = core.call(&core.put, vec![write], Call::default()).await;
        let stored = replies.iter().all(|reply| core.count_put(player, DataKind::Frequent, reply));
        u64::from(failure.is_some()) + u64::from(!stored)
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
