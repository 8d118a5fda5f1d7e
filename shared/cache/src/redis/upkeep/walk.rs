//! The calls of the upkeep, and its walk through the keys.

use std::time::Duration;

use redis::{Cmd, Value, cmd, from_redis_value};
use tokio::time::Instant;

use crate::{
    kind::DataKind,
    redis::{
        Shared,
        ask::Answered,
        command::Command,
        topology::Address,
        verdict::{Failure, Reply, describe},
    },
    upkeep::{ScanCursor, UpkeepError},
};

/// How long a call waits for Redis at least.
const PATIENCE: Duration = Duration::from_secs(2);
/// About how many keys one `SCAN` looks at.
const SCAN_COUNT: usize = 1_000;

impl From<Failure> for UpkeepError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl Shared {
    /// How keys of a kind begin. Copies of queues lie in one place, whatever they know of progress.
    pub(super) fn space(&self, kind: DataKind) -> String {
        let name = match kind {
            DataKind::Queue | DataKind::Progress => "queue",
            DataKind::Stats => "stats",
            DataKind::Frequent => "frequent",
        };
        format!("{}{name}:", self.settings.key_prefix)
    }

    pub(super) fn history_key(&self) -> String {
        format!("{}upkeep:statistics", self.settings.key_prefix)
    }

    pub(super) fn of_history(&self, command: Cmd) -> Command {
        Command::other(self.history_key(), command)
    }

    /// The command that clears a key that lies in `space`, where only copies of `kind` are to go.
    pub(super) fn clearing(&self, key: String, space: DataKind, kind: Option<DataKind>) -> Command {
        match space {
            DataKind::Queue | DataKind::Progress => Command::clear(key, kind, self.settings.tombstone_ttl),
            DataKind::Stats | DataKind::Frequent => Command::unlink(key),
        }
    }

    /// Until when a call of so many commands may take.
    pub(super) fn upkeep_deadline(&self, commands: usize, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.settings.time_of(commands).max(PATIENCE))
    }

    pub(super) fn failed_upkeep(&self, failure: Failure) -> UpkeepError {
        self.upkeep.failures.add(1);
        self.failed(&failure);
        failure.into()
    }

    /// Sends commands in one exchange: a reply to each, or why there is not one to each.
    pub(super) async fn upkeep_call(
        &self,
        mut commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Reply>, UpkeepError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let time = self.upkeep_deadline(commands.len(), deadline).saturating_duration_since(started);
        let exchange = self.client.exchange(&mut commands, time, self.moment()).await;
        self.upkeep.calls.add(1);
        self.upkeep.round_trips.add(exchange.round_trips);
        self.upkeep.latency.record(started.elapsed());
        match exchange.failure {
            Some(failure) => Err(self.failed_upkeep(failure)),
            None => {
                self.succeeded();
                Ok(exchange.replies)
            }
        }
    }

    /// Asks nodes, likewise.
    pub(super) async fn upkeep_ask(
        &self,
        of: Option<&Address>,
        questions: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<Answered>, UpkeepError> {
        let started = Instant::now();
        let answered = self.client.ask(of, questions, self.upkeep_deadline(0, deadline)).await;
        self.upkeep.calls.add(1);
        self.upkeep.round_trips.add(1);
        self.upkeep.latency.record(started.elapsed());
        answered.map_err(|failure| self.failed_upkeep(failure))
    }

    /// Some keys that begin with this, and where the next ones begin: one round trip. In a cluster node
    /// after node; where the node of a cursor is gone, its keys lie elsewhere, and all begins anew.
    pub(super) async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<(Vec<Vec<u8>>, Option<ScanCursor>), UpkeepError> {
        let addresses = self.client.addresses(self.upkeep_deadline(0, deadline)).await;
        let addresses = addresses.map_err(|failure| self.failed_upkeep(failure))?;
        let spread = addresses.len() > 1;
        let (at, position) = match cursor {
            None => (0, 0),
            Some(ScanCursor { node: None, position }) => (0, if spread { 0 } else { *position }),
            Some(ScanCursor { node: Some(node), position }) => {
                let at = addresses.iter().position(|address| address.to_string() == *node);
                at.map_or((0, 0), |at| (at, *position))
            }
        };
        let Some(address) = addresses.get(at) else { return Ok((Vec::new(), None)) };
        let mut scan = cmd("SCAN");
        scan.arg(position).arg("MATCH").arg(format!("{}*", escaped(prefix))).arg("COUNT").arg(SCAN_COUNT);
        let answered = self.upkeep_ask(Some(address), &[scan], deadline).await?;
        let (position, keys) = scanned(answered.into_iter().flat_map(|answered| answered.values).next())?;
        let node = |address: &Address| spread.then(|| address.to_string());
        let next = match position {
            0 => addresses.get(at + 1).map(|address| ScanCursor { node: node(address), position: 0 }),
            position => Some(ScanCursor { node: node(address), position }),
        };
        Ok((keys, next))
    }
}

/// The answer to a `SCAN`.
pub(super) fn scanned(answer: Option<Value>) -> Result<(u64, Vec<Vec<u8>>), UpkeepError> {
    match answer {
        Some(Value::ServerError(error)) => Err(UpkeepError(describe(&error))),
        Some(answer) => from_redis_value(answer).map_err(|error| UpkeepError(error.to_string())),
        None => Err(UpkeepError("no answer to SCAN".to_owned())),
    }
}

/// Text as a pattern that nothing else matches.
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
    fn a_pattern_stands_for_itself() {
        assert_eq!(escaped("t-1_a.b:"), "t\\-1_a.b:");
        assert_eq!(escaped("a*b?c[d]e\\f^"), "a\\*b\\?c\\[d\\]e\\\\f\\^");
    }

    #[test]
    fn the_answer_to_a_scan_is_read() {
        let answer = redis::parse_redis_value(b"*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n").unwrap();
        assert_eq!(scanned(Some(answer)), Ok((17, vec![b"a".to_vec(), b"b".to_vec()])));
        let refusal = redis::parse_redis_value(b"-NOPERM no scan\r\n").unwrap();
        assert_eq!(scanned(Some(refusal)), Err(UpkeepError("NOPERM no scan".to_owned())));
        assert!(scanned(Some(Value::Okay)).is_err() && scanned(None).is_err());
    }
}
