//! Reads copies in a way that a server answers only while it accepts writes.
//!
//! A server may answer reads and refuse writes: after a failed save (`MISCONF`), without enough
//! replicas (`NOREPLICAS`), or as a demoted primary (`READONLY`). It gets no newer copies then. A
//! process that only reads would go on to serve its stale copies and would never learn of it.
//!
//! So the last key of a call is read with `GETEX`. Without options this command changes nothing,
//! and it is a write command: the server refuses it whenever it refuses to delete a key. It needs
//! no memory, so a full server executes it. A full server also deletes copies that it cannot
//! replace, so what it still has is current.

use redis::Cmd;

use super::{command, reply::Reply};

/// The maximum number of keys that one command reads, so that other clients do not wait long for
/// it.
const KEYS_PER_COMMAND: usize = 100;

/// A read of some keys from a server or a cluster.
pub(super) struct CheckedRead {
    keys: Vec<String>,
    cluster: bool,
}

impl CheckedRead {
    /// In a cluster each key has a `GETEX`: it is a check of its node, and a lost node fails only
    /// its own keys.
    pub(super) fn new(keys: Vec<String>, cluster: bool) -> Self {
        Self { keys, cluster }
    }

    /// The keys of each command. A command with one key is a check.
    fn groups(&self) -> impl Iterator<Item = &[String]> {
        let unchecked = if self.cluster { 0 } else { self.keys.len().saturating_sub(1) };
        let (unchecked, checked) = self.keys.split_at(unchecked);
        unchecked.chunks(KEYS_PER_COMMAND).chain(checked.chunks(1))
    }

    /// The commands, which are sent in this order and in one round trip.
    pub(super) fn commands(&self) -> Vec<Cmd> {
        let command = |keys: &[String]| match keys {
            [key] => command::get(key),
            keys => command::get_all(keys),
        };
        self.groups().map(command).collect()
    }

    /// The reply for each key, of the replies to the commands. If a server did not execute the
    /// check, none of its values is returned.
    pub(super) fn replies(&self, mut replies: Vec<Reply>) -> Vec<Reply> {
        if !self.cluster && matches!(replies.last(), Some(Reply::Missing)) {
            replies.clear();
        }
        let mut replies = replies.into_iter();
        self.groups().flat_map(|keys| replies.next().unwrap_or(Reply::Missing).split(keys.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn read(keys: usize, cluster: bool) -> CheckedRead {
        CheckedRead::new((0..keys).map(|n| format!("k-{n}")).collect(), cluster)
    }

    fn names(read: &CheckedRead) -> Vec<String> {
        let name = |command: &Cmd| String::from_utf8(command.get_packed_command()).unwrap();
        read.commands().iter().map(|command| name(command).split("\r\n").nth(2).unwrap().to_owned()).collect()
    }

    fn value(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn texts(replies: Vec<Reply>) -> Vec<Option<String>> {
        let text = |reply: Reply| reply.into_bytes().map(|bytes| String::from_utf8(bytes).unwrap());
        replies.into_iter().map(text).collect()
    }

    #[test]
    fn the_last_key_of_a_server_and_each_key_of_a_cluster_is_read_with_a_check() {
        assert_eq!(names(&read(0, false)), [""; 0]);
        assert_eq!(names(&read(1, false)), ["GETEX"]);
        assert_eq!(names(&read(3, false)), ["MGET", "GETEX"]);
        assert_eq!(names(&read(202, false)), ["MGET", "MGET", "GETEX", "GETEX"]);
        assert_eq!(names(&read(3, true)), ["GETEX"; 3]);
    }

    #[test]
    fn each_key_gets_its_reply() {
        let values = vec![Reply::Value(Value::Array(vec![value("a"), Value::Nil])), Reply::Value(value("c"))];
        let expected = [Some("a".to_owned()), None, Some("c".to_owned())];
        assert_eq!(texts(read(3, false).replies(values)), expected);
    }

    #[test]
    fn a_refused_check_drops_the_values_of_its_server_only() {
        let values = Reply::Value(Value::Array(vec![value("a"), value("b")]));
        assert_eq!(texts(read(3, false).replies(vec![values, Reply::Missing])), [None, None, None]);
        let values = vec![Reply::Value(value("a")), Reply::Missing, Reply::Value(value("c"))];
        let expected = [Some("a".to_owned()), None, Some("c".to_owned())];
        assert_eq!(texts(read(3, true).replies(values)), expected);
    }
}
