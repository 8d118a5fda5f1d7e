//! The upkeep of the Redis cache: scanning, filling, replacing and clearing copies, and server
//! statistics.
//!
//! Unlike the calls of [`SharedCache`](crate::SharedCache) these are started by an operator or a
//! schedule. They return errors, and they are made even while the circuit breaker is open.

use std::{collections::HashSet, sync::Arc, time::Duration};

use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use redis::{Cmd, FromRedisValue, Value, cmd, from_redis_value};
use tokio::time::Instant;

use super::{
    cache::{Core, RedisCache},
    command,
    housekeeping::ACTIVE_FOR,
    reply::{Reply, describe},
    scan::scan,
    scripts::millis,
    value,
};
use crate::{
    emergency::Emergency,
    kind::DataKind,
    upkeep::{
        ClearedPage, ObservedCopy, PlayersPage, PutOutcome, Replacement, ScanCursor, StatisticsSample, UpkeepError,
    },
};

/// How long a sample of statistics is stored.
const SAMPLES_FOR: Duration = Duration::from_secs(24 * 3_600);
/// The maximum number of stored samples.
const MAX_SAMPLES: i64 = 1_000;

/// The upkeep. Each call makes a bounded number of round trips until its deadline.
///
/// # Errors
/// [`UpkeepError`] with the reason, where the cache did not answer in time or refused.
impl RedisCache {
    /// Observes the copy of each player: one round trip.
    pub async fn observe(&self, players: &[PlayerId], deadline: Instant) -> Result<Vec<ObservedCopy>, UpkeepError> {
        let core = &self.core;
        let observations = players.iter().map(|player| command::observe(&core.queue_key(player)));
        let replies = core.upkeep_call(observations.collect(), deadline).await?;
        // A value of another type is foreign and counts as missing.
        let observed = |reply: Reply| {
            let head = reply.into_bytes().unwrap_or_default();
            ObservedCopy { kind: value::kind_of(&head), head }
        };
        Ok(replies.into_iter().map(observed).collect())
    }

    /// Puts each copy unless the cache has a newer one: one round trip. Their players do not count
    /// as active. Copies live for the time of their kind, and for at least `min_ttl` if one is
    /// given: so that warmed copies live until the next warm-up.
    pub async fn fill(
        &self,
        copies: &[Arc<CachedQueue>],
        min_ttl: Option<Duration>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<PutOutcome>, UpkeepError> {
        let core = &self.core;
        let puts = copies.iter().map(|copy| {
            command::put(
                &core.queue_key(&copy.queue.player_id),
                &core.value(copy),
                core.ttl_of_upkeep(copy, min_ttl, now),
            )
        });
        let replies = core.upkeep_call(puts.collect(), deadline).await?;
        Ok(replies.iter().map(outcome).collect())
    }

    /// Replaces each observed copy: one round trip. Copies live as with [`Self::fill`].
    pub async fn replace(
        &self,
        replacements: &[Replacement],
        min_ttl: Option<Duration>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<PutOutcome>, UpkeepError> {
        let core = &self.core;
        let replace = |Replacement { player_id, observed, copy }: &Replacement| {
            let (value, ttl) = match copy {
                Some(copy) => (core.value(copy), core.ttl_of_upkeep(copy, min_ttl, now)),
                None => (Vec::new(), Duration::ZERO),
            };
            command::replace(&core.queue_key(player_id), &observed.head, &value, ttl)
        };
        let replies = core.upkeep_call(replacements.iter().map(replace).collect(), deadline).await?;
        Ok(replies.iter().map(outcome).collect())
    }

    /// Some players with copies: one round trip, in a cluster two.
    pub async fn scan_players(
        &self,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<PlayersPage, UpkeepError> {
        let prefix = self.core.key_prefix(DataKind::Queue);
        let (keys, next) = scan(&self.core, &prefix, cursor, deadline).await?;
        let mut known = HashSet::new();
        let player = |key: Vec<u8>| PlayerId::new(std::str::from_utf8(key.strip_prefix(prefix.as_bytes())?).ok()?).ok();
        let players = keys.into_iter().filter_map(player).filter(|player| known.insert(player.clone())).collect();
        Ok(PlayersPage { players, next })
    }

    /// Removes some copies, of all kinds or one: two round trips, in a cluster three. A removed
    /// copy of a queue leaves a tombstone with its version, so that no older copy comes back.
    pub async fn clear(
        &self,
        kind: Option<DataKind>,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let core = &self.core;
        let prefix = kind.map_or_else(|| core.settings.key_prefix.clone(), |kind| core.key_prefix(kind));
        let (keys, next) = scan(core, &prefix, cursor, deadline).await?;
        let spaces = [DataKind::Queue, DataKind::Frequent].map(|space| (space, core.key_prefix(space)));
        let mut page = ClearedPage { next, ..ClearedPage::default() };
        let mut commands = Vec::with_capacity(keys.len());
        for key in keys {
            // The keys of the housekeeping have the prefix too, but are no copies.
            let Some((space, _)) = spaces.iter().find(|(_, prefix)| key.starts_with(prefix.as_bytes())) else {
                continue;
            };
            page.scanned += 1;
            match String::from_utf8(key) {
                Ok(key) => commands.push(core.clear(&key, *space, kind)),
                Err(_) => page.failed += 1,
            }
        }
        page.add(core.upkeep_call(commands, deadline).await?);
        Ok(page)
    }

    /// Removes the copies of players, of all kinds or one: one round trip.
    pub async fn clear_players(
        &self,
        players: &[PlayerId],
        kind: Option<DataKind>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let core = &self.core;
        let spaces: &[DataKind] = match kind {
            None => &[DataKind::Queue, DataKind::Frequent],
            Some(DataKind::Queue | DataKind::Progress | DataKind::Stats) => &[DataKind::Queue],
            Some(DataKind::Frequent) => &[DataKind::Frequent],
        };
        let mut commands = Vec::with_capacity(players.len() * spaces.len());
        for player in players {
            commands.extend(spaces.iter().map(|space| core.clear(&core.key(*space, player), *space, kind)));
        }
        let mut page = ClearedPage { scanned: commands.len() as u64, ..ClearedPage::default() };
        page.add(core.upkeep_call(commands, deadline).await?);
        Ok(page)
    }

    /// Makes the copies of players live at least until `until`: one round trip. Returns how many
    /// live longer than before.
    pub async fn extend(
        &self,
        players: &[PlayerId],
        now: Timestamp,
        until: Timestamp,
        deadline: Instant,
    ) -> Result<u64, UpkeepError> {
        let core = &self.core;
        let left = Duration::from_millis(until.millis_since(now));
        let extend = |player| {
            // With jitter, so that not all copies expire when the table has just recovered.
            let ttl = left + core.jittered(core.settings.ttls[DataKind::Queue]);
            command::extend(&core.queue_key(player), ttl)
        };
        let replies = core.upkeep_call(players.iter().map(extend).collect(), deadline).await?;
        Ok(replies.iter().filter(|reply| matches!(reply, Reply::Value(Value::Int(1)))).count() as u64)
    }

    /// Players whose queues changed in the last hour, the latest first, at most `limit`: one round
    /// trip.
    pub async fn active_players(&self, limit: usize, deadline: Instant) -> Result<Vec<PlayerId>, UpkeepError> {
        let core = &self.core;
        let oldest = core.moment().wall.saturating_sub(ACTIVE_FOR);
        let range = latest(&core.client.housekeeping.keys().active, millis(oldest), limit);
        let active: Vec<(String, f64)> = core.upkeep_read(range, deadline).await?;
        Ok(active.into_iter().filter_map(|(player, _)| PlayerId::new(&player).ok()).collect())
    }

    /// Switches emergency mode for all processes: one round trip.
    pub async fn switch_emergency(&self, emergency: Emergency, deadline: Instant) -> Result<(), UpkeepError> {
        let core = &self.core;
        let ttl = Duration::from_millis(emergency.until.millis_since(emergency.switched_at));
        let key = &core.client.housekeeping.keys().emergency;
        let set = command::set(key, emergency.to_string().as_bytes(), ttl);
        let () = core.upkeep_read(set, deadline).await?;
        core.client.housekeeping.take_switch(emergency);
        Ok(())
    }

    /// The last switch of emergency mode, unless it has expired: one round trip.
    pub async fn read_emergency(&self, deadline: Instant) -> Result<Option<Emergency>, UpkeepError> {
        let housekeeping = &self.core.client.housekeeping;
        for reply in self.core.upkeep_call(vec![housekeeping.read_emergency()], deadline).await? {
            if let Some(text) = reply.into_bytes() {
                housekeeping.take_flag(&text);
            }
        }
        Ok(housekeeping.emergency())
    }

    /// Stores a sample of statistics: one round trip. Samples older than 24 hours, and all but the
    /// last 1,000, are dropped.
    pub async fn store_sample(&self, sample: &StatisticsSample, deadline: Instant) -> Result<(), UpkeepError> {
        let key = &self.core.client.housekeeping.keys().samples;
        let at = sample.at.as_millis();
        let [mut add, mut drop_old, mut drop_excess, mut expire] =
            ["ZADD", "ZREMRANGEBYSCORE", "ZREMRANGEBYRANK", "PEXPIRE"].map(cmd);
        add.arg(key).arg(at).arg(&sample.text);
        drop_old.arg(key).arg("-inf").arg(at.saturating_sub(millis(SAMPLES_FOR)));
        drop_excess.arg(key).arg(0).arg(-MAX_SAMPLES - 1);
        expire.arg(key).arg(millis(SAMPLES_FOR));
        values(self.core.upkeep_call(vec![add, drop_old, drop_excess, expire], deadline).await?)?;
        Ok(())
    }

    /// The stored samples since a time, the latest first, at most `limit`: one round trip.
    pub async fn read_samples(
        &self,
        since: Timestamp,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<StatisticsSample>, UpkeepError> {
        let range = latest(&self.core.client.housekeeping.keys().samples, since.as_millis(), limit);
        let samples: Vec<(String, f64)> = self.core.upkeep_read(range, deadline).await?;
        let sample = |(text, at)| StatisticsSample { at: Timestamp::from_millis(at as u64), text };
        Ok(samples.into_iter().map(sample).collect())
    }
}

impl Core {
    /// Sends one command and reads its answer.
    async fn upkeep_read<T: FromRedisValue>(&self, command: Cmd, deadline: Instant) -> Result<T, UpkeepError> {
        let value = values(self.upkeep_call(vec![command], deadline).await?)?.pop().unwrap_or(Value::Nil);
        from_redis_value(value).map_err(|error| UpkeepError(error.to_string()))
    }

    /// How long a copy lives that the upkeep puts.
    fn ttl_of_upkeep(&self, copy: &CachedQueue, min_ttl: Option<Duration>, now: Timestamp) -> Duration {
        self.ttl(DataKind::of(copy), now).max(min_ttl.unwrap_or_default())
    }

    /// The command that clears a key of a key space, where only copies of `kind` are to go.
    fn clear(&self, key: &str, space: DataKind, kind: Option<DataKind>) -> Cmd {
        match space {
            DataKind::Frequent => command::unlink(key),
            _ => command::clear(key, kind, self.settings.tombstone_ttl),
        }
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

fn outcome(reply: &Reply) -> PutOutcome {
    match reply {
        Reply::Value(Value::Int(0)) => PutOutcome::Outdated,
        Reply::Value(_) => PutOutcome::Put,
        Reply::Refused(error) => {
            tracing::debug!(error = describe(error), "Redis refused a copy");
            PutOutcome::Refused
        }
        Reply::Missing => PutOutcome::Refused,
    }
}

/// Reads the members of a sorted set with a score of at least `min`, the highest first.
fn latest(key: &str, min: u64, limit: usize) -> Cmd {
    let mut range = cmd("ZREVRANGEBYSCORE");
    range.arg(key).arg("+inf").arg(min).arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
    range
}

/// The values of replies, if all have one.
fn values(replies: Vec<Reply>) -> Result<Vec<Value>, UpkeepError> {
    let value = |reply| match reply {
        Reply::Value(value) => Ok(value),
        Reply::Refused(error) => Err(UpkeepError(describe(&error))),
        Reply::Missing => Err(UpkeepError("no answer".to_owned())),
    };
    replies.into_iter().map(value).collect()
}
