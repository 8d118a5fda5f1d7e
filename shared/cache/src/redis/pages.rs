//! Pages of rows that are read often, such as the first page of a history.
//!
//! Each player has one page. Its value begins with the version of the queue that it belongs to, so
//! a page of another version is a miss. That is why a put needs no comparison.

use std::sync::Arc;

use millrace_domain::PlayerId;

use super::{cache::Core, call::Call, command, housekeeping::Traffic, reply::Reply, value};
use crate::{kind::DataKind, state::SharedCacheState};

/// The page of a player for a version of the queue, and the number of errors.
pub(super) async fn get(core: &Arc<Core>, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
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

/// Puts the page of a player for a version of the queue. Returns the number of errors.
pub(super) async fn put(core: &Arc<Core>, player: &PlayerId, version: u64, page: &[u8]) -> u64 {
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
