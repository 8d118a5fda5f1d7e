//! Scans the keys with `SCAN`, some at a time, in a cluster one primary after the other.

use redis::{Cmd, Value, cmd, from_redis_value};
use tokio::time::Instant;

use super::{cache::Core, reply::describe};
use crate::upkeep::{ScanCursor, UpkeepError};

/// The approximate number of keys that one `SCAN` examines.
const KEYS_PER_SCAN: usize = 1_000;

/// Some keys with a prefix, and where the scan goes on. If the node of the cursor is gone, its keys
/// are on other nodes, and the scan starts again.
pub(super) async fn scan(
    core: &Core,
    prefix: &str,
    cursor: Option<&ScanCursor>,
    deadline: Instant,
) -> Result<(Vec<Vec<u8>>, Option<ScanCursor>), UpkeepError> {
    let addresses = core.upkeep_addresses(deadline).await?;
    let several = addresses.len() > 1;
    let (at, position) = match cursor {
        None => (0, 0),
        Some(ScanCursor { node: None, position }) => (0, if several { 0 } else { *position }),
        Some(ScanCursor { node: Some(node), position }) => {
            addresses.iter().position(|address| address == node).map_or((0, 0), |at| (at, *position))
        }
    };
    let Some(address) = addresses.get(at) else { return Ok((Vec::new(), None)) };
    let answers = core.upkeep_ask(std::slice::from_ref(address), &[command(position, prefix)], deadline).await?;
    let (position, keys) = read(answers.into_iter().flat_map(|node| node.values).next())?;
    let node = |address: &String| several.then(|| address.clone());
    let next = match position {
        0 => addresses.get(at + 1).map(|address| ScanCursor { node: node(address), position: 0 }),
        position => Some(ScanCursor { node: node(address), position }),
    };
    Ok((keys, next))
}

fn command(position: u64, prefix: &str) -> Cmd {
    let mut scan = cmd("SCAN");
    scan.arg(position).arg("MATCH").arg(format!("{}*", escaped(prefix))).arg("COUNT").arg(KEYS_PER_SCAN);
    scan
}

/// Reads the answer to a `SCAN`: the next position and the keys.
pub(super) fn read(answer: Option<Value>) -> Result<(u64, Vec<Vec<u8>>), UpkeepError> {
    match answer {
        Some(Value::ServerError(error)) => Err(UpkeepError(describe(&error))),
        Some(answer) => from_redis_value(answer).map_err(|error| UpkeepError(error.to_string())),
        None => Err(UpkeepError("no answer to SCAN".to_owned())),
    }
}

/// A pattern that matches only this text.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_only_its_text() {
        assert_eq!(escaped("t-1_a.b:"), "t\\-1_a.b:");
        assert_eq!(escaped("a*b?c[d]e\\f^"), "a\\*b\\?c\\[d\\]e\\\\f\\^");
    }

    #[test]
    fn the_answer_to_a_scan_is_read() {
        let answer = redis::parse_redis_value(b"*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n").unwrap();
        assert_eq!(read(Some(answer)), Ok((17, vec![b"a".to_vec(), b"b".to_vec()])));
        let refusal = redis::parse_redis_value(b"-NOPERM no scan\r\n").unwrap();
        assert_eq!(read(Some(refusal)), Err(UpkeepError("NOPERM no scan".to_owned())));
        assert!(read(Some(Value::Okay)).is_err() && read(None).is_err());
    }
}
