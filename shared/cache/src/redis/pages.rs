//! Pages of rows that are read often, such as the first page of a history.
//!
//! Each player has one page. Its value begins with the version of the queue that it belongs to, so
//! a page of another version is a miss. That is why a put needs no comparison.

use std::sync::Arc;

use millrace_domain::PlayerId;
use redis::Value;

use super::{
    cache::{Core, KindCounters},
    call::Call,
    command,
    housekeeping::Traffic,
    reply::{Reply, describe},
    value,
};
use crate::{kind::DataKind, state::SharedCacheState};

/// The page of a player for a version of the queue, and the number of errors.
pub(super) async fn get(core: &Arc<Core>, player: &PlayerId, version: u64) -> (Option<Vec<u8>>, u64) {
    if core.state_and_probe() != SharedCacheState::Up {
        return (None, 0);
    }
    let read = command::get([core.key(DataKind::Frequent, player)].into_iter());
    let call = Call { traffic: Traffic::Get, ..Call::default() };
    let (replies, failed) = core.call(&core.get, vec![read], call).await;
    let counters = &core.kinds[DataKind::Frequent];
    let reply = replies.into_iter().flat_map(|reply| reply.split(1)).next().unwrap_or(Reply::Missing);
    let page = match reply {
        Reply::Value(Value::BulkString(bytes)) => {
            counters.bytes_read.add(bytes.len() as u64);
            value::decode_page(&bytes, version).map_err(|error| error.to_string())
        }
        Reply::Value(_) => Ok(None),
        Reply::Refused(error) => Err(describe(&error)),
        Reply::Missing => return (missed(counters, true), u64::from(failed)),
    };
    match page {
        Ok(Some(page)) => {
            counters.hits.add(1);
            (Some(page), 0)
        }
        Ok(None) => (missed(counters, false), 0),
        Err(error) => {
            tracing::debug!(player = player.as_str(), error, "a page in Redis cannot be read");
            (missed(counters, true), 1)
        }
    }
}

fn missed(counters: &KindCounters, error: bool) -> Option<Vec<u8>> {
    counters.misses.add(1);
    counters.errors.add(u64::from(error));
    None
}

/// Puts the page of a player for a version of the queue. Returns the number of errors.
pub(super) async fn put(core: &Arc<Core>, player: &PlayerId, version: u64, page: &[u8]) -> u64 {
    if page.len() > value::MAX_BYTES || core.state_and_probe() != SharedCacheState::Up {
        return 0;
    }
    let counters = &core.kinds[DataKind::Frequent];
    let value = value::encode_page(version, page);
    counters.bytes_written.add(value.len() as u64);
    let ttl = core.jittered(core.settings.ttls[DataKind::Frequent]);
    let write = command::set(&core.key(DataKind::Frequent, player), &value, ttl);
    let (replies, _) = core.call(&core.put, vec![write], Call::default()).await;
    match replies.first() {
        Some(Reply::Value(_)) => {
            counters.sets.add(1);
            0
        }
        refused => {
            if let Some(Reply::Refused(error)) = refused {
                tracing::debug!(player = player.as_str(), error = describe(error), "Redis refused a page");
            }
            counters.errors.add(1);
            1
        }
    }
}
