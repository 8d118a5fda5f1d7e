//! What is done beside serving: looking through the keys, filling, clearing, the flag, the history.
//!
//! Nothing here is quick or happens often, so it waits longer for Redis than a call that serves, and is
//! tried whatever the breaker says. Keys are found with `SCAN`, some at a time and node by node.

mod figures;

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::Cached};
use redis::{Cmd, Value, cmd, from_redis_value};
use tokio::time::Instant;

use super::{
    RedisTier, Shared,
    command::{Command, Operation},
    companions::ACTIVE_FOR,
    topology::Address,
    value,
    verdict::{Failure, Reply, describe},
};
use crate::{
    emergency::Emergency,
    kind::Kind,
    upkeep::{
        ClearedPage, Kept, Outcome, PlayersPage, Replacement, ScanCursor, Seen, ServerFigures, Upkeep, UpkeepError,
    },
};

/// How long a call waits for Redis at least.
const PATIENCE: Duration = Duration::from_secs(2);
/// About how many keys one `SCAN` looks at.
const SCAN_COUNT: usize = 1_000;
/// How long a figure is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Most figures kept.
const MAX_KEPT: i64 = 1_000;

impl From<Failure> for UpkeepError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

#[async_trait]
impl Upkeep for RedisTier {
    async fn seen(&self, players: &[PlayerId], deadline: Instant) -> Result<Vec<Seen>, UpkeepError> {
        let shared = &self.shared;
        let look = |player| Command { key: shared.key(player), operation: Operation::Look };
        let replies = shared.upkeep_call(players.iter().map(look).collect(), deadline).await?;
        // What has another type is not ours; it is seen as if there were nothing.
        Ok(replies.into_iter().map(|reply| Seen(bytes(reply).unwrap_or_default())).collect())
    }

    async fn fill(
        &self,
        copies: &[Arc<Cached>],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, UpkeepError> {
        let shared = &self.shared;
        let fill = |copy: &Arc<Cached>| {
            let operation = Operation::Fill { value: shared.value(copy), ttl: shared.ttl(Kind::of(copy), now) };
            Command { key: shared.key(&copy.queue.player_id), operation }
        };
        let replies = shared.upkeep_call(copies.iter().map(fill).collect(), deadline).await?;
        Ok(replies.iter().map(outcome).collect())
    }

    async fn replace(
        &self,
        replacements: &[Replacement],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, UpkeepError> {
        let shared = &self.shared;
        let replace = |Replacement { player_id, seen, copy }: &Replacement| {
            let (value, ttl) = match copy {
                Some(copy) => (shared.value(copy), shared.ttl(Kind::of(copy), now)),
                None => (Vec::new(), Duration::ZERO),
            };
            Command { key: shared.key(player_id), operation: Operation::Replace { seen: seen.0.clone(), value, ttl } }
        };
        let replies = shared.upkeep_call(replacements.iter().map(replace).collect(), deadline).await?;
        Ok(replies.iter().map(outcome).collect())
    }

    async fn players(&self, cursor: Option<&ScanCursor>, deadline: Instant) -> Result<PlayersPage, UpkeepError> {
        let space = self.shared.space(Kind::Queue);
        let (keys, next) = self.shared.scan(&space, cursor, deadline).await?;
        let mut known = HashSet::new();
        let player = |key: Vec<u8>| PlayerId::new(std::str::from_utf8(key.strip_prefix(space.as_bytes())?).ok()?).ok();
        let players = keys.into_iter().filter_map(player).filter(|player| known.insert(player.clone())).collect();
        Ok(PlayersPage { players, next })
    }

    async fn clear(
        &self,
        kind: Option<Kind>,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let shared = &self.shared;
        let prefix = kind.map_or_else(|| shared.settings.key_prefix.clone(), |kind| shared.space(kind));
        let (keys, next) = shared.scan(&prefix, cursor, deadline).await?;
        let spaces = Kind::ALL.map(|kind| (kind, shared.space(kind)));
        let mut page = ClearedPage { next, ..ClearedPage::default() };
        let mut commands = Vec::with_capacity(keys.len());
        for key in keys {
            // Keys of the upkeep itself are no copies.
            let Some((space, _)) = spaces.iter().find(|(_, space)| key.starts_with(space.as_bytes())) else { continue };
            page.scanned += 1;
            match String::from_utf8(key) {
                Ok(key) => commands.push(shared.clearing(key, *space, kind)),
                Err(_) => page.failed += 1,
            }
        }
        page.add(shared.upkeep_call(commands, deadline).await?);
        Ok(page)
    }

    async fn clear_players(
        &self,
        players: &[PlayerId],
        kind: Option<Kind>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let shared = &self.shared;
        let spaces: &[Kind] = match kind {
            None => &[Kind::Queue, Kind::Stats, Kind::Frequent],
            Some(Kind::Queue | Kind::Progress) => &[Kind::Queue],
            Some(Kind::Stats) => &[Kind::Stats],
            Some(Kind::Frequent) => &[Kind::Frequent],
        };
        let mut commands = Vec::with_capacity(players.len() * spaces.len());
        for player in players {
            for space in spaces {
                commands.push(shared.clearing(format!("{}{player}", shared.space(*space)), *space, kind));
            }
        }
        let mut page = ClearedPage { scanned: commands.len() as u64, ..ClearedPage::default() };
        page.add(shared.upkeep_call(commands, deadline).await?);
        Ok(page)
    }

    async fn extend(
        &self,
        players: &[PlayerId],
        now: Timestamp,
        until: Timestamp,
        deadline: Instant,
    ) -> Result<u64, UpkeepError> {
        let shared = &self.shared;
        let left = Duration::from_millis(until.millis_since(now));
        let extend = |player| {
            // Not all at once, just when the table has recovered.
            let ttl = left + shared.jittered(shared.settings.ttls[Kind::Queue]);
            Command { key: shared.key(player), operation: Operation::Extend { ttl } }
        };
        let replies = shared.upkeep_call(players.iter().map(extend).collect(), deadline).await?;
        Ok(replies.iter().filter(|reply| matches!(reply, Reply::Value(Value::Int(1)))).count() as u64)
    }

    async fn active(&self, limit: usize, deadline: Instant) -> Result<Vec<PlayerId>, UpkeepError> {
        let shared = &self.shared;
        let tags =
            shared.client.tags(shared.upkeep_deadline(0, deadline)).await.map_err(|f| shared.failed_upkeep(f))?;
        let commands = tags.into_iter().map(|tag| {
            let key = shared.client.companions.active_key(tag);
            let mut range = cmd("ZREVRANGE");
            range.arg(&key).arg(0).arg(limit.saturating_sub(1)).arg("WITHSCORES");
            Command { key, operation: Operation::Other(range) }
        });
        let mut active: Vec<(String, f64)> = Vec::new();
        for reply in shared.upkeep_call(commands.collect(), deadline).await? {
            active.extend(scored(reply)?);
        }
        active.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let oldest = shared.moment().wall.saturating_sub(ACTIVE_FOR).as_millis() as f64;
        let mut known = HashSet::new();
        let recent = active.into_iter().filter(|(_, at)| *at >= oldest);
        let players = recent.filter_map(|(player, _)| PlayerId::new(&player).ok());
        Ok(players.filter(|player| known.insert(player.clone())).take(limit).collect())
    }

    async fn announce(&self, emergency: Emergency, deadline: Instant) -> Result<(), UpkeepError> {
        let shared = &self.shared;
        let tags =
            shared.client.tags(shared.upkeep_deadline(0, deadline)).await.map_err(|f| shared.failed_upkeep(f))?;
        let ttl = emergency.until.millis_since(emergency.said_at).max(1);
        let commands = tags.into_iter().map(|tag| {
            let key = shared.client.companions.emergency_key(tag);
            let mut set = cmd("SET");
            set.arg(&key).arg(emergency.to_string()).arg("PX").arg(ttl);
            Command { key, operation: Operation::Other(set) }
        });
        for reply in shared.upkeep_call(commands.collect(), deadline).await? {
            answered(reply)?;
        }
        shared.client.companions.learn(emergency);
        Ok(())
    }

    async fn heard(&self, deadline: Instant) -> Result<Option<Emergency>, UpkeepError> {
        let shared = &self.shared;
        let companions = &shared.client.companions;
        let tags =
            shared.client.tags(shared.upkeep_deadline(0, deadline)).await.map_err(|f| shared.failed_upkeep(f))?;
        let commands = tags.into_iter().map(|tag| Command {
            key: companions.emergency_key(tag),
            operation: Operation::Other(companions.ask_for_emergency(tag)),
        });
        for reply in shared.upkeep_call(commands.collect(), deadline).await? {
            if let Some(text) = bytes(reply) {
                companions.heard(&text);
            }
        }
        Ok(companions.emergency())
    }

    async fn measure(&self, deadline: Instant) -> Result<ServerFigures, UpkeepError> {
        figures::measure(&self.shared, deadline).await
    }

    async fn keep(&self, figure: &Kept, deadline: Instant) -> Result<(), UpkeepError> {
        let shared = &self.shared;
        let at = figure.at.as_millis();
        let mut add = cmd("ZADD");
        add.arg(shared.history_key()).arg(at).arg(&figure.text);
        let mut drop_old = cmd("ZREMRANGEBYSCORE");
        drop_old.arg(shared.history_key()).arg("-inf").arg(at.saturating_sub(KEPT_FOR.as_millis() as u64));
        let mut drop_many = cmd("ZREMRANGEBYRANK");
        drop_many.arg(shared.history_key()).arg(0).arg(-MAX_KEPT - 1);
        let mut expire = cmd("PEXPIRE");
        expire.arg(shared.history_key()).arg(KEPT_FOR.as_millis() as u64);
        let commands = [add, drop_old, drop_many, expire].map(|cmd| shared.of_history(cmd));
        for reply in shared.upkeep_call(commands.into(), deadline).await? {
            answered(reply)?;
        }
        Ok(())
    }

    async fn kept(&self, since: Timestamp, limit: usize, deadline: Instant) -> Result<Vec<Kept>, UpkeepError> {
        let shared = &self.shared;
        let mut range = cmd("ZREVRANGEBYSCORE");
        range.arg(shared.history_key()).arg("+inf").arg(since.as_millis()).arg("WITHSCORES");
        range.arg("LIMIT").arg(0).arg(limit);
        let mut kept = Vec::new();
        for reply in shared.upkeep_call(vec![shared.of_history(range)], deadline).await? {
            let figures = scored(reply)?.into_iter();
            kept.extend(figures.map(|(text, at)| Kept { at: Timestamp::from_millis(at as u64), text }));
        }
        Ok(kept)
    }
}

impl Shared {
    /// How keys of a kind begin. Copies of queues lie in one place, whatever they know of progress.
    fn space(&self, kind: Kind) -> String {
        let name = match kind {
            Kind::Queue | Kind::Progress => "queue",
            Kind::Stats => "stats",
            Kind::Frequent => "frequent",
        };
        format!("{}{name}:", self.settings.key_prefix)
    }

    fn history_key(&self) -> String {
        format!("{}upkeep:statistics", self.settings.key_prefix)
    }

    fn of_history(&self, command: Cmd) -> Command {
        Command { key: self.history_key(), operation: Operation::Other(command) }
    }

    /// What is held of a copy in Redis, counted.
    fn value(&self, copy: &Cached) -> Vec<u8> {
        let value = value::encode(copy);
        self.kinds[Kind::of(copy)].bytes_written.add(value.len() as u64);
        value
    }

    /// The command that clears a key that lies in `space`, where only copies of `kind` are to go.
    fn clearing(&self, key: String, space: Kind, kind: Option<Kind>) -> Command {
        let operation = match space {
            Kind::Queue | Kind::Progress => Operation::Clear { kind, ttl: self.settings.tombstone_ttl },
            Kind::Stats | Kind::Frequent => Operation::Unlink,
        };
        Command { key, operation }
    }

    /// Until when a call of so many commands may take.
    fn upkeep_deadline(&self, commands: usize, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.settings.time_of(commands).max(PATIENCE))
    }

    fn failed_upkeep(&self, failure: Failure) -> UpkeepError {
        self.upkeep.failures.add(1);
        self.failed(&failure);
        failure.into()
    }

    /// Sends commands in one exchange: a reply to each, or why there is not one to each.
    async fn upkeep_call(&self, commands: Vec<Command>, deadline: Instant) -> Result<Vec<Reply>, UpkeepError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let time = self.upkeep_deadline(commands.len(), deadline).saturating_duration_since(started);
        let exchange = self.client.exchange(&commands, time, self.moment()).await;
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
    async fn upkeep_ask(
        &self,
        of: Option<&Address>,
        questions: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<super::ask::Answered>, UpkeepError> {
        let started = Instant::now();
        let answered = self.client.ask(of, questions, self.upkeep_deadline(0, deadline)).await;
        self.upkeep.calls.add(1);
        self.upkeep.round_trips.add(1);
        self.upkeep.latency.record(started.elapsed());
        answered.map_err(|failure| self.failed_upkeep(failure))
    }

    /// Some keys that begin with this, and where the next ones begin: one round trip. In a cluster node
    /// after node; where the node of a cursor is gone, its keys lie elsewhere, and all begins anew.
    async fn scan(
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

impl ClearedPage {
    fn add(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            match reply {
                Reply::Value(Value::Int(cleared)) => self.cleared += u64::from(cleared > 0),
                _ => self.failed += 1,
            }
        }
    }
}

/// The answer to a `SCAN`.
fn scanned(answer: Option<Value>) -> Result<(u64, Vec<Vec<u8>>), UpkeepError> {
    match answer {
        Some(Value::ServerError(error)) => Err(UpkeepError(describe(&error))),
        Some(answer) => from_redis_value(answer).map_err(|error| UpkeepError(error.to_string())),
        None => Err(UpkeepError("no answer to SCAN".to_owned())),
    }
}

fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Value(Value::Int(0)) => Outcome::Outdated,
        Reply::Value(_) => Outcome::Put,
        Reply::Refused(error) => {
            tracing::debug!(error = describe(error), "Redis has refused a copy");
            Outcome::Refused
        }
        Reply::None => Outcome::Refused,
    }
}

fn bytes(reply: Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::Value(Value::BulkString(bytes)) => Some(bytes),
        _ => None,
    }
}

fn answered(reply: Reply) -> Result<Value, UpkeepError> {
    match reply {
        Reply::Value(value) => Ok(value),
        Reply::Refused(error) => Err(UpkeepError(describe(&error))),
        Reply::None => Err(UpkeepError("no answer".to_owned())),
    }
}

/// Members of a sorted set with their scores.
fn scored(reply: Reply) -> Result<Vec<(String, f64)>, UpkeepError> {
    from_redis_value(answered(reply)?).map_err(|error| UpkeepError(error.to_string()))
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
