//! The reports of the servers about their memory: evictions, expirations and how full they are.
//!
//! The command `INFO` is sent along with a put, so it takes no round trip. It is sent without
//! sections, because only Redis 7 and newer accepts several sections at once.

use std::time::Duration;

use redis::{InfoDict, Value, from_redis_value, from_redis_value_ref};

use super::{
    reply::{describe, is_forbidden},
    routing::by_address,
};
use crate::{breaker::Moment, statistics::ServerStatistics};

/// How long the servers are not asked again. An answer has 5 KB and takes the CPU time of some 15
/// reads; a thousand processes that ask every minute take a thousandth of a server's time.
const INTERVAL: Duration = Duration::from_secs(60);

/// The last answers of the servers, and when they were asked.
#[derive(Default)]
pub(super) struct ServerInformation {
    asked: Option<Moment>,
    answer: Option<ServerStatistics>,
    /// The user may not ask. The server logs each refusal, so it is not asked again.
    forbidden: bool,
}

impl ServerInformation {
    /// Whether the caller must ask the servers now.
    pub(super) fn claim(&mut self, now: Moment) -> bool {
        let due = !self.forbidden && self.asked.is_none_or(|asked| now.since(asked) >= INTERVAL);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// Makes the next put ask again, because the answer was lost with the connection.
    pub(super) fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Takes the answer of a server, or of the nodes of a cluster. An answer without figures
    /// changes nothing.
    pub(super) fn take_answer(&mut self, answer: Value) {
        let answers: Vec<Value> = match answer {
            Value::Map(_) => by_address(answer).into_iter().map(|(_, answer)| answer).filter(is_primary).collect(),
            answer => vec![answer],
        };
        let statistics = answers.into_iter().filter_map(|answer| {
            if let Value::ServerError(error) = &answer {
                self.forbidden |= is_forbidden(error);
                tracing::debug!(error = describe(error), "Redis does not report its evictions");
            }
            read(answer)
        });
        if let Some(sum) = statistics.reduce(add) {
            self.answer = Some(sum);
        }
    }

    /// The sum over the nodes that answered.
    pub(super) fn statistics(&self) -> Option<ServerStatistics> {
        self.answer
    }
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

/// Whether a node of a cluster is a primary, or refuses to tell.
fn is_primary(answer: &Value) -> bool {
    let role = from_redis_value_ref::<InfoDict>(answer).ok().and_then(|fields| fields.get::<String>("role"));
    role.is_none_or(|role| role == "master")
}

/// Reads the answer of one node; none without its evictions.
fn read(answer: Value) -> Option<ServerStatistics> {
    let fields: InfoDict = from_redis_value(answer).ok()?;
    Some(ServerStatistics {
        nodes: 1,
        evictions: fields.get("evicted_keys")?,
        expirations: fields.get("expired_keys")?,
        used_bytes: fields.get("used_memory").unwrap_or_default(),
        max_bytes: fields.get("maxmemory").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use redis::{VerbatimFormat, parse_redis_value};

    use super::*;

    fn at(seconds: u64) -> Moment {
        let (monotonic, wall) = (Duration::from_secs(seconds), Duration::from_secs(1_000_000 + seconds));
        Moment { monotonic, wall }
    }

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

    #[test]
    fn the_servers_are_asked_once_a_minute() {
        let mut information = ServerInformation::default();
        assert!(information.claim(at(0)));
        assert!(!information.claim(at(59)));
        assert!(information.claim(at(60)) && !information.claim(at(60)));
    }

    #[test]
    fn a_thawed_sandbox_asks_again() {
        let mut information = ServerInformation::default();
        assert!(information.claim(at(0)));
        let thawed = Moment { wall: at(3_600).wall, ..at(1) };
        assert!(information.claim(thawed), "although its monotonic clock stood still");
    }

    #[test]
    fn a_lost_answer_is_asked_for_again() {
        let mut information = ServerInformation::default();
        assert!(information.claim(at(0)));
        information.ask_again();
        assert!(information.claim(at(1)));
    }

    #[test]
    fn answers_of_both_protocols_are_read() {
        let alone = ServerStatistics { nodes: 1, evictions: 5, expirations: 3, used_bytes: 7, max_bytes: 100 };
        for answer in [bulk(&text(5, 100)), verbatim(text(5, 100))] {
            let mut information = ServerInformation::default();
            assert_eq!(information.statistics(), None);
            information.take_answer(answer);
            assert_eq!(information.statistics(), Some(alone));
        }
    }

    #[test]
    fn the_answers_of_the_nodes_of_a_cluster_are_added() {
        let mut information = ServerInformation::default();
        let nodes = |limits: [u64; 2]| {
            let nodes = ["h:1", "h:2"].into_iter().zip(limits);
            Value::Map(nodes.map(|(node, limit)| (bulk(node), verbatim(text(limit / 10, limit)))).collect())
        };
        information.take_answer(nodes([100, 50]));
        let sum = ServerStatistics { nodes: 2, evictions: 15, expirations: 6, used_bytes: 14, max_bytes: 150 };
        assert_eq!(information.statistics(), Some(sum));
        let replica = bulk("role:slave\r\nexpired_keys:3\r\nevicted_keys:1\r\n");
        information.take_answer(Value::Map(vec![(bulk("h:3"), replica)]));
        assert_eq!(information.statistics(), Some(sum), "replicas do not count");
        information.take_answer(nodes([100, 0]));
        assert_eq!(information.statistics().unwrap().max_bytes, 0, "one node has no limit");
    }

    #[test]
    fn an_answer_without_figures_changes_nothing() {
        let mut information = ServerInformation::default();
        information.take_answer(bulk(&text(5, 100)));
        let known = information.statistics();
        assert!(known.is_some());
        let loading = parse_redis_value(b"-LOADING Redis is loading the dataset in memory\r\n").unwrap();
        for answer in [Value::Nil, Value::Int(1), bulk("evicted_keys:many\r\nexpired_keys:1\r\n"), bulk(""), loading] {
            information.take_answer(answer);
        }
        assert_eq!(information.statistics(), known);
        assert!(information.claim(at(0)), "none of the answers was a refusal");
    }

    #[test]
    fn a_user_who_may_not_ask_does_not_ask_again() {
        for refusal in ["-NOPERM this user has no permissions\r\n", "-ERR unknown command 'INFO'\r\n"] {
            let mut information = ServerInformation::default();
            assert!(information.claim(at(0)));
            information.take_answer(parse_redis_value(refusal.as_bytes()).unwrap());
            assert!(!information.claim(at(1_000)));
            assert_eq!(information.statistics(), None);
        }
    }
}
