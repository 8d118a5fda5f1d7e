//! Figures of the servers: what they say of themselves, how fast they answer, what their keys are.

use redis::{InfoDict, Value, cmd, from_redis_value};
use tokio::time::Instant;

use super::{bytes, walk::scanned};
use crate::{
    kind::{DataKind, PerKind},
    redis::{Shared, command::Command},
    statistics::LatencyRecorder,
    upkeep::{KeySample, NodeFigures, ObservedCopy, ServerFigures, UpkeepError},
};

/// How often each node is asked for a sign of life, one after the other.
const PINGS: usize = 20;
/// About how many keys the sample has, over all nodes.
const SAMPLE: usize = 1_000;

/// Measures all nodes at the same time, in a bounded number of round trips.
pub(super) async fn measure(shared: &Shared, deadline: Instant) -> Result<ServerFigures, UpkeepError> {
    let mut figures = ServerFigures::default();
    let mut keys = Some(0);
    for answered in shared.upkeep_ask(None, &[cmd("INFO"), cmd("DBSIZE")], deadline).await? {
        let mut values = answered.values.into_iter();
        let info = values.next().unwrap_or(Value::Nil);
        shared.client.companions.information.answered(&answered.address, info.clone());
        figures.nodes.push(NodeFigures { address: answered.address.to_string(), ..read(info) });
        keys = match (keys, values.next()) {
            (Some(sum), Some(Value::Int(count))) => Some(sum + u64::try_from(count).unwrap_or_default()),
            _ => None,
        };
    }
    figures.keys = keys;

    let recorders: Vec<LatencyRecorder> = figures.nodes.iter().map(|_| LatencyRecorder::default()).collect();
    for _ in 0..PINGS {
        for answered in shared.upkeep_ask(None, &[cmd("PING")], deadline).await? {
            let address = answered.address.to_string();
            if let Some(at) = figures.nodes.iter().position(|node| node.address == address) {
                recorders[at].record(answered.took);
            }
        }
    }
    for (node, recorder) in figures.nodes.iter_mut().zip(&recorders) {
        node.ping = recorder.latency();
    }
    figures.nodes.sort_by(|one, other| one.address.cmp(&other.address));
    figures.sample = sample(shared, figures.nodes.len(), deadline).await?;
    Ok(figures)
}

/// Looks at some keys of each node.
async fn sample(shared: &Shared, nodes: usize, deadline: Instant) -> Result<KeySample, UpkeepError> {
    let mut scan = cmd("SCAN");
    scan.arg(0).arg("COUNT").arg(SAMPLE / nodes.max(1));
    let mut sample = KeySample { complete: true, ..KeySample::default() };
    let mut queues = Vec::new();
    let spaces = [DataKind::Queue, DataKind::Stats, DataKind::Frequent].map(|kind| (kind, shared.space(kind)));
    for answered in shared.upkeep_ask(None, &[scan], deadline).await? {
        let (position, keys) = scanned(answered.values.into_iter().next())?;
        sample.complete &= position == 0;
        sample.keys += keys.len() as u64;
        for key in keys {
            match spaces.iter().find(|(_, space)| key.starts_with(space.as_bytes())) {
                Some((DataKind::Queue, _)) => match String::from_utf8(key) {
                    Ok(key) => queues.push(Command::look(key)),
                    Err(_) => sample.foreign += 1,
                },
                Some((kind, _)) => sample.copies[*kind] += 1,
                None if key.starts_with(shared.settings.key_prefix.as_bytes()) => sample.upkeep += 1,
                None => sample.foreign += 1,
            }
        }
    }
    for reply in shared.upkeep_call(queues, deadline).await? {
        // What was there a moment ago may be gone; then it counts as forgotten.
        match ObservedCopy(bytes(reply).unwrap_or_default()).kind() {
            Some(kind) => sample.copies[kind] += 1,
            None => sample.forgotten += 1,
        }
    }
    debug_assert_eq!(sample.keys, sum(&sample.copies) + sample.forgotten + sample.upkeep + sample.foreign);
    Ok(sample)
}

fn sum(copies: &PerKind<u64>) -> u64 {
    DataKind::ALL.iter().map(|kind| copies[*kind]).sum()
}

/// Reads the answer to `INFO`. Who may not ask is told nothing.
fn read(answer: Value) -> NodeFigures {
    let Ok(fields) = from_redis_value::<InfoDict>(answer) else { return NodeFigures::default() };
    NodeFigures {
        version: fields.get("redis_version"),
        uptime_seconds: fields.get("uptime_in_seconds"),
        used_bytes: fields.get("used_memory"),
        max_bytes: fields.get("maxmemory"),
        keyspace_hits: fields.get("keyspace_hits"),
        keyspace_misses: fields.get("keyspace_misses"),
        evictions: fields.get("evicted_keys"),
        expirations: fields.get("expired_keys"),
        clients: fields.get("connected_clients"),
        operations_per_second: fields.get("instantaneous_ops_per_sec"),
        ..NodeFigures::default()
    }
}
