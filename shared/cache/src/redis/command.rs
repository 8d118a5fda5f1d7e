//! What is asked of Redis: one key each, so that a cluster can take every command by itself.

use std::{sync::LazyLock, time::Duration};

use redis::{Cmd, Script, cmd};

use crate::{kind::DataKind, stamp::Stamp};

/// Sets a value unless a newer one is held. `ARGV`: the value, its time to live in milliseconds.
///
/// What is held without a stamp is damaged or not ours, and gives way. Where there is no memory left
/// the old value is older than the table, and must go too.
const PUT: &str = "local held = redis.pcall('GETRANGE', KEYS[1], 0, 32)
if type(held) == 'string' and #held == 33 and not string.find(held, '%D') and held > string.sub(ARGV[1], 1, 33) then
  return 0
end
local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if reply.err then
  redis.pcall('DEL', KEYS[1])
  return reply
end
return 1";

/// Leaves a tombstone: the version held, or the given one where that is greater, and nothing behind it.
/// `ARGV`: a stamp, the time to live in milliseconds, and `older` to leave alone what is not older than
/// the stamp.
const FORGET: &str = "local held = redis.pcall('GETRANGE', KEYS[1], 0, 32)
local known = type(held) == 'string' and #held == 33 and not string.find(held, '%D')
if known and ARGV[3] == 'older' and held >= ARGV[1] then
  return 0
end
local version = string.sub(ARGV[1], 1, 20)
if known and string.sub(held, 1, 20) > version then
  version = string.sub(held, 1, 20)
end
local reply = redis.pcall('SET', KEYS[1], version .. '0000000000000t', 'PX', ARGV[2])
if reply.err then
  redis.pcall('DEL', KEYS[1])
  return reply
end
return 1";

/// Leaves a tombstone in the place of a copy. `ARGV`: `queue` or `progress` to leave alone what is of the
/// other kind, or `all`; the time to live in milliseconds. What is held without a stamp is damaged or not
/// ours, and goes.
const CLEAR: &str = "local held = redis.pcall('GETRANGE', KEYS[1], 0, 33)
if type(held) ~= 'string' or #held < 34 or string.find(string.sub(held, 1, 33), '%D') then
  return redis.call('UNLINK', KEYS[1])
end
if string.sub(held, 34) == 't' then
  return 0
end
local progress = string.sub(held, 33, 33) == '1' and string.find(string.sub(held, 21, 32), '[1-9]')
if ARGV[1] == 'queue' and progress or ARGV[1] == 'progress' and not progress then
  return 0
end
local reply = redis.pcall('SET', KEYS[1], string.sub(held, 1, 20) .. '0000000000000t', 'PX', ARGV[2])
if reply.err then
  redis.call('UNLINK', KEYS[1])
end
return 1";

/// Puts a value in the place of what was seen, or of what is older. `ARGV`: the first bytes that were
/// seen, the value or nothing, its time to live in milliseconds.
const REPLACE: &str = "local held = redis.pcall('GETRANGE', KEYS[1], 0, 33)
if type(held) ~= 'string' then
  held = ''
end
if held ~= ARGV[1] then
  local known = #held == 34 and not string.find(string.sub(held, 1, 33), '%D')
  if ARGV[2] == '' or known and string.sub(held, 1, 33) > string.sub(ARGV[2], 1, 33) then
    return 0
  end
end
if ARGV[2] == '' then
  redis.call('UNLINK', KEYS[1])
  return 1
end
local reply = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if reply.err then
  redis.pcall('UNLINK', KEYS[1])
  return reply
end
return 1";

/// Has a copy live for so many milliseconds at least; a tombstone is left alone.
const EXTEND: &str = "local left = redis.call('PTTL', KEYS[1])
if left < 0 or left >= tonumber(ARGV[1]) or redis.call('GETRANGE', KEYS[1], 33, 33) == 't' then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])";

/// The names by which nodes know the scripts: their SHA-1.
static PUT_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUT));
static FORGET_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(FORGET));
static CLEAR_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CLEAR));
static REPLACE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(REPLACE));
static EXTEND_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(EXTEND));

/// Commands that make the scripts known to a node.
pub(super) fn load_scripts() -> [Cmd; 5] {
    [PUT, FORGET, CLEAR, REPLACE, EXTEND].map(|script| {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(script);
        load
    })
}

/// One command, as it is sent.
#[derive(Debug, Default)]
pub(super) struct Command {
    pub(super) key: String,
    pub(super) role: Role,
    /// Empty while it is under way.
    pub(super) cmd: Cmd,
}

/// What a command is to those who ride along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    /// Reads a copy.
    Get,
    /// Sets a copy that somebody has changed.
    Put,
    /// Anything else.
    #[default]
    Other,
}

impl Command {
    /// Reads the values of some keys, at least one. In a cluster they have to have one slot, as a single one has.
    pub(super) fn get(keys: impl ExactSizeIterator<Item = String>) -> Self {
        let (mut cmd, mut first) = (Cmd::with_capacity(1 + keys.len(), 48 * keys.len()), None);
        cmd.arg("MGET");
        for key in keys {
            cmd.arg(key.as_str());
            first.get_or_insert(key);
        }
        Self { key: first.unwrap_or_default(), role: Role::Get, cmd }
    }

    /// Sets the value unless a newer one is held.
    pub(super) fn put(key: String, value: &[u8], ttl: Duration) -> Self {
        Self { role: Role::Put, ..Self::fill(key, value, ttl) }
    }

    /// As a put, by the upkeep: nobody has changed anything.
    pub(super) fn fill(key: String, value: &[u8], ttl: Duration) -> Self {
        Self::evaluated(&PUT_SCRIPT, key, &[value], ttl, None)
    }

    /// Leaves a tombstone; of `older` copies alone, or whatever is held.
    pub(super) fn forget(key: String, stamp: Stamp, ttl: Duration, older: bool) -> Self {
        Self::evaluated(&FORGET_SCRIPT, key, &[&stamp.digits()], ttl, Some(if older { "older" } else { "all" }))
    }

    /// Shows that the node takes writes.
    pub(super) fn probe(key: String) -> Self {
        let mut set = cmd("SET");
        set.arg(&key).arg("").arg("PX").arg(1_000);
        Self::other(key, set)
    }

    /// Reads the first bytes of the value: its stamp and layout.
    pub(super) fn look(key: String) -> Self {
        let mut range = cmd("GETRANGE");
        range.arg(&key).arg(0).arg(Stamp::LENGTH);
        Self::other(key, range)
    }

    /// Puts the value, or nothing, in the place of what was seen.
    pub(super) fn replace(key: String, seen: &[u8], value: &[u8], ttl: Duration) -> Self {
        Self::evaluated(&REPLACE_SCRIPT, key, &[seen, value], ttl, None)
    }

    /// Leaves a tombstone in the place of a copy, of one kind or any.
    pub(super) fn clear(key: String, kind: Option<DataKind>, ttl: Duration) -> Self {
        let kind = match kind {
            Some(DataKind::Queue) => "queue",
            Some(DataKind::Progress) => "progress",
            _ => "all",
        };
        Self::evaluated(&CLEAR_SCRIPT, key, &[kind.as_bytes()], ttl, None)
    }

    /// Drops the value.
    pub(super) fn unlink(key: String) -> Self {
        let mut unlink = cmd("UNLINK");
        unlink.arg(&key);
        Self::other(key, unlink)
    }

    /// Has the value live for so long at least.
    pub(super) fn extend(key: String, ttl: Duration) -> Self {
        Self::evaluated(&EXTEND_SCRIPT, key, &[], ttl, None)
    }

    /// Any other command with this key.
    pub(super) fn other(key: String, cmd: Cmd) -> Self {
        Self { key, role: Role::Other, cmd }
    }

    /// A script with its arguments, a time to live, and what may follow that.
    fn evaluated(script: &Script, key: String, arguments: &[&[u8]], ttl: Duration, last: Option<&str>) -> Self {
        // Room for all of it at once: a value is some kilobytes, and there may be a thousand of them.
        let bytes = key.len() + arguments.iter().map(|argument| argument.len()).sum::<usize>();
        let mut cmd = Cmd::with_capacity(arguments.len() + 6, bytes + 80);
        cmd.arg("EVALSHA").arg(script.get_hash()).arg(1).arg(key.as_str());
        arguments.iter().for_each(|argument| {
            cmd.arg(*argument);
        });
        cmd.arg(millis(ttl)).arg(last);
        Self::other(key, cmd)
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::value;

    #[test]
    fn the_scripts_know_the_layout_of_a_value() {
        // Their numbers: 33 digits of a stamp, 20 of them the version, 13 others, then the layout.
        assert_eq!((Stamp::LENGTH, Stamp::VERSION, value::HEADER), (33, 20, 34));
        let tombstone = format!("{:020}{}", 7, "0000000000000t");
        assert!([FORGET, CLEAR].iter().all(|script| script.contains("'0000000000000t'")));
        assert_eq!(tombstone.as_bytes()[..33], Stamp::of_version(7).digits());
        assert_eq!(value::decode(tombstone.as_bytes()), Ok(None));
    }

    #[test]
    fn a_time_to_live_is_at_least_a_millisecond() {
        let put = |ttl| Command::put("k".to_owned(), b"v", ttl);
        let last = |command: Command| String::from_utf8(command.cmd.get_packed_command()).unwrap();
        assert!(last(put(Duration::ZERO)).ends_with("\r\n1\r\n"));
        assert!(last(put(Duration::from_secs(300))).ends_with("\r\n300000\r\n"));
    }
}
