//! A cluster of three primaries.

use std::thread;
use std::time::{Duration, Instant};

use super::builder::RedisBuilder;
use super::query::field_of;
use super::server::Redis;
use crate::process::blocking;

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;
/// How long the nodes may take to find each other.
const FORM_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Three primaries that share all slots, without replicas. When one is lost, its slots are lost.
/// After the node time-out of two seconds the others answer `CLUSTERDOWN`.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes and waits until each of them considers the cluster complete.
    ///
    /// # Panics
    /// When Redis is not installed, or the nodes do not find each other.
    pub async fn start() -> Self {
        Self::start_with(Redis::builder()).await
    }

    /// Starts nodes that are configured like `node`, which has neither TLS nor a primary.
    ///
    /// # Panics
    /// When the server is not installed, or the nodes do not find each other.
    pub async fn start_with(node: RedisBuilder) -> Self {
        let mut nodes = Vec::with_capacity(PRIMARIES);
        for _ in 0..PRIMARIES {
            nodes.push(node.clone().cluster().start().await);
        }
        let cluster = nodes.clone();
        blocking(move || form(&cluster)).await;
        Self { nodes }
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The URL of one node, as a configuration endpoint has it.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The nodes, in the order of their slots: each has a third.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The node that a key belongs to.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn node_of(&self, key: &str) -> &Redis {
        let slot: usize = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).await;
        &self.nodes[(0..PRIMARIES).position(|node| range(node).contains(&slot)).expect("the ranges hold every slot")]
    }
}

/// The slots of a node.
fn range(node: usize) -> std::ops::Range<usize> {
    node * SLOTS / PRIMARIES..(node + 1) * SLOTS / PRIMARIES
}

fn form(nodes: &[Redis]) {
    let run = |node: &Redis, command: &[String]| {
        let answer = node.server.query::<()>(command);
        answer.unwrap_or_else(|error| panic!("{:?} was answered with {error}", &command[..2]));
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    for (index, node) in nodes.iter().enumerate() {
        let epoch = (index + 1).to_string();
        run(node, &words(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]));
        let mut slots = words(&["CLUSTER", "ADDSLOTS"]);
        slots.extend(range(index).map(|slot| slot.to_string()));
        run(node, &slots);
    }
    for node in &nodes[1..] {
        let port = node.port().to_string();
        run(&nodes[0], &words(&["CLUSTER", "MEET", "127.0.0.1", &port]));
    }
    let begin = Instant::now();
    while !nodes.iter().all(is_complete) {
        assert!(
            begin.elapsed() < FORM_LIMIT,
            "the nodes of the cluster do not find each other. The log of one:\n{}",
            nodes[0].log()
        );
        thread::sleep(POLL);
    }
}

fn is_complete(node: &Redis) -> bool {
    let info: String = match node.server.query(&["CLUSTER", "INFO"]) {
        Ok(info) => info,
        Err(_) => return false,
    };
    let is = |field, value: &str| field_of(&info, field).as_deref() == Some(value);
    is("cluster_state", "ok") && is("cluster_known_nodes", "3") && is("cluster_size", "3")
}
