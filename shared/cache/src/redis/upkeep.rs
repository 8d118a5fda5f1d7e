//! What is done beside serving: looking through the keys, filling, clearing, the flag, the history.
//!
//! Nothing here is quick or happens often, so it waits longer for Redis than a call that serves, and is
//! tried whatever the breaker says. Keys are found with `SCAN`, some at a time and node by node.

mod figures;
mod walk;

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use redis::{Value, cmd, from_redis_value};
use tokio::time::Instant;

use super::{
    RedisTier,
    command::Command,
    companions::ACTIVE_FOR,
    verdict::{Reply, describe},
};
use crate::{
    emergency::Emergency,
    kind::DataKind,
    upkeep::{
        ClearedPage, Kept, ObservedCopy, Outcome, PlayersPage, Replacement, ScanCursor, ServerFigures, Upkeep,
        UpkeepError,
    },
};

/// How long a figure is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Most figures kept.
const MAX_KEPT: i64 = 1_000;

#[async_trait]
impl Upkeep for RedisTier {
    async fn seen(&self, players: &[PlayerId], deadline: Instant) -> Result<Vec<ObservedCopy>, UpkeepError> {
        let shared = &self.shared;
        let look = |player| Command::look(shared.key(player));
        let replies = shared.upkeep_call(players.iter().map(look).collect(), deadline).await?;
        // What has another type is not ours; it is seen as if there were nothing.
        Ok(replies.into_iter().map(|reply| ObservedCopy(bytes(reply).unwrap_or_default())).collect())
    }

    async fn fill(
        &self,
        copies: &[Arc<CachedQueue>],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, UpkeepError> {
        let shared = &self.shared;
        let fill = |copy: &Arc<CachedQueue>| {
            Command::fill(shared.key(&copy.queue.player_id), &shared.value(copy), shared.ttl(DataKind::of(copy), now))
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
                Some(copy) => (shared.value(copy), shared.ttl(DataKind::of(copy), now)),
                None => (Vec::new(), Duration::ZERO),
            };
            Command::replace(shared.key(player_id), &seen.0, &value, ttl)
        };
        let replies = shared.upkeep_call(replacements.iter().map(replace).collect(), deadline).await?;
        Ok(replies.iter().map(outcome).collect())
    }

    async fn players(&self, cursor: Option<&ScanCursor>, deadline: Instant) -> Result<PlayersPage, UpkeepError> {
        let space = self.shared.space(DataKind::Queue);
        let (keys, next) = self.shared.scan(&space, cursor, deadline).await?;
        let mut known = HashSet::new();
        let player = |key: Vec<u8>| PlayerId::new(std::str::from_utf8(key.strip_prefix(space.as_bytes())?).ok()?).ok();
        let players = keys.into_iter().filter_map(player).filter(|player| known.insert(player.clone())).collect();
        Ok(PlayersPage { players, next })
    }

    async fn clear(
        &self,
        kind: Option<DataKind>,
        cursor: Option<&ScanCursor>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let shared = &self.shared;
        let prefix = kind.map_or_else(|| shared.settings.key_prefix.clone(), |kind| shared.space(kind));
        let (keys, next) = shared.scan(&prefix, cursor, deadline).await?;
        let spaces = DataKind::ALL.map(|kind| (kind, shared.space(kind)));
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
        kind: Option<DataKind>,
        deadline: Instant,
    ) -> Result<ClearedPage, UpkeepError> {
        let shared = &self.shared;
        let spaces: &[DataKind] = match kind {
            None => &[DataKind::Queue, DataKind::Stats, DataKind::Frequent],
            Some(DataKind::Queue | DataKind::Progress) => &[DataKind::Queue],
            Some(DataKind::Stats) => &[DataKind::Stats],
            Some(DataKind::Frequent) => &[DataKind::Frequent],
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
            let ttl = left + shared.jittered(shared.settings.ttls[DataKind::Queue]);
            Command::extend(shared.key(player), ttl)
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
            Command::other(key, range)
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
            Command::other(key, set)
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
        let commands = tags
            .into_iter()
            .map(|tag| Command::other(companions.emergency_key(tag), companions.ask_for_emergency(tag)));
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

    async fn reports(&self, limit: usize, deadline: Instant) -> Result<Vec<String>, UpkeepError> {
        let shared = &self.shared;
        let tags =
            shared.client.tags(shared.upkeep_deadline(0, deadline)).await.map_err(|f| shared.failed_upkeep(f))?;
        let commands = tags.into_iter().map(|tag| {
            let key = shared.client.companions.reports_key(tag);
            let mut range = cmd("LRANGE");
            range.arg(&key).arg(0).arg(limit.saturating_sub(1));
            Command::other(key, range)
        });
        let mut reports = Vec::new();
        for reply in shared.upkeep_call(commands.collect(), deadline).await? {
            let some: Vec<String> =
                from_redis_value(answered(reply)?).map_err(|error| UpkeepError(error.to_string()))?;
            reports.extend(some);
        }
        Ok(reports)
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
