//! What the nodes say of themselves: what they have dropped for want of memory, and how full they are.
//!
//! Only `INFO` tells. It rides along in the pipeline of a put, so it costs no round trip. Plain `INFO` is
//! one command on every server; several sections at once are known to Redis since version 7 only.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use redis::{Cmd, InfoDict, ServerErrorKind, Value, cmd, from_redis_value};

use super::{topology::Address, verdict::describe};
use crate::{breaker::Moment, statistics::ServerStatistics};

/// How long a node is not asked again. An answer has 5 KB and takes Redis as long as some 15 reads; a
/// thousand processes that ask every minute take a thousandth of its time. Nobody plots evictions finer.
const INTERVAL: Duration = Duration::from_secs(60);

/// What nodes have said. They are known by their addresses: connections come and go.
#[derive(Default)]
pub(super) struct Information {
    nodes: Mutex<HashMap<Address, Known, RandomState>>,
    /// The user may not ask. That does not pass by itself, and the server logs each refusal.
    refused: AtomicBool,
}

/// What is known of a node.
#[derive(Default)]
struct Known {
    asked: Option<Moment>,
    said: Option<ServerStatistics>,
}

impl Information {
    fn nodes(&self) -> MutexGuard<'_, HashMap<Address, Known, RandomState>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a node is to be asked now. Whoever is told so asks it.
    pub(super) fn claim(&self, address: &Address, now: Moment) -> bool {
        if self.refused.load(Ordering::Relaxed) {
            return false;
        }
        let mut nodes = self.nodes();
        if let Some(known) = nodes.get_mut(address) {
            let due = known.asked.is_none_or(|asked| now.since(asked) >= INTERVAL);
            if due {
                known.asked = Some(now);
            }
            return due;
        }
        nodes.insert(address.clone(), Known { asked: Some(now), said: None });
        true
    }

    /// The connection was cut before the node answered: it is to be asked with the next put. Somebody
    /// thawed finds all connections cut.
    pub(super) fn unclaim(&self, address: &Address) {
        if let Some(known) = self.nodes().get_mut(address) {
            known.asked = None;
        }
    }

    /// A node's answer. One that tells nothing leaves what was known before.
    pub(super) fn answered(&self, address: &Address, answer: Value) {
        if let Value::ServerError(error) = &answer {
            // A command that was renamed is unknown: `ERR`.
            if error.kind() == Some(ServerErrorKind::NoPerm) || error.code() == "ERR" {
                self.refused.store(true, Ordering::Relaxed);
            }
            tracing::debug!(node = %address, error = describe(error), "Redis does not say what it has evicted");
            return;
        }
        if let Some(said) = read(answer) {
            self.nodes().entry(address.clone()).or_default().said = Some(said);
        }
    }

    /// The sum over those of these nodes that have said something.
    pub(super) fn sum<'a>(&self, addresses: impl Iterator<Item = &'a Address>) -> Option<ServerStatistics> {
        let nodes = self.nodes();
        addresses.filter_map(|address| nodes.get(address)?.said).reduce(|sum, node| ServerStatistics {
            nodes: sum.nodes + node.nodes,
            evictions: sum.evictions.saturating_add(node.evictions),
            expirations: sum.expirations.saturating_add(node.expirations),
            used_bytes: sum.used_bytes.saturating_add(node.used_bytes),
            // One without a bound leaves the whole without one.
            max_bytes: if sum.max_bytes == 0 || node.max_bytes == 0 {
                0
            } else {
                sum.max_bytes.saturating_add(node.max_bytes)
            },
        })
    }
}

/// The question.
pub(super) fn question() -> Cmd {
    cmd("INFO")
}

/// Reads an answer; none where it does not tell of evictions.
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

    fn address(port: u16) -> Address {
        Address { host: "h".to_owned(), port }
    }

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

    #[test]
    fn each_node_is_asked_once_a_minute() {
        let information = Information::default();
        assert!(information.claim(&address(1), at(0)) && information.claim(&address(2), at(30)));
        assert!(!information.claim(&address(1), at(59)) && !information.claim(&address(2), at(89)));
        assert!(information.claim(&address(1), at(60)) && !information.claim(&address(1), at(60)));
    }

    #[test]
    fn a_thawed_sandbox_asks_again_though_its_monotonic_clock_stood_still() {
        let information = Information::default();
        assert!(information.claim(&address(1), at(0)));
        let thawed = Moment { wall: at(3_600).wall, ..at(1) };
        assert!(information.claim(&address(1), thawed));
    }

    #[test]
    fn who_was_cut_off_is_asked_again() {
        let information = Information::default();
        assert!(information.claim(&address(1), at(0)) && information.claim(&address(2), at(0)));
        information.unclaim(&address(1));
        assert!(information.claim(&address(1), at(1)) && !information.claim(&address(2), at(1)));
    }

    #[test]
    fn answers_of_both_protocols_are_read_and_summed_over_the_nodes_there_are() {
        let information = Information::default();
        let all = [address(1), address(2), address(3)];
        assert_eq!(information.sum(all.iter()), None);
        information.answered(&all[0], bulk(&text(5, 100)));
        let text = text(10, 50);
        information.answered(&all[1], Value::VerbatimString { format: VerbatimFormat::Text, text });
        let sum = ServerStatistics { nodes: 2, evictions: 15, expirations: 6, used_bytes: 14, max_bytes: 150 };
        assert_eq!(information.sum(all.iter()), Some(sum));
        let alone = ServerStatistics { nodes: 1, evictions: 5, expirations: 3, used_bytes: 7, max_bytes: 100 };
        assert_eq!(information.sum(all[..1].iter()), Some(alone), "the other one has left");
        information.answered(&all[2], bulk(&self::text(0, 0)));
        assert_eq!(information.sum(all.iter()).unwrap().max_bytes, 0, "one has no bound");
    }

    #[test]
    fn an_answer_that_tells_nothing_changes_nothing() {
        let information = Information::default();
        information.answered(&address(1), bulk(&text(5, 100)));
        let known = information.sum([address(1)].iter());
        assert!(known.is_some());
        let loading = parse_redis_value(b"-LOADING Redis is loading the dataset in memory\r\n").unwrap();
        for answer in [Value::Nil, Value::Int(1), bulk("evicted_keys:many\r\nexpired_keys:1\r\n"), bulk(""), loading] {
            information.answered(&address(1), answer);
        }
        assert_eq!(information.sum([address(1)].iter()), known);
        assert!(information.claim(&address(1), at(0)), "none of them was a refusal");
    }

    #[test]
    fn whoever_may_not_ask_does_not_ask_again() {
        for refusal in ["-NOPERM this user has no permissions\r\n", "-ERR unknown command 'INFO'\r\n"] {
            let information = Information::default();
            assert!(information.claim(&address(1), at(0)));
            information.answered(&address(1), parse_redis_value(refusal.as_bytes()).unwrap());
            assert!(!information.claim(&address(1), at(1_000)) && !information.claim(&address(2), at(1_000)));
            assert_eq!(information.sum([address(1)].iter()), None);
        }
    }
}
