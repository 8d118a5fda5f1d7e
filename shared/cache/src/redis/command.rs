//! The commands that the cache sends. Each has one key, except `MGET` to a single server.

use std::time::Duration;

use redis::{Cmd, cmd};

use super::{
    scripts::{self, CLEAR_SCRIPT, EXTEND_SCRIPT, FORGET_SCRIPT, PUT_SCRIPT, REPLACE_SCRIPT, millis},
    value::{self, HEAD},
};
use crate::{kind::DataKind, stamp::Stamp};

/// Reads a value, from a server that accepts writes: others refuse a `GETEX`.
pub(super) fn get(key: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, key.len() + 8);
    command.arg("GETEX").arg(key);
    command
}

/// Reads the values of some keys, also from a server that refuses writes.
pub(super) fn get_all(keys: &[String]) -> Cmd {
    let mut command = Cmd::with_capacity(1 + keys.len(), 48 * keys.len());
    command.arg("MGET").arg(keys);
    command
}

/// Sets a copy unless the cache has a newer one.
pub(super) fn put(key: &str, value: &[u8], ttl: Duration) -> Cmd {
    scripts::run(&PUT_SCRIPT, key, &[value], ttl, None)
}

/// The copies of a player that [`forget`] removes. The greater value removes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Forget {
    /// Copies that are older than the stamp.
    OlderThan(Stamp),
    /// Every copy.
    Any,
}

/// Sets a tombstone with the version of the stamp or the current one, whichever is greater.
pub(super) fn forget(key: &str, which: Forget, ttl: Duration) -> Cmd {
    let (stamp, which) = match which {
        Forget::OlderThan(stamp) => (stamp, "older"),
        Forget::Any => (Stamp::default(), "any"),
    };
    scripts::run(&FORGET_SCRIPT, key, &[&stamp.digits()], ttl, Some(which))
}

/// Sets a value without comparison.
pub(super) fn set(key: &str, value: &[u8], ttl: Duration) -> Cmd {
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 20);
    command.arg("SET").arg(key).arg(value).arg("PX").arg(millis(ttl));
    command
}

/// Reads the first bytes of a copy: stamp, kind and layout.
pub(super) fn observe(key: &str) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(0).arg(HEAD - 1);
    command
}

/// Replaces an observed copy by a value, or deletes it where the value is empty.
pub(super) fn replace(key: &str, observed: &[u8], value: &[u8], ttl: Duration) -> Cmd {
    scripts::run(&REPLACE_SCRIPT, key, &[observed, value], ttl, None)
}

/// Replaces a copy by a tombstone, of one kind or all.
pub(super) fn clear(key: &str, kind: Option<DataKind>, ttl: Duration) -> Cmd {
    match kind {
        Some(kind) => scripts::run(&CLEAR_SCRIPT, key, &[&[value::letter(kind)]], ttl, None),
        None => scripts::run(&CLEAR_SCRIPT, key, &[b"all"], ttl, None),
    }
}

/// Deletes a value.
pub(super) fn unlink(key: &str) -> Cmd {
    let mut command = cmd("UNLINK");
    command.arg(key);
    command
}

/// Makes a copy live at least this long.
pub(super) fn extend(key: &str, ttl: Duration) -> Cmd {
    scripts::run(&EXTEND_SCRIPT, key, &[], ttl, None)
}
