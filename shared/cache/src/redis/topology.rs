//! The nodes there are, and to which of them a key belongs.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;
use redis::{Value, aio::MultiplexedConnection, cluster_routing::Slot};

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads `host:port`. Without a host it is that of the node that said so.
    pub(super) fn parse(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &said_by.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// A connection to a node.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) connection: MultiplexedConnection,
    /// How many calls in a row it did not answer in time.
    time_outs: AtomicU32,
    /// Not to be used again.
    broken: AtomicBool,
}

impl Node {
    /// A connection that does not answer twice in a row is dead, or leads to the wrong machine.
    const MAX_TIME_OUTS: u32 = 2;

    pub(super) fn new(address: Address, connection: MultiplexedConnection) -> Self {
        Self { address, connection, time_outs: AtomicU32::new(0), broken: AtomicBool::new(false) }
    }

    pub(super) fn answered(&self) {
        self.time_outs.store(0, Ordering::Relaxed);
    }

    pub(super) fn timed_out(&self) {
        if self.time_outs.fetch_add(1, Ordering::Relaxed) + 1 >= Self::MAX_TIME_OUTS {
            self.discard();
        }
    }

    /// The next call gets a new connection.
    pub(super) fn discard(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_sound(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }
}

/// The nodes, and which of them each key belongs to. Never changed: a new one takes its place.
pub(super) struct Topology {
    nodes: Vec<Arc<Node>>,
    /// None: the first node has all keys.
    slots: Option<HashMap<Slot, usize, RandomState>>,
    /// A node that has keys could not be reached.
    incomplete: bool,
    /// A node has said that keys lie elsewhere.
    outdated: AtomicBool,
    /// For each node a number that, in braces, makes a key belong to it; found when first asked for.
    tags: OnceLock<Vec<Option<u32>>>,
}

impl Topology {
    /// One node that has all keys.
    pub(super) fn alone(node: Arc<Node>) -> Self {
        Self::new(vec![node], None, false)
    }

    /// Nodes that share the keys. One that is missing leaves its slots without any.
    pub(super) fn spread(nodes: Vec<Arc<Node>>, ranges: &[SlotRange]) -> Self {
        let mut slots = HashMap::with_capacity_and_hasher(16_384, RandomState::default());
        let mut incomplete = false;
        for range in ranges {
            match nodes.iter().position(|node| node.address == range.address) {
                Some(at) => slots.extend((range.first..=range.last).filter_map(Slot::new).map(|slot| (slot, at))),
                None => incomplete = true,
            }
        }
        Self::new(nodes, Some(slots), incomplete)
    }

    fn new(nodes: Vec<Arc<Node>>, slots: Option<HashMap<Slot, usize, RandomState>>, incomplete: bool) -> Self {
        Self { nodes, slots, incomplete, outdated: AtomicBool::new(false), tags: OnceLock::new() }
    }

    /// For each node the lowest number that, in braces, makes a key belong to it.
    pub(super) fn tags(&self) -> &[Option<u32>] {
        self.tags.get_or_init(|| {
            let mut tags = vec![None; self.nodes.len()];
            for number in 0..10_000 {
                let at = match &self.slots {
                    None => Some(0),
                    Some(slots) => slots.get(&Slot::for_key(number.to_string())).copied(),
                };
                if let Some(tag) = at.and_then(|at| tags.get_mut(at)) {
                    tag.get_or_insert(number);
                }
                if tags.iter().all(Option::is_some) {
                    break;
                }
            }
            tags
        })
    }

    /// That number of one node.
    pub(super) fn tag_of(&self, node: &Arc<Node>) -> Option<u32> {
        let at = self.nodes.iter().position(|other| Arc::ptr_eq(other, node))?;
        self.tags().get(at).copied().flatten()
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The node that a key belongs to.
    pub(super) fn node_of(&self, key: &str) -> Option<&Arc<Node>> {
        match &self.slots {
            None => self.nodes.first(),
            Some(slots) => slots.get(&Slot::for_key(key)).and_then(|at| self.nodes.get(*at)),
        }
    }

    /// Whether keys are spread over nodes.
    pub(super) fn is_cluster(&self) -> bool {
        self.slots.is_some()
    }

    /// The node at an address.
    pub(super) fn node_at(&self, address: &Address) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.address == *address)
    }

    /// Keys of which each node has one, by numbering what `name` makes.
    pub(super) fn one_key_each(&self, name: impl Fn(u32) -> String) -> Vec<String> {
        let mut found: Vec<(*const Node, String)> = Vec::new();
        for key in (0..10_000).map(name) {
            if found.len() == self.nodes.len() {
                break;
            }
            if let Some(node) = self.node_of(&key).map(Arc::as_ptr)
                && found.iter().all(|(other, _)| *other != node)
            {
                found.push((node, key));
            }
        }
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// The next call asks anew where keys lie.
    pub(super) fn outdate(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// Whether it can be used as it is.
    pub(super) fn is_sound(&self) -> bool {
        !self.incomplete && !self.outdated.load(Ordering::Relaxed) && self.nodes.iter().all(|node| node.is_sound())
    }

    /// Nothing of it is to be used again.
    pub(super) fn discard(&self) {
        self.nodes.iter().for_each(|node| node.discard());
    }
}

/// Slots that lie on one primary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    first: u16,
    last: u16,
    pub(super) address: Address,
}

/// Reads the answer to `CLUSTER SLOTS`: first slot, last slot, primary, replicas. A node without a host
/// has that of the one that said so; `?` is one that nobody knows.
pub(super) fn slot_ranges(answer: Value, said_by: &Address) -> Vec<SlotRange> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    let range = |range: Value| {
        let Value::Array(fields) = range else { return None };
        let (Value::Int(first), Value::Int(last), Value::Array(primary)) =
            (fields.first()?, fields.get(1)?, fields.get(2)?)
        else {
            return None;
        };
        let host = match primary.first()? {
            Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
            Value::SimpleString(host) => host.clone(),
            Value::Nil => String::new(),
            _ => return None,
        };
        let host = match host.as_str() {
            "" => said_by.host.clone(),
            "?" => return None,
            _ => host,
        };
        let Value::Int(port) = primary.get(1)? else { return None };
        Some(SlotRange {
            first: u16::try_from(*first).ok()?,
            last: u16::try_from(*last).ok()?,
            address: Address { host, port: u16::try_from(*port).ok()? },
        })
    };
    ranges.into_iter().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by() -> Address {
        Address { host: "seed".to_owned(), port: 1 }
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"id".to_vec());
        let primary = Value::Array(vec![host, Value::Int(port), id, Value::Array(Vec::new())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), primary])
    }

    #[test]
    fn slots_are_read_and_what_is_no_range_is_left_out() {
        let answer = Value::Array(vec![
            range(0, 5_460, Value::BulkString(b"10.0.0.1".to_vec()), 7_000),
            range(5_461, 10_922, Value::BulkString(Vec::new()), 7_001),
            range(10_923, 12_000, Value::Nil, 7_002),
            range(12_001, 16_383, Value::BulkString(b"?".to_vec()), 7_003),
            range(-1, 70_000, Value::Nil, 7_004),
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
        ]);
        let address = |host: &str, port| Address { host: host.to_owned(), port };
        assert_eq!(
            slot_ranges(answer, &said_by()),
            [
                SlotRange { first: 0, last: 5_460, address: address("10.0.0.1", 7_000) },
                SlotRange { first: 5_461, last: 10_922, address: address("seed", 7_001) },
                SlotRange { first: 10_923, last: 12_000, address: address("seed", 7_002) },
            ]
        );
        assert!(slot_ranges(Value::Okay, &said_by()).is_empty());
    }

    #[test]
    fn redirections_are_read() {
        let parse = |text| Address::parse(text, &said_by()).map(|address| address.to_string());
        assert_eq!(parse("10.0.0.1:7000").as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(parse("::1:7000").as_deref(), Some("::1:7000"));
        assert_eq!(parse(":7000").as_deref(), Some("seed:7000"));
        assert_eq!(parse("10.0.0.1"), None);
        assert_eq!(parse("10.0.0.1:x"), None);
    }
}
