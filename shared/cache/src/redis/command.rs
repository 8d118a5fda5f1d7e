//! The commands that the cache sends. Each has one key, except reads from a single server.

use std::time::Duration;

use redis::{Cmd, cmd};

use super::{
    scripts::{self, CLEAR_SCRIPT, EXTEND_SCRIPT, FORGET_SCRIPT, PUT_SCRIPT, REPLACE_SCRIPT, millis},
    value::{self, HEAD},
};
use crate::{kind::DataKind, stamp::Stamp};

/// Reads the values of some keys.
pub(super) fn get(keys: impl ExactSizeIterator<Item = String>) -> Cmd {
    let mut command = Cmd::with_capacity(1 + keys.len(), 48 * keys.len());
    command.arg("MGET");
    for key in keys {
        command.arg(key.as_str());
    }
    command
}

/// Sets a copy unless the cache has a newer one.
pub(super) fn put(key: &str, value: &[u8], ttl: Duration) -> Cmd {
    scripts::run(&PUT_SCRIPT, key, &[value], ttl, None)
}

/// The copies that [`forget`] removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    /// Every copy.
    Any,
    /// Copies that are older than the stamp.
    Older,
}

/// Sets a tombstone with the version of the stamp or the current one, whichever is greater.
pub(super) fn forget(key: &str, stamp: Stamp, ttl: Duration, which: Forget) -> Cmd {
    let which = match which {
        Forget::Any => "any",
        Forget::Older => "older",
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
