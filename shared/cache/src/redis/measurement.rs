//! Measures the servers: what they report, how fast they answer, and the kinds of their keys.

use redis::{Value, cmd};
use tokio::time::Instant;

use super::{
    cache::{Core, RedisCache},
    command, scan,
    server_information::read,
    value,
};
use crate::{
    kind::DataKind,
    statistics::LatencyRecorder,
    upkeep::{KeySample, NodeFigures, ServerFigures, UpkeepError},
};

/// How often each node is pinged, one ping after the other.
const PINGS: usize = 20;
/// The approximate number of keys in the sample, over all nodes.
const SAMPLE: usize = 1_000;

impl RedisCache {
    /// Measures the servers, all at the same time: 23 round trips, in a cluster 24.
    ///
    /// # Errors
    /// [`UpkeepError`] where a server did not answer in time.
    pub async fn measure_servers(&self, deadline: Instant) -> Result<ServerFigures, UpkeepError> {
        let core = &self.core;
        let addresses = core.upkeep_addresses(deadline).await?;
        let mut figures = ServerFigures { keys: Some(0), ..ServerFigures::default() };
        let answers = core.upkeep_ask(&addresses, &[cmd("INFO"), cmd("DBSIZE")], deadline).await?;
        for (address, node) in addresses.iter().zip(answers) {
            let mut values = node.values.into_iter();
            let report = values.next().unwrap_or(Value::Nil);
            figures.nodes.push(NodeFigures { address: address.clone(), ..read(report) });
            figures.keys = match (figures.keys, values.next()) {
                (Some(sum), Some(Value::Int(count))) => Some(sum + u64::try_from(count).unwrap_or_default()),
                _ => None,
            };
        }
        core.client.housekeeping.take_figures(&figures.nodes);

        let recorders: Vec<LatencyRecorder> = addresses.iter().map(|_| LatencyRecorder::default()).collect();
        for _ in 0..PINGS {
            let answers = core.upkeep_ask(&addresses, &[cmd("PING")], deadline).await?;
            answers.iter().zip(&recorders).for_each(|(node, recorder)| recorder.record(node.took));
        }
        for (node, recorder) in figures.nodes.iter_mut().zip(&recorders) {
            node.ping = recorder.latency();
        }
        figures.sample = sample(core, &addresses, deadline).await?;
        Ok(figures)
    }
}

/// Examines some keys of each node.
async fn sample(core: &Core, addresses: &[String], deadline: Instant) -> Result<KeySample, UpkeepError> {
    let mut first_keys = cmd("SCAN");
    first_keys.arg(0).arg("COUNT").arg(SAMPLE / addresses.len().max(1));
    let mut sample = KeySample { complete: true, ..KeySample::default() };
    let mut observations = Vec::new();
    let (queues, pages) = (core.key_prefix(DataKind::Queue), core.key_prefix(DataKind::Frequent));
    for node in core.upkeep_ask(addresses, &[first_keys], deadline).await? {
        let (position, keys) = scan::read(node.values.into_iter().next())?;
        sample.complete &= position == 0;
        sample.keys += keys.len() as u64;
        for key in keys {
            if key.starts_with(pages.as_bytes()) {
                sample.copies.frequent += 1;
            } else if key.starts_with(queues.as_bytes()) {
                match String::from_utf8(key) {
                    Ok(key) => observations.push(command::observe(&key)),
                    Err(_) => sample.foreign += 1,
                }
            } else if key.starts_with(core.settings.key_prefix.as_bytes()) {
                sample.upkeep += 1;
            } else {
                sample.foreign += 1;
            }
        }
    }
    for reply in core.upkeep_call(observations, deadline).await? {
        // A value that is gone meanwhile counts like a tombstone.
        match value::kind_of(&reply.into_bytes().unwrap_or_default()) {
            Some(kind) => sample.copies[kind] += 1,
            None => sample.forgotten += 1,
        }
    }
    Ok(sample)
}
