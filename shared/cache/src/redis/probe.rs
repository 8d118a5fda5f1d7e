//! The commands of a probe: writes, so that a demoted primary fails it.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use redis::{Cmd, cluster_routing::Slot};

use super::{command, settings::RedisMode};

const SLOTS: u16 = 16_384;
/// A probe of a cluster writes one key in each of so many equal ranges of slots. That reaches every
/// primary with at least this share of the slots in a row.
const RANGES: u16 = 64;
/// How long the keys of a probe live.
const TTL: Duration = Duration::from_secs(1);

/// A hash tag in each range of slots.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let slots = (0..SLOTS).filter_map(|slot| Some((Slot::new(slot)?, slot / (SLOTS / RANGES))));
    let ranges: HashMap<Slot, u16> = slots.collect();
    let mut tags: HashMap<u16, u32> = HashMap::new();
    for tag in 0_u32.. {
        if let Some(range) = ranges.get(&Slot::for_key(tag.to_string())) {
            tags.entry(*range).or_insert(tag);
        }
        if tags.len() == usize::from(RANGES) {
            break;
        }
    }
    tags.into_values().collect()
});

/// Writes to the server, or to the nodes of a cluster.
pub(super) fn commands(key_prefix: &str, mode: RedisMode) -> Vec<Cmd> {
    let tags = match mode {
        RedisMode::Standalone => &[0],
        RedisMode::Cluster => TAGS.as_slice(),
    };
    tags.iter().map(|tag| command::set(&format!("{key_prefix}probe:{{{tag}}}"), b"", TTL)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_a_cluster_writes_to_every_range_of_slots() {
        assert_eq!(commands("p:", RedisMode::Standalone).len(), 1);
        assert_eq!(commands("p:", RedisMode::Cluster).len(), usize::from(RANGES));
        let slots: Vec<Slot> = TAGS.iter().map(|tag| Slot::for_key(format!("p:probe:{{{tag}}}"))).collect();
        for range in 0..RANGES {
            let width = SLOTS / RANGES;
            let in_range = (range * width..(range + 1) * width).filter_map(Slot::new).any(|slot| slots.contains(&slot));
            assert!(in_range, "range {range}");
        }
    }
}
