//! Clear: removes copies.

use millrace_cache::{DataKind, Tiers, upkeep::ClearedPage};

use crate::{error::UpkeepError, progress::Progress, report::ClearReport, request::Clear};

/// Players of one call.
const CHUNK: usize = 1_000;

/// Removes the copies of some players, or of all, from the local and the shared cache.
pub(crate) async fn clear(progress: &mut Progress<'_>, request: Clear) -> Result<ClearReport, UpkeepError> {
    clear_local(&progress.ctx.platform.cache, &request);
    match &request.player_ids {
        Some(_) => clear_players(progress, &request).await,
        None => clear_all(progress, request).await,
    }
}

async fn clear_players(progress: &mut Progress<'_>, request: &Clear) -> Result<ClearReport, UpkeepError> {
    let mut report = ClearReport::default();
    for players in request.player_ids.iter().flat_map(|players| players.chunks(CHUNK)) {
        if progress.is_over() {
            return Ok(report);
        }
        let page = progress.cache.clear_players(players, request.kind, progress.ctx.deadline).await;
        let Some(page) = progress.unless_cut_off(page, report.scanned > 0)? else { return Ok(report) };
        report.add(&page);
    }
    report.done = true;
    Ok(report)
}

async fn clear_all(progress: &mut Progress<'_>, request: Clear) -> Result<ClearReport, UpkeepError> {
    let mut report = ClearReport { cursor: request.cursor, ..ClearReport::default() };
    loop {
        if progress.is_over() {
            return Ok(report);
        }
        let page = progress.cache.clear(request.kind, report.cursor.as_ref(), progress.ctx.deadline).await;
        // Where it is cut off, the next run repeats the page: what is removed already stays so.
        let Some(page) = progress.unless_cut_off(page, report.scanned > 0)? else { return Ok(report) };
        report.add(&page);
        report.cursor = page.next;
        if report.cursor.is_none() {
            report.done = true;
            return Ok(report);
        }
    }
}

/// Removes copies from the local cache. It holds queues only, with and without progress.
pub(crate) fn clear_local(cache: &Tiers, request: &Clear) {
    if !matches!(request.kind, None | Some(DataKind::Queue | DataKind::Progress)) {
        return;
    }
    match &request.player_ids {
        Some(players) => players.iter().for_each(|player| cache.forget_local(player)),
        None => cache.clear_local(),
    }
}

impl ClearReport {
    fn add(&mut self, page: &ClearedPage) {
        self.scanned += page.scanned;
        self.cleared += page.cleared;
        self.failed += page.failed;
    }
}
