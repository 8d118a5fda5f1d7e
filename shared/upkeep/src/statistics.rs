//! Statistics: what the servers of the shared cache say, kept for a day.

use millrace_cache::{
    CacheStatistics,
    upkeep::{NodeFigures, ServerFigures, StatisticsSample},
};
use millrace_domain::Timestamp;
use millrace_performance::sketch::thousandths;
use millrace_pipeline::{Context, Invocation, Platform};
use serde::Serialize;
use serde_json::Value;

use crate::{error::UpkeepError, progress::Progress};

/// How far back the history goes, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

/// What the servers and this process say at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The time.
    pub at: Timestamp,
    /// Whether emergency mode was on.
    pub emergency: bool,
    /// What has changed since the last sample; null where there is none, or where a node has come,
    /// gone or restarted since.
    pub since_last: Option<SinceLast>,
    /// What the servers say.
    pub server: ServerFigures,
    /// What the caches have done for this process.
    pub process: CacheStatistics,
}

/// What has changed on all nodes since the last sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinceLast {
    /// Seconds since the last sample.
    pub seconds: f64,
    /// Reads that found their key, of all clients.
    pub hits: u64,
    /// Reads that did not find their key.
    pub misses: u64,
    /// Hits per read, 0 to 1; null where nothing was read.
    pub hit_rate: Option<f64>,
    /// Keys evicted because memory was full.
    pub evictions: u64,
    /// Keys whose time to live ended.
    pub expirations: u64,
}

/// Measures the servers of the shared cache, and keeps the sample.
pub(crate) async fn measure(progress: &mut Progress<'_>) -> Result<Sample, UpkeepError> {
    let (now, deadline) = (progress.ctx.now, progress.ctx.deadline);
    let emergency = progress.cache.read_emergency(deadline).await?.is_some_and(|emergency| emergency.is_on(now));
    let server = progress.cache.measure_servers(deadline).await?;
    let last = progress.cache.read_samples(day_before(now), 1, deadline).await?;
    let since_last = last.first().and_then(|last| changes_since(last, &server, now));
    let process = progress.ctx.platform.cache.statistics();
    let sample = Sample { at: now, emergency, since_last, server, process };
    // Numbers and names: serialization cannot fail.
    let text = serde_json::to_string(&sample).unwrap_or_default();
    progress.cache.store_sample(&StatisticsSample { at: now, text }, deadline).await?;
    Ok(sample)
}

/// The samples of the last day, the latest first, at most `limit`. Without a shared cache there are
/// none.
///
/// # Errors
/// [`UpkeepError::CacheUnavailable`] where the shared cache cannot be used.
pub async fn statistics_history(
    platform: &Platform,
    limit: usize,
    invocation: &Invocation,
) -> Result<Vec<Value>, UpkeepError> {
    let Some(cache) = platform.cache.upkeep() else { return Ok(Vec::new()) };
    let ctx = Context::new(platform, invocation);
    let samples = cache.read_samples(day_before(ctx.now), limit, ctx.deadline).await?;
    // Samples are shown as they are: another version may write other fields. What is not JSON is
    // not ours.
    Ok(samples.iter().filter_map(|sample| serde_json::from_str(&sample.text).ok()).collect())
}

fn day_before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(DAY_MS))
}

/// What has changed since an earlier sample.
fn changes_since(before: &StatisticsSample, server: &ServerFigures, now: Timestamp) -> Option<SinceLast> {
    let earlier: Value = serde_json::from_str(&before.text).ok()?;
    let earlier = earlier.pointer("/server/nodes")?.as_array()?;
    // Node by node: in a sum, what one node has counted hides that another one has restarted.
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
    fn changes_are_summed_over_all_nodes() {
        let now = Timestamp::from_millis(61_000);
        let last = changes_since(&kept(&server(10, 5)), &server(40, 10), now).unwrap();
        assert_eq!((last.hits, last.misses, last.hit_rate), (30, 10, Some(0.75)));
        assert_eq!((last.seconds, last.evictions, last.expirations), (60.0, 0, 0));
        let last = changes_since(&kept(&server(10, 5)), &server(10, 5), now).unwrap();
        assert_eq!(last.hit_rate, None, "nothing was read");
    }

    #[test]
    fn after_a_restart_there_are_no_changes() {
        let now = Timestamp::from_millis(61_000);
        assert_eq!(changes_since(&kept(&server(10, 5)), &server(3, 1), now), None);
        let silent = ServerFigures { nodes: vec![NodeFigures::default()], ..ServerFigures::default() };
        assert_eq!(changes_since(&kept(&silent), &server(3, 1), now), None);
        assert_eq!(changes_since(&StatisticsSample { at: now, text: "no JSON".to_owned() }, &server(3, 1), now), None);
    }

    #[test]
    fn the_restart_of_one_of_several_nodes_is_detected() {
        let (before, now) = (kept(&server(10, 5)), Timestamp::from_millis(61_000));
        let told = |after: Vec<NodeFigures>| changes_since(&before, &nodes(after), now);
        assert!(told(vec![node("b", 40, 10), node("a", 11, 5)]).is_some(), "in any order");
        assert_eq!(told(vec![node("a", 3, 10), node("b", 40, 10)]), None, "`a` counts anew");
        assert_eq!(told(vec![node("a", 10, 5), node("c", 0, 5)]), None, "`c` has taken the place of `b`");
        assert_eq!(told(vec![node("a", 40, 10)]), None, "`b` is gone");
        assert_eq!(told(vec![node("a", 40, 10), node("b", 0, 5), node("c", 0, 5)]), None, "`c` is new");
        // It has restarted, and has counted more since than in all the time before.
        let up = |seconds, hits| NodeFigures { uptime_seconds: Some(seconds), ..node("a", hits, 5) };
        let before = kept(&nodes(vec![up(1_000, 10)]));
        assert!(changes_since(&before, &nodes(vec![up(1_060, 99)]), now).is_some());
        assert_eq!(changes_since(&before, &nodes(vec![up(50, 99)]), now), None);
    }
}
