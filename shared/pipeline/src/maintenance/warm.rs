//! Warm: copies are put where there are none, of players whose queues are wanted soon.
//!
//! Those are the players with something due soon, by the sharded index, and those that changed lately, by
//! a list that whoever changes a queue keeps in the shared cache. Neither takes a scan.

use std::{collections::HashSet, sync::Arc};

use futures::{StreamExt, stream};
use millrace_domain::{PlayerId, codec::CachedQueue};
use millrace_store::{DUE_SHARDS, DuePage};

use millrace_cache::upkeep::PutOutcome;

use super::{
    error::MaintenanceError,
    maintained::{Skipped, Warmed},
    request::Warm,
    run::{Task, in_time},
};
use crate::{
    load::{Base, Wanted},
    service::Service,
    status::Failure,
};

/// Players of which it is asked at once who has a copy: some bytes each.
const SEEN_A_CALL: usize = 1_000;
/// Players read and put at once: what one call reads from the table.
pub(super) const CHUNK: usize = 100;

impl Service {
    pub(super) async fn warm(&self, warm: Warm, task: &mut Task<'_>) -> Result<Warmed, MaintenanceError> {
        let emergency = task.upkeep.read_emergency(task.deadline).await?;
        if emergency.is_some_and(|emergency| emergency.is_on(task.now)) {
            return Ok(Warmed { skipped: Some(Skipped::EmergencyMode), done: true, ..Warmed::default() });
        }
        let players: Vec<PlayerId> = match warm.player_ids {
            Some(players) => {
                // Whoever names them has bound them.
                let most = warm.max_players.unwrap_or(players.len());
                players.into_iter().filter(|player| self.cache.is_shared(player)).take(most).collect()
            }
            None => {
                let most = warm.max_players.unwrap_or(self.settings.warm_max_players);
                let within = warm.due_within.unwrap_or(self.settings.warm_due_within);
                let due = self.due_soon(task, within, most).await?;
                let active = task.upkeep.active_players(most, task.deadline).await?;
                let mut players = alternately(due, active);
                players.retain(|player| self.cache.is_shared(player));
                players.truncate(most);
                players
            }
        };
        let mut warmed = Warmed { players: players.len() as u64, ..Warmed::default() };
        let mut missing = Vec::new();
        for players in players.chunks(SEEN_A_CALL) {
            let seen = task.upkeep.observe(players, task.deadline).await?;
            for (player, seen) in players.iter().zip(seen) {
                if seen.kind.is_none() {
                    missing.push(player.clone());
                }
            }
        }
        warmed.cached = warmed.players - missing.len() as u64;
        task.figures.cache.redis += warmed.cached;
        task.figures.cache.misses += missing.len() as u64;
        for chunk in missing.chunks(CHUNK) {
            if task.is_over() || !self.fill(chunk, task, &mut warmed).await? {
                return Ok(warmed);
            }
        }
        warmed.done = true;
        Ok(warmed)
    }

    /// Players with something due until then, the earliest first.
    async fn due_soon(
        &self,
        task: &mut Task<'_>,
        within: std::time::Duration,
        most: usize,
    ) -> Result<Vec<PlayerId>, MaintenanceError> {
        let until = task.now + within;
        // Shards are about equally full; who is cut off here is thought of the next time.
        let limit = most.min(2 * most.div_ceil(usize::from(DUE_SHARDS)));
        let deadline = task.deadline;
        let calls = (0..DUE_SHARDS).map(|shard| {
            let store = Arc::clone(&self.store);
            async move { in_time(deadline, store.due(shard, until, None, limit)).await }
        });
        let calls: Vec<_> = calls.collect();
        let answers: Vec<Option<DuePage>> =
            stream::iter(calls).buffer_unordered(self.settings.concurrency).collect().await;
        task.figures.loads += u64::from(DUE_SHARDS);
        let (mut due, mut failed, mut reason) = (Vec::new(), 0, None);
        for answer in answers {
            match answer {
                Some(DuePage { queues: Ok(found), .. }) => due.extend(found),
                Some(DuePage { queues: Err(error), .. }) => {
                    failed += 1;
                    reason.get_or_insert_with(|| error.to_string());
                }
                None => failed += 1,
            }
        }
        if failed == DUE_SHARDS {
            let reason = reason.unwrap_or_else(|| Failure::deadline().detail.into_owned());
            return Err(MaintenanceError::StoreUnavailable { reason });
        }
        if failed > 0 {
            tracing::warn!(shards = failed, reason, "some shards of the due index could not be read");
        }
        due.sort_by_key(|due| due.due_at);
        due.truncate(most);
        Ok(due.into_iter().map(|due| due.player_id).collect())
    }

    /// Reads some players' queues from the table, and puts their copies. Whether that was done before the
    /// deadline.
    async fn fill(
        &self,
        players: &[PlayerId],
        task: &mut Task<'_>,
        warmed: &mut Warmed,
    ) -> Result<bool, MaintenanceError> {
        let Some(bases) = self.load_for_upkeep(players, task).await? else { return Ok(false) };
        let mut copies: Vec<Arc<CachedQueue>> = Vec::with_capacity(bases.len());
        let (mut unknown, mut failed) = (0, 0);
        for base in bases {
            match base {
                Ok(Base { cached: Some(copy), .. }) => copies.push(copy),
                Ok(_) => unknown += 1,
                Err(_) => failed += 1,
            }
        }
        let outcomes = task.upkeep.fill(&copies, None, task.now, task.deadline).await;
        let something_done = warmed.filled + warmed.cached > 0;
        let Some(outcomes) = task.unless_cut_short(outcomes, something_done)? else { return Ok(false) };
        warmed.unknown += unknown;
        warmed.failed += failed;
        for outcome in outcomes {
            match outcome {
                PutOutcome::Put => warmed.filled += 1,
                PutOutcome::Outdated => warmed.outdated += 1,
                PutOutcome::Refused => warmed.failed += 1,
            }
        }
        Ok(true)
    }

    /// Loads players from the table. Their progress between milestones is not asked for: a copy that does
    /// not claim to know it lives longer, and who wants it reads its row. None where time is over.
    ///
    /// # Errors
    /// Where none of them can be read for want of a store: to go on would not help it.
    pub(super) async fn load_for_upkeep(
        &self,
        players: &[PlayerId],
        task: &mut Task<'_>,
    ) -> Result<Option<Vec<Result<Base, Failure>>>, MaintenanceError> {
        let wanted: Vec<Wanted> =
            players.iter().map(|player| Wanted { player_id: player.clone(), progress: false }).collect();
        let (bases, _) = self.load_from_table(&wanted, &[], &[], task.now, task.deadline, task.figures).await;
        let failures: Vec<&Failure> = bases.iter().filter_map(|base| base.as_ref().err()).collect();
        let Some(first) = failures.first() else { return Ok(Some(bases)) };
        if failures.iter().any(|failure| failure.code == Failure::deadline().code) {
            return Ok(None);
        }
        if failures.len() == bases.len() && is_of_the_store(first) {
            return Err(MaintenanceError::StoreUnavailable { reason: first.detail.clone().into_owned() });
        }
        tracing::warn!(failed = failures.len(), reason = first.code, detail = %first.detail, "not loaded");
        Ok(Some(bases))
    }
}

/// Whether a failure is none of a single row's.
fn is_of_the_store(failure: &Failure) -> bool {
    !matches!(failure.code, "row_unreadable" | "row_too_large")
}

/// The players of both lists, one of each in turn, nobody twice.
fn alternately(due: Vec<PlayerId>, active: Vec<PlayerId>) -> Vec<PlayerId> {
    let mut seen = HashSet::new();
    let (mut due, mut active) = (due.into_iter(), active.into_iter());
    let mut players = Vec::new();
    loop {
        let next = [due.next(), active.next()];
        if next.iter().all(Option::is_none) {
            return players;
        }
        players.extend(next.into_iter().flatten().filter(|player| seen.insert(player.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_and_who_is_active_take_turns_and_nobody_comes_twice() {
        let players = |names: &[&str]| names.iter().map(|name| PlayerId::new(name).unwrap()).collect::<Vec<_>>();
        let both = alternately(players(&["a", "b", "c", "d"]), players(&["x", "a", "y"]));
        assert_eq!(both, players(&["a", "x", "b", "c", "y", "d"]));
        assert_eq!(alternately(Vec::new(), players(&["x", "y"])), players(&["x", "y"]));
        assert!(alternately(Vec::new(), Vec::new()).is_empty());
    }
}
