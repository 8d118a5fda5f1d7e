//! Rebuild: copies are made anew from the table, whatever they were.
//!
//! A copy that claims to be newer than the table is wrong: it was made before the table was restored, or
//! by somebody else. But a copy that was put while the table was read may be newer rightly. So what is held is
//! looked at first, then the table is read, strongly consistent, and then the copy takes the place of
//! what was seen, or of what is older. Whatever came in between came from a commit, and stays.

use millrace_cache::{
    ScanCursor,
    upkeep::{ObservedCopy, PlayersPage, PutOutcome, Replacement},
};
use millrace_domain::PlayerId;

use super::{error::MaintenanceError, maintained::Rebuilt, request::Rebuild, run::Task, warm::CHUNK};
use crate::{
    load::{Base, Wanted},
    service::Service,
    status::Failure,
};

impl Service {
    pub(super) async fn rebuild(&self, rebuild: Rebuild, task: &mut Task<'_>) -> Result<Rebuilt, MaintenanceError> {
        if let Some(emergency) =
            task.upkeep.read_emergency(task.deadline).await?.filter(|emergency| emergency.is_on(task.now))
        {
            return Err(MaintenanceError::EmergencyMode { until: emergency.until });
        }
        let mut rebuilt = Rebuilt::default();
        if let Some(players) = rebuild.player_ids {
            rebuilt.done = self.rebuild_players(&players, true, task, &mut rebuilt).await?;
            return Ok(rebuilt);
        }
        let mut cursor = rebuild.cursor;
        loop {
            if task.is_over() {
                rebuilt.cursor = cursor;
                return Ok(rebuilt);
            }
            let page = task.upkeep.scan_players(cursor.as_ref(), task.deadline).await;
            let Some(PlayersPage { players, next }) = task.unless_cut_short(page, rebuilt.players > 0)? else {
                rebuilt.cursor = cursor;
                return Ok(rebuilt);
            };
            if !self.rebuild_players(&players, false, task, &mut rebuilt).await? {
                // From the beginning of this page: to make a copy anew twice does no harm.
                rebuilt.cursor = cursor.or(Some(ScanCursor { node: None, position: 0 }));
                return Ok(rebuilt);
            }
            cursor = next;
            if cursor.is_none() {
                rebuilt.done = true;
                return Ok(rebuilt);
            }
        }
    }

    /// Whether all of them were done before the deadline. With `all`, those too that have no copy.
    async fn rebuild_players(
        &self,
        players: &[PlayerId],
        all: bool,
        task: &mut Task<'_>,
        rebuilt: &mut Rebuilt,
    ) -> Result<bool, MaintenanceError> {
        let players: Vec<PlayerId> = players.iter().filter(|player| self.cache.is_shared(player)).cloned().collect();
        for chunk in players.chunks(CHUNK) {
            if task.is_over() || !self.rebuild_chunk(chunk, all, task, rebuilt).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same for as many as one call reads from the table.
    async fn rebuild_chunk(
        &self,
        players: &[PlayerId],
        all: bool,
        task: &mut Task<'_>,
        rebuilt: &mut Rebuilt,
    ) -> Result<bool, MaintenanceError> {
        players.iter().for_each(|player| self.cache.forget_local(player));
        let something_done = rebuilt.players > 0;
        let seen = task.upkeep.observe(players, task.deadline).await;
        let Some(seen) = task.unless_cut_short(seen, something_done)? else { return Ok(false) };
        let wanted = players.iter().cloned().zip(seen).filter(|(_, seen)| all || seen.kind.is_some());
        let (players, seen): (Vec<PlayerId>, Vec<ObservedCopy>) = wanted.unzip();
        if players.is_empty() {
            return Ok(true);
        }
        let Some(mut bases) = self.load_for_upkeep(&players, task).await? else { return Ok(false) };
        self.add_progress(&players, &mut bases, task).await;
        let (count, mut failed) = (players.len() as u64, 0);
        let mut replacements = Vec::with_capacity(players.len());
        for ((player, seen), base) in players.iter().zip(seen).zip(bases) {
            match base {
                Ok(base) => {
                    replacements.push(Replacement { player_id: player.clone(), observed: seen, copy: base.cached });
                }
                Err(_) => failed += 1,
            }
        }
        let outcomes = task.upkeep.replace(&replacements, None, task.now, task.deadline).await;
        let Some(outcomes) = task.unless_cut_short(outcomes, something_done)? else { return Ok(false) };
        rebuilt.players += count;
        rebuilt.failed += failed;
        for (replacement, outcome) in replacements.iter().zip(outcomes) {
            match (outcome, &replacement.copy) {
                (PutOutcome::Put, Some(_)) => rebuilt.rebuilt += 1,
                (PutOutcome::Put, None) => rebuilt.removed += u64::from(replacement.observed.kind.is_some()),
                (PutOutcome::Outdated, _) => rebuilt.outdated += 1,
                (PutOutcome::Refused, _) => rebuilt.failed += 1,
            }
        }
        Ok(true)
    }

    /// Adds progress between milestones, where there may be some: a copy that knew it is not to be
    /// replaced by one that knows less.
    async fn add_progress(&self, players: &[PlayerId], bases: &mut [Result<Base, Failure>], task: &mut Task<'_>) {
        let is_partial = |base: &Result<Base, Failure>| {
            base.as_ref().is_ok_and(|base| base.cached.as_ref().is_some_and(|cached| !cached.progress_known))
        };
        let partial: Vec<usize> = (0..bases.len()).filter(|at| is_partial(&bases[*at])).collect();
        if partial.is_empty() {
            return;
        }
        let all: Vec<Wanted> =
            players.iter().map(|player| Wanted { player_id: player.clone(), progress: true }).collect();
        let (_, progress) = self.load_from_table(&[], &partial, &all, task.now, task.deadline, task.figures).await;
        for (at, progress) in partial.into_iter().zip(progress) {
            // A copy that does not claim to know it is right all the same.
            let Ok(progress) = progress else { continue };
            if let Ok(base) = &mut bases[at] {
                let known = Base { cached: base.cached.take(), ..base.clone() };
                *base = known.with_progress(progress.as_ref());
            }
        }
    }
}
