//! Cursors: opaque positions at which the next page of a list begins.
//!
//! A checksum over route, list (such as the player) and key detects damaged cursors and cursors of
//! other lists. It is not a secret: the path alone decides which partition is read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const FORMAT: u8 = 1;
const CHECKSUM: usize = 8;
/// Longer than any valid cursor.
const MAX_LENGTH: usize = 512;

/// The cursor of the page after `key`.
pub fn encode(route: &str, list: &str, key: &str) -> String {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&checksum(route, list, key));
    bytes.extend_from_slice(key.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key after which the page begins; none if the cursor is damaged or from another list.
pub fn decode(route: &str, list: &str, cursor: &str) -> Option<String> {
    if cursor.len() > MAX_LENGTH {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (format, rest) = bytes.split_first()?;
    let (found, key) = rest.split_at_checked(CHECKSUM)?;
    let key = std::str::from_utf8(key).ok().filter(|key| !key.is_empty())?;
    (*format == FORMAT && found == checksum(route, list, key)).then(|| key.to_owned())
}

fn checksum(route: &str, list: &str, key: &str) -> [u8; CHECKSUM] {
    // Ids have no line breaks, so that two lists never have the same text.
    xxhash_rust::xxh3::xxh3_64(format!("{route}\n{list}\n{key}").as_bytes()).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2026-11-20T12:00:00.000Z#task-1";

    #[test]
    fn a_cursor_is_valid_only_in_its_list() {
        let [one, other] = ["p-1", "p-2"];
        let cursor = encode("history", one, KEY);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cursor}");
        assert_eq!(decode("history", one, &cursor).as_deref(), Some(KEY));
        assert_eq!(decode("rejections", one, &cursor), None);
        assert_eq!(decode("history", other, &cursor), None);
        let longest = "x".repeat(24 + 1 + 128);
        assert_eq!(decode("history", one, &encode("history", one, &longest)), Some(longest));
    }

    #[test]
    fn damaged_cursors_are_detected() {
        let player = "p";
        let cursor = encode("history", player, KEY);
        for at in 0..cursor.len() {
            let mut damaged: Vec<u8> = cursor.bytes().collect();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(decode("history", player, std::str::from_utf8(&damaged).unwrap()), None, "character {at}");
            assert_eq!(decode("history", player, &cursor[..at]), None, "cut at {at}");
        }
        for foreign in ["", "=", "AQ", "!!", &"A".repeat(600), "%00"] {
            assert_eq!(decode("history", player, foreign), None, "{foreign}");
        }
    }
}
