//! Clear: copies are taken away.

use millrace_cache::DataKind;

use super::{error::MaintenanceError, maintained::Cleared, request::Clear, run::Task};
use crate::service::Service;

/// Players of one call.
const PLAYERS_A_CALL: usize = 1_000;

impl Service {
    pub(super) async fn clear(&self, clear: Clear, task: &mut Task<'_>) -> Result<Cleared, MaintenanceError> {
        self.clear_local(&clear);
        let mut cleared = Cleared::default();
        if let Some(players) = &clear.player_ids {
            for players in players.chunks(PLAYERS_A_CALL) {
                if task.is_over() {
                    return Ok(cleared);
                }
                let page = task.upkeep.clear_players(players, clear.kind, task.deadline).await;
                let Some(page) = task.unless_cut_short(page, cleared.scanned > 0)? else { return Ok(cleared) };
                cleared.add(page.scanned, page.cleared, page.failed);
            }
            cleared.done = true;
            return Ok(cleared);
        }
        let mut cursor = clear.cursor;
        loop {
            if task.is_over() {
                cleared.cursor = cursor;
                return Ok(cleared);
            }
            let page = task.upkeep.clear(clear.kind, cursor.as_ref(), task.deadline).await;
            let Some(page) = task.unless_cut_short(page, cleared.scanned > 0)? else {
                // From where it began: what is cleared already is left alone.
                cleared.cursor = cursor;
                return Ok(cleared);
            };
            cleared.add(page.scanned, page.cleared, page.failed);
            cursor = page.next;
            if cursor.is_none() {
                cleared.done = true;
                return Ok(cleared);
            }
        }
    }

    /// Takes away what this process holds. What others hold is good for no longer than its freshness.
    pub(super) fn clear_local(&self, clear: &Clear) {
        if !matches!(clear.kind, None | Some(DataKind::Queue | DataKind::Progress)) {
            return;
        }
        match &clear.player_ids {
            Some(players) => players.iter().for_each(|player| self.cache.forget_local(player)),
            None => self.cache.clear_local(),
        }
    }
}

impl Cleared {
    fn add(&mut self, scanned: u64, cleared: u64, failed: u64) {
        self.scanned += scanned;
        self.cleared += cleared;
        self.failed += failed;
    }
}
