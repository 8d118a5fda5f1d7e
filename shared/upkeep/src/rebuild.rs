//! Rebuild: makes copies again from the table, whatever they are.
//!
//! A copy that is newer than the row is wrong: it was made before the table was restored. But a
//! copy that was put while the table was read may be newer rightly. So the copy is observed first,
//! then the table is read, strongly consistent, and then the new copy replaces what was observed,
//! or what is older. A copy that came in between came from a commit, and stays.

use millrace_cache::{
    ScanCursor,
    upkeep::{ObservedCopy, PlayersPage, PutOutcome, Replacement},
};
use millrace_domain::PlayerId;
use millrace_pipeline::{
    Failure,
    loaded_queue::LoadedQueue,
    rows::{RowRequest, read_rows},
};

use crate::{
    error::UpkeepError,
    loading::{CHUNK, load_queues},
    progress::Progress,
    report::RebuildReport,
    request::Rebuild,
};

/// Which players of a list are rebuilt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All of them.
    All,
    /// Those that have a copy.
    WithCopy,
}

/// Rebuilds the copies of some players, or all copies.
pub(crate) async fn rebuild(progress: &mut Progress<'_>, request: Rebuild) -> Result<RebuildReport, UpkeepError> {
    let emergency = progress.cache.read_emergency(progress.ctx.deadline).await?;
    if let Some(emergency) = emergency.filter(|emergency| emergency.is_on(progress.ctx.now)) {
        return Err(UpkeepError::EmergencyMode { until: emergency.until });
    }
    let mut report = RebuildReport::default();
    match request.player_ids {
        Some(players) => report.done = rebuild_players(progress, &players, Scope::All, &mut report).await?,
        None => rebuild_all(progress, request.cursor, &mut report).await?,
    }
    Ok(report)
}

async fn rebuild_all(
    progress: &mut Progress<'_>,
    mut cursor: Option<ScanCursor>,
    report: &mut RebuildReport,
) -> Result<(), UpkeepError> {
    loop {
        report.cursor = cursor.clone();
        if progress.is_over() {
            return Ok(());
        }
        let page = progress.cache.scan_players(cursor.as_ref(), progress.ctx.deadline).await;
        let Some(PlayersPage { players, next }) = progress.unless_cut_off(page, report.players > 0)? else {
            return Ok(());
        };
        if !rebuild_players(progress, &players, Scope::WithCopy, report).await? {
            // The next run repeats the page: to make a copy twice does no harm.
            report.cursor = cursor.or(Some(ScanCursor { node: None, position: 0 }));
            return Ok(());
        }
        cursor = next;
        if cursor.is_none() {
            report.cursor = None;
            report.done = true;
            return Ok(());
        }
    }
}

/// Rebuilds some players. Returns whether that was done before the deadline.
async fn rebuild_players(
    progress: &mut Progress<'_>,
    players: &[PlayerId],
    scope: Scope,
    report: &mut RebuildReport,
) -> Result<bool, UpkeepError> {
    let cache = &progress.ctx.platform.cache;
    let players: Vec<PlayerId> = players.iter().filter(|player| cache.is_shared(player)).cloned().collect();
    for chunk in players.chunks(CHUNK) {
        if progress.is_over() || !rebuild_chunk(progress, chunk, scope, report).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn rebuild_chunk(
    progress: &mut Progress<'_>,
    players: &[PlayerId],
    scope: Scope,
    report: &mut RebuildReport,
) -> Result<bool, UpkeepError> {
    players.iter().for_each(|player| progress.ctx.platform.cache.forget_local(player));
    let something_done = report.players > 0;
    let observed = progress.cache.observe(players, progress.ctx.deadline).await;
    let Some(observed) = progress.unless_cut_off(observed, something_done)? else { return Ok(false) };
    let in_scope =
        players.iter().cloned().zip(observed).filter(|(_, observed)| scope == Scope::All || observed.kind.is_some());
    let (players, observed): (Vec<PlayerId>, Vec<ObservedCopy>) = in_scope.unzip();
    if players.is_empty() {
        return Ok(true);
    }
    let Some(mut queues) = load_queues(progress, &players).await? else { return Ok(false) };
    add_progress(progress, &players, &mut queues).await;
    let (count, mut failed) = (players.len() as u64, 0);
    let mut replacements = Vec::with_capacity(players.len());
    for ((player_id, observed), loaded) in players.into_iter().zip(observed).zip(queues) {
        match loaded {
            Ok(loaded) => replacements.push(Replacement { player_id, observed, copy: loaded.queue }),
            Err(_) => failed += 1,
        }
    }
    let outcomes = progress.cache.replace(&replacements, None, progress.ctx.now, progress.ctx.deadline).await;
    let Some(outcomes) = progress.unless_cut_off(outcomes, something_done)? else { return Ok(false) };
    report.players += count;
    report.failed += failed;
    for (replacement, outcome) in replacements.iter().zip(outcomes) {
        match (outcome, &replacement.copy) {
            (PutOutcome::Put, Some(_)) => report.rebuilt += 1,
            (PutOutcome::Put, None) => report.removed += u64::from(replacement.observed.kind.is_some()),
            (PutOutcome::Outdated, _) => report.outdated += 1,
            (PutOutcome::Refused, _) => report.failed += 1,
        }
    }
    Ok(true)
}

/// Adds the progress of progress rows, where the copies would not know it.
async fn add_progress(progress: &mut Progress<'_>, players: &[PlayerId], queues: &mut [Result<LoadedQueue, Failure>]) {
    let (mut places, mut requests) = (Vec::new(), Vec::new());
    for (place, (player_id, queue)) in players.iter().zip(queues.iter()).enumerate() {
        if let Ok(loaded) = queue
            && loaded.lacks_progress()
        {
            places.push(place);
            requests.push(RowRequest::progress(player_id.clone(), loaded.clone()));
        }
    }
    let results = read_rows(progress.ctx, requests, progress.counters).await;
    for (place, result) in places.into_iter().zip(results) {
        // Without it, the copy says that it does not know the progress, which is right too.
        if result.is_ok() {
            queues[place] = result;
        }
    }
}
