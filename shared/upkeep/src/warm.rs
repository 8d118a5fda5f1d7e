//! Warm: puts copies where there are none, of players whose queues will be read soon.
//!
//! These are the players with something due soon, by the due index, and the players that changed
//! lately, by a list in the shared cache that every commit updates. Neither takes a scan.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use millrace_cache::upkeep::PutOutcome;
use millrace_domain::{PlayerId, codec::CachedQueue};
use millrace_pipeline::Failure;
use millrace_store::{DUE_SHARDS, DuePage};
use tokio::time::timeout_at;

use crate::{
    error::UpkeepError,
    loading::{CHUNK, load_queues},
    progress::Progress,
    report::{SkipReason, WarmReport},
    request::Warm,
};

/// Players whose copies are looked for in one call.
const OBSERVED_PER_CALL: usize = 1_000;
/// How much longer than until the next warm-up a warmed copy lives: a schedule may be late.
const WARM_SLACK: Duration = Duration::from_secs(120);

/// Warms the players that the request names, or those whose queues will be read soon.
pub(crate) async fn warm(progress: &mut Progress<'_>, request: Warm) -> Result<WarmReport, UpkeepError> {
    let (now, deadline) = (progress.ctx.now, progress.ctx.deadline);
    let emergency = progress.cache.read_emergency(deadline).await?;
    if emergency.is_some_and(|emergency| emergency.is_on(now)) {
        let skipped = Some(SkipReason::EmergencyMode);
        return Ok(WarmReport { skipped, done: true, ..WarmReport::default() });
    }
    let players = players_to_warm(progress, request).await?;
    let mut report = WarmReport { players: players.len() as u64, ..WarmReport::default() };
    let mut missing = Vec::new();
    for players in players.chunks(OBSERVED_PER_CALL) {
        let observed = progress.cache.observe(players, deadline).await?;
        let without_copy = players.iter().zip(observed).filter(|(_, observed)| observed.kind.is_none());
        missing.extend(without_copy.map(|(player, _)| player.clone()));
    }
    report.cached = report.players - missing.len() as u64;
    progress.counters.cache.redis.queue += report.cached;
    progress.counters.cache.misses += missing.len() as u64;
    for chunk in missing.chunks(CHUNK) {
        if progress.is_over() || !fill(progress, chunk, &mut report).await? {
            return Ok(report);
        }
    }
    report.done = true;
    Ok(report)
}

async fn players_to_warm(progress: &mut Progress<'_>, request: Warm) -> Result<Vec<PlayerId>, UpkeepError> {
    let cache = &progress.ctx.platform.cache;
    let (mut players, max) = match request.player_ids {
        // The request bounds their number.
        Some(players) => {
            let max = request.max_players.unwrap_or(players.len());
            (players, max)
        }
        None => {
            let max = request.max_players.unwrap_or(progress.settings.warm_max_players);
            let within = request.due_within.unwrap_or(progress.settings.warm_interval);
            let due = due_soon(progress, within, max).await?;
            let active = progress.cache.active_players(max, progress.ctx.deadline).await?;
            (interleave(&due, &active), max)
        }
    };
    players.retain(|player| cache.is_shared(player));
    players.truncate(max);
    Ok(players)
}

/// Players with something due within this time, the earliest first.
async fn due_soon(progress: &mut Progress<'_>, within: Duration, max: usize) -> Result<Vec<PlayerId>, UpkeepError> {
    let (platform, deadline) = (progress.ctx.platform, progress.ctx.deadline);
    let until = progress.ctx.now + within;
    // Shards are about equally full. What this limit cuts off is warmed the next time.
    let limit = max.min(2 * max.div_ceil(usize::from(DUE_SHARDS)));
    let calls: Vec<_> =
        (0..DUE_SHARDS).map(|shard| timeout_at(deadline, platform.store.due(shard, until, None, limit))).collect();
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(platform.settings.concurrency).collect().await;
    progress.counters.loads.calls += u64::from(DUE_SHARDS);
    let (mut due, mut failed, mut reason) = (Vec::new(), 0, None);
    for answer in answers {
        match answer {
            Ok(DuePage { queues: Ok(found), .. }) => due.extend(found),
            Ok(DuePage { queues: Err(error), .. }) => {
                failed += 1;
                reason.get_or_insert_with(|| error.to_string());
            }
            Err(_) => failed += 1,
        }
    }
    if failed == DUE_SHARDS {
        let reason = reason.unwrap_or_else(|| Failure::deadline().detail.into_owned());
        return Err(UpkeepError::StoreUnavailable { reason });
    }
    if failed > 0 {
        tracing::warn!(shards = failed, reason, "some shards of the due index could not be read");
    }
    due.sort_by_key(|due| due.due_at);
    due.truncate(max);
    Ok(due.into_iter().map(|due| due.player_id).collect())
}

/// Reads queues from the table, and puts their copies. Returns whether that was done before the
/// deadline.
async fn fill(progress: &mut Progress<'_>, players: &[PlayerId], report: &mut WarmReport) -> Result<bool, UpkeepError> {
    let Some(queues) = load_queues(progress, players).await? else { return Ok(false) };
    let mut copies: Vec<Arc<CachedQueue>> = Vec::with_capacity(queues.len());
    let (mut unknown, mut failed) = (0, 0);
    for loaded in queues {
        match loaded.map(|loaded| loaded.queue) {
            Ok(Some(copy)) => copies.push(copy),
            Ok(None) => unknown += 1,
            Err(_) => failed += 1,
        }
    }
    let min_ttl = progress.settings.warm_interval + WARM_SLACK;
    let outcomes = progress.cache.fill(&copies, Some(min_ttl), progress.ctx.now, progress.ctx.deadline).await;
    let something_done = report.filled + report.cached > 0;
    let Some(outcomes) = progress.unless_cut_off(outcomes, something_done)? else { return Ok(false) };
    report.unknown += unknown;
    report.failed += failed;
    for outcome in outcomes {
        match outcome {
            PutOutcome::Put => report.filled += 1,
            PutOutcome::Outdated => report.outdated += 1,
            PutOutcome::Refused => report.failed += 1,
        }
    }
    Ok(true)
}

/// The players of both lists, taken in turn, each once.
fn interleave(due: &[PlayerId], active: &[PlayerId]) -> Vec<PlayerId> {
    let mut seen = HashSet::new();
    let turns = (0..due.len().max(active.len())).flat_map(|turn| [due.get(turn), active.get(turn)]);
    turns.flatten().filter(|player| seen.insert(*player)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_and_active_players_take_turns_and_come_once() {
        let players = |names: &[&str]| names.iter().map(|name| PlayerId::new(name).unwrap()).collect::<Vec<_>>();
        let both = interleave(&players(&["a", "b", "c", "d"]), &players(&["x", "a", "y"]));
        assert_eq!(both, players(&["a", "x", "b", "c", "y", "d"]));
        assert_eq!(interleave(&[], &players(&["x", "y"])), players(&["x", "y"]));
        assert!(interleave(&[], &[]).is_empty());
    }
}
