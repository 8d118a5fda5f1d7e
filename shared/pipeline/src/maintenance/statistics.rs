//! Statistics: what the servers of the shared cache say of themselves, kept for a day.

use millrace_cache::{
    CacheStatistics, Upkeep,
    upkeep::{NodeFigures, ServerFigures, StatisticsSample},
};
use millrace_domain::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{error::MaintenanceError, run::Task};
use crate::{report::thousandths, service::Service};

/// How far back the history goes, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

/// What was measured at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Whether emergency mode was on.
    pub emergency: bool,
    /// What has changed since the sample before; null where there is none, or a node has come, gone or
    /// been started again since.
    pub since_last: Option<SinceLast>,
    /// What the servers say of themselves.
    pub server: ServerFigures,
    /// What the tiers have done for the process that measured.
    pub process: CacheStatistics,
}

/// What has changed on all nodes since the sample before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinceLast {
    /// How long ago that was.
    pub seconds: f64,
    /// Reads that found their key, of everybody.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Hits of all reads, 0 to 1; null where nothing was read.
    pub hit_rate: Option<f64>,
    /// Keys dropped to stay within the bounds of memory.
    pub evictions: u64,
    /// Keys dropped because their time was over.
    pub expirations: u64,
}

impl Service {
    /// Measures, and keeps what was measured.
    pub(super) async fn measure(&self, task: &mut Task<'_>) -> Result<Sample, MaintenanceError> {
        let emergency =
            task.upkeep.read_emergency(task.deadline).await?.is_some_and(|emergency| emergency.is_on(task.now));
        let server = task.upkeep.measure_servers(task.deadline).await?;
        let before = task.upkeep.read_samples(day_before(task.now), 1, task.deadline).await?;
        let since_last = before.first().and_then(|before| since(before, &server, task.now));
        let sample = Sample { at: task.now, emergency, since_last, server, process: self.cache.statistics() };
        // Nothing in it can fail to be written.
        let text = serde_json::to_string(&sample).unwrap_or_default();
        task.upkeep.store_sample(&StatisticsSample { at: task.now, text }, task.deadline).await?;
        Ok(sample)
    }

    pub(super) async fn history(
        &self,
        upkeep: &dyn Upkeep,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Value>, MaintenanceError> {
        let kept = upkeep.read_samples(day_before(self.clock.now()), limit, deadline).await?;
        // One of another version may look otherwise; one that is no JSON was not put by us.
        Ok(kept.iter().filter_map(|kept| serde_json::from_str(&kept.text).ok()).collect())
    }
}

fn day_before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(DAY_MS))
}

/// What has changed since an earlier sample.
fn since(before: &StatisticsSample, server: &ServerFigures, now: Timestamp) -> Option<SinceLast> {
    let earlier: Value = serde_json::from_str(&before.text).ok()?;
    let earlier = earlier.pointer("/server/nodes")?.as_array()?;
    // Node by node: over all of them, what one has counted hides that another was started again.
    let mut nodes: Vec<(&NodeFigures, &Value)> = Vec::with_capacity(server.nodes.len());
    for node in &server.nodes {
        nodes.push((node, earlier.iter().find(|earlier| earlier["address"] == node.address.as_str())?));
    }
    let restarted = |(node, earlier): &(&NodeFigures, &Value)| {
        node.uptime_seconds.zip(earlier["uptimeSeconds"].as_u64()).is_some_and(|(now, before)| now < before)
    };
    if nodes.len() != earlier.len() || nodes.iter().any(restarted) {
        return None;
    }
    let grown = |name: &str, figure: fn(&NodeFigures) -> Option<u64>| {
        let of_node = |(node, earlier): &(&NodeFigures, &Value)| figure(node)?.checked_sub(earlier[name].as_u64()?);
        nodes.iter().map(of_node).sum::<Option<u64>>()
    };
    let hits = grown("keyspaceHits", |node| node.keyspace_hits)?;
    let misses = grown("keyspaceMisses", |node| node.keyspace_misses)?;
    let reads = hits + misses;
    Some(SinceLast {
        seconds: now.millis_since(before.at) as f64 / 1_000.0,
        hits,
        misses,
        hit_rate: (reads > 0).then(|| thousandths(hits as f64 / reads as f64)),
        evictions: grown("evictions", |node| node.evictions)?,
        expirations: grown("expirations", |node| node.expirations)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(address: &str, hits: u64, misses: u64) -> NodeFigures {
        NodeFigures {
            address: address.to_owned(),
            keyspace_hits: Some(hits),
            keyspace_misses: Some(misses),
            evictions: Some(1),
            expirations: Some(2),
            ..NodeFigures::default()
        }
    }

    fn nodes(nodes: Vec<NodeFigures>) -> ServerFigures {
        ServerFigures { nodes, ..ServerFigures::default() }
    }

    fn server(hits: u64, misses: u64) -> ServerFigures {
        nodes(vec![node("a", hits, misses), node("b", 0, misses)])
    }

    fn kept(server: &ServerFigures) -> StatisticsSample {
        let text = serde_json::json!({"server": server}).to_string();
        StatisticsSample { at: Timestamp::from_millis(1_000), text }
    }

    #[test]
    fn what_has_changed_is_told_over_all_nodes() {
        let now = Timestamp::from_millis(61_000);
        let last = since(&kept(&server(10, 5)), &server(40, 10), now).unwrap();
        assert_eq!((last.hits, last.misses, last.hit_rate), (30, 10, Some(0.75)));
        assert_eq!((last.seconds, last.evictions, last.expirations), (60.0, 0, 0));
        let last = since(&kept(&server(10, 5)), &server(10, 5), now).unwrap();
        assert_eq!(last.hit_rate, None, "nothing was read");
    }

    #[test]
    fn after_a_restart_nothing_is_told() {
        let now = Timestamp::from_millis(61_000);
        assert_eq!(since(&kept(&server(10, 5)), &server(3, 1), now), None);
        let silent = ServerFigures { nodes: vec![NodeFigures::default()], ..ServerFigures::default() };
        assert_eq!(since(&kept(&silent), &server(3, 1), now), None);
        assert_eq!(since(&StatisticsSample { at: now, text: "no JSON".to_owned() }, &server(3, 1), now), None);
    }

    #[test]
    fn the_restart_of_one_node_of_several_is_seen_whatever_the_others_have_done() {
        let (before, now) = (kept(&server(10, 5)), Timestamp::from_millis(61_000));
        let told = |after: Vec<NodeFigures>| since(&before, &nodes(after), now);
        assert!(told(vec![node("b", 40, 10), node("a", 11, 5)]).is_some(), "in any order");
        assert_eq!(told(vec![node("a", 3, 10), node("b", 40, 10)]), None, "`a` counts anew");
        assert_eq!(told(vec![node("a", 10, 5), node("c", 0, 5)]), None, "`c` has taken the place of `b`");
        assert_eq!(told(vec![node("a", 40, 10)]), None, "`b` is gone");
        assert_eq!(told(vec![node("a", 40, 10), node("b", 0, 5), node("c", 0, 5)]), None, "`c` is new");
        // Started again, and busier since than in all the time before.
        let up = |seconds, hits| NodeFigures { uptime_seconds: Some(seconds), ..node("a", hits, 5) };
        let before = kept(&nodes(vec![up(1_000, 10)]));
        assert!(since(&before, &nodes(vec![up(1_060, 99)]), now).is_some());
        assert_eq!(since(&before, &nodes(vec![up(50, 99)]), now), None);
    }
}
