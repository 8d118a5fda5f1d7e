//! The Lua scripts that compare and set values on the server.
//!
//! Each has one key, so that a cluster can route it. `ARGV` is documented with each script.

use std::{sync::LazyLock, time::Duration};

use redis::{Cmd, Script, cmd};

/// Sets a value unless the cache has a newer one. `ARGV`: the value, its time to live in
/// milliseconds.
///
/// A value without a stamp is damaged or foreign and is replaced. If there is no memory left,
/// the old value is deleted, because it is older than the table.
const PUT: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 32)
if type(current) == 'string' and #current == 33 and not string.find(current, '%D')
    and current > string.sub(ARGV[1], 1, 33) then
  return 0
end
local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if reply.err then
  redis.pcall('DEL', KEYS[1])
  return reply
end
return 1";

/// Sets a tombstone with the version of the current value, or the given one if that is greater.
/// `ARGV`: a stamp, the time to live in milliseconds, and `older` to leave a value that is not
/// older than the stamp.
const FORGET: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 32)
local stamped = type(current) == 'string' and #current == 33 and not string.find(current, '%D')
if stamped and ARGV[3] == 'older' and current >= ARGV[1] then
  return 0
end
local version = string.sub(ARGV[1], 1, 20)
if stamped and string.sub(current, 1, 20) > version then
  version = string.sub(current, 1, 20)
end
local reply = redis.pcall('SET', KEYS[1], version .. '0000000000000-t', 'PX', ARGV[2])
if reply.err then
  redis.pcall('DEL', KEYS[1])
  return reply
end
return 1";

/// Replaces a copy by a tombstone. `ARGV`: the letter of the only kind to clear, or `all`; the time
/// to live in milliseconds. A value without a stamp is damaged or foreign and is deleted.
const CLEAR: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 34)
if type(current) ~= 'string' or #current < 35 or string.find(string.sub(current, 1, 33), '%D') then
  return redis.call('UNLINK', KEYS[1])
end
local kind = string.sub(current, 34, 34)
if kind == '-' or ARGV[1] ~= 'all' and ARGV[1] ~= kind then
  return 0
end
local reply = redis.pcall('SET', KEYS[1], string.sub(current, 1, 20) .. '0000000000000-t', 'PX', ARGV[2])
if reply.err then
  redis.call('UNLINK', KEYS[1])
end
return 1";

/// Replaces an observed value, or an older one. `ARGV`: the observed first bytes, the new value or
/// nothing, its time to live in milliseconds.
const REPLACE: &str = "local current = redis.pcall('GETRANGE', KEYS[1], 0, 34)
if type(current) ~= 'string' then
  current = ''
end
if current ~= ARGV[1] then
  local stamped = #current == 35 and not string.find(string.sub(current, 1, 33), '%D')
  if ARGV[2] == '' or stamped and string.sub(current, 1, 33) > string.sub(ARGV[2], 1, 33) then
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

/// Makes a copy live at least for `ARGV[1]` milliseconds; leaves a tombstone as it is.
const EXTEND: &str = "local left = redis.call('PTTL', KEYS[1])
if left < 0 or left >= tonumber(ARGV[1]) or redis.call('GETRANGE', KEYS[1], 33, 33) == '-' then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])";

/// Replaces the state of a threshold. `ARGV`: the known state, empty for none; the new one; its
/// time to live in milliseconds.
const REPLACE_STATE: &str = "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

pub(super) static PUT_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUT));
pub(super) static FORGET_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(FORGET));
pub(super) static CLEAR_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CLEAR));
pub(super) static REPLACE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(REPLACE));
pub(super) static EXTEND_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(EXTEND));
pub(super) static REPLACE_STATE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(REPLACE_STATE));

/// The commands that load the scripts into a server.
pub(super) fn load_commands() -> [Cmd; 6] {
    [PUT, FORGET, CLEAR, REPLACE, EXTEND, REPLACE_STATE].map(|script| {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(script);
        load
    })
}

/// Runs a script on a key with arguments, a time to live and an optional last argument.
pub(super) fn run(script: &Script, key: &str, arguments: &[&[u8]], ttl: Duration, last: Option<&str>) -> Cmd {
    // Allocated at once: a value has some kilobytes, and a call may have a thousand of them.
    let bytes = key.len() + arguments.iter().map(|argument| argument.len()).sum::<usize>();
    let mut command = Cmd::with_capacity(arguments.len() + 6, bytes + 80);
    command.arg("EVALSHA").arg(script.get_hash()).arg(1).arg(key);
    for argument in arguments {
        command.arg(*argument);
    }
    command.arg(millis(ttl)).arg(last);
    command
}

/// A time to live in milliseconds; at least 1, because Redis refuses 0.
pub(super) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{redis::value, stamp::Stamp};

    #[test]
    fn the_scripts_agree_with_the_layout_of_a_value() {
        // The numbers in the scripts: 33 digits of a stamp, 20 of them the version, kind and
        // layout.
        assert_eq!((Stamp::LENGTH, Stamp::VERSION, value::HEAD), (33, 20, 35));
        let tombstone = format!("{:020}{}", 7, "0000000000000-t");
        assert!([FORGET, CLEAR].iter().all(|script| script.contains("'0000000000000-t'")));
        assert_eq!(tombstone.as_bytes()[..33], Stamp::of_version(7).digits());
        assert_eq!(value::decode(tombstone.as_bytes()), Ok(None));
    }

    #[test]
    fn a_time_to_live_is_at_least_one_millisecond() {
        let put = |ttl| String::from_utf8(run(&PUT_SCRIPT, "k", &[b"v"], ttl, None).get_packed_command()).unwrap();
        assert!(put(Duration::ZERO).ends_with("\r\n1\r\n"));
        assert!(put(Duration::from_secs(300)).ends_with("\r\n300000\r\n"));
    }
}
