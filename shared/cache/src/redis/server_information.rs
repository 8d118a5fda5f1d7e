//! The reports of the servers about themselves: the answers to `INFO`.
//!
//! `INFO` is sent without sections, because only Redis 7 and newer accepts several sections at
//! once.

use redis::{InfoDict, Value, from_redis_value, from_redis_value_ref};

use super::routing::by_address;
use crate::{statistics::ServerStatistics, upkeep::NodeFigures};

/// The answer of a server, or those of the primaries of a cluster.
pub(super) fn of_primaries(answer: Value) -> Vec<Value> {
    match answer {
        Value::Map(_) => by_address(answer).into_iter().map(|(_, answer)| answer).filter(is_primary).collect(),
        answer => vec![answer],
    }
}

/// Whether a node of a cluster is a primary, or refuses to tell.
fn is_primary(answer: &Value) -> bool {
    let role = from_redis_value_ref::<InfoDict>(answer).ok().and_then(|fields| fields.get::<String>("role"));
    role.is_none_or(|role| role == "master")
}

/// Reads the answer of one node. A user who may not ask gets no figures.
pub(super) fn read(answer: Value) -> NodeFigures {
    let Ok(fields) = from_redis_value::<InfoDict>(answer) else { return NodeFigures::default() };
    NodeFigures {
        // Valkey reports also the version of Redis that it is compatible with.
        version: fields.get("valkey_version").or_else(|| fields.get("redis_version")),
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

/// The sum over the nodes that report their evictions; none where no node does.
pub(super) fn sum(nodes: &[NodeFigures]) -> Option<ServerStatistics> {
    nodes.iter().filter_map(statistics).reduce(add)
}

fn statistics(node: &NodeFigures) -> Option<ServerStatistics> {
    Some(ServerStatistics {
        nodes: 1,
        evictions: node.evictions?,
        expirations: node.expirations?,
        used_bytes: node.used_bytes.unwrap_or_default(),
        max_bytes: node.max_bytes.unwrap_or_default(),
    })
}

fn add(sum: ServerStatistics, node: ServerStatistics) -> ServerStatistics {
    ServerStatistics {
        nodes: sum.nodes + node.nodes,
        evictions: sum.evictions.saturating_add(node.evictions),
        expirations: sum.expirations.saturating_add(node.expirations),
        used_bytes: sum.used_bytes.saturating_add(node.used_bytes),
        // A node without a limit leaves the whole cluster without one.
        max_bytes: match (sum.max_bytes, node.max_bytes) {
            (0, _) | (_, 0) => 0,
            (sum, node) => sum.saturating_add(node),
        },
    }
}

#[cfg(test)]
mod tests {
    use redis::VerbatimFormat;

    use super::*;

    fn text(evicted: u64, maxmemory: u64) -> String {
        format!(
            "# Server\r\nredis_version:6.0.0\r\nexecutable:/a:b\r\n\r\n# Memory\r\nused_memory:7\r\n\
             maxmemory:{maxmemory}\r\n\r\n# Stats\r\nexpired_keys:3\r\nevicted_keys:{evicted}\r\n"
        )
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn verbatim(text: String) -> Value {
        Value::VerbatimString { format: VerbatimFormat::Text, text }
    }

    fn sum_of(answer: Value) -> Option<ServerStatistics> {
        let nodes: Vec<NodeFigures> = of_primaries(answer).into_iter().map(read).collect();
        sum(&nodes)
    }

    #[test]
    fn answers_of_both_protocols_are_read() {
        let alone = ServerStatistics { nodes: 1, evictions: 5, expirations: 3, used_bytes: 7, max_bytes: 100 };
        for answer in [bulk(&text(5, 100)), verbatim(text(5, 100))] {
            assert_eq!(sum_of(answer), Some(alone));
        }
    }

    #[test]
    fn the_answers_of_the_primaries_of_a_cluster_are_added() {
        let nodes = |limits: [u64; 2]| {
            let nodes = ["h:1", "h:2"].into_iter().zip(limits);
            nodes.map(|(node, limit)| (bulk(node), verbatim(text(limit / 10, limit)))).collect::<Vec<_>>()
        };
        let sum = ServerStatistics { nodes: 2, evictions: 15, expirations: 6, used_bytes: 14, max_bytes: 150 };
        let mut answers = nodes([100, 50]);
        assert_eq!(sum_of(Value::Map(answers.clone())), Some(sum));
        answers.push((bulk("h:3"), bulk("role:slave\r\nexpired_keys:3\r\nevicted_keys:1\r\n")));
        assert_eq!(sum_of(Value::Map(answers)), Some(sum), "replicas do not count");
        assert_eq!(sum_of(Value::Map(nodes([100, 0]))).unwrap().max_bytes, 0, "one node has no limit");
    }
}
