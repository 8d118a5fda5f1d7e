//! Advances what is due through the pipeline, where there is no queue for ticks.
//!
//! Nobody delivers again what a crash cuts short here, so a commit leaves its queue in the index of what is
//! due until its records are written; then a second write takes it out (`settle`).

use std::sync::Arc;

use futures::{StreamExt, stream};
use millrace_domain::codec;
use millrace_store::{CommitError, Due, QueueWrite, StoreError};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{AdvanceReport, Mode},
    due::DueQueues,
};
use crate::{
    decode::{Decoded, Item, MessageInfo, Source, Task},
    group::group,
    player::{Fresh, Player},
    report::Figures,
    service::{Invocation, Service},
    status::Status,
};

/// Queues advanced at once, at most: what bounds the memory of a run.
const MOST_AT_ONCE: usize = 500;
/// Queues advanced at once in the beginning, doubled each time: however slow the store and short the time,
/// a run finishes some.
const FEWEST_AT_ONCE: usize = 50;

impl Service {
    /// Advances all that `due` holds, oldest first; also how many players that were.
    pub(super) async fn advance_due(
        &self,
        due: &mut DueQueues<'_>,
        invocation: &Invocation,
        deadline: Instant,
        figures: &mut Figures,
    ) -> (AdvanceReport, u64) {
        let mut report = AdvanceReport::new(Mode::Direct, due.until());
        let (mut players, mut at_once) = (0, FEWEST_AT_ONCE);
        while Instant::now() < deadline {
            let found = due.take(at_once).await;
            at_once = (2 * at_once).min(MOST_AT_ONCE);
            let (Some(first), Some(last)) = (found.first(), found.last()) else { break };
            let begun = first.due_at;
            report.due += found.len() as u64;
            report.up_to = last.due_at;
            players += self.advance_some(found, invocation, deadline, figures, &mut report).await;
            if report.stopped {
                report.up_to = begun;
                break;
            }
        }
        report.stopped |= due.is_cut();
        (report, players)
    }

    async fn advance_some(
        &self,
        due: Vec<Due>,
        invocation: &Invocation,
        deadline: Instant,
        figures: &mut Figures,
        report: &mut AdvanceReport,
    ) -> u64 {
        let now = self.clock.now();
        let item = |due: Due| Item { message: 0, task: Task::Tick(due.player_id) };
        let decoded = Decoded {
            source: Source::Direct,
            messages: vec![MessageInfo { id: invocation.request_id.clone(), fifo_group: None }],
            items: due.into_iter().map(item).collect(),
            refused: Vec::new(),
        };
        let mut statuses = vec![Status::Open; decoded.items.len()];
        let mut players: Vec<Player> = group(&decoded.items).into_iter().map(Player::new).collect();
        let mut first = true;
        while first || players.iter().any(Player::is_open) {
            self.round(&decoded, &mut players, &mut statuses, &mut [], first, now, deadline, figures).await;
            first = false;
        }
        for (item, status) in decoded.items.iter().zip(&statuses) {
            match status {
                Status::Failed(failure) if failure.code == "deadline" => report.stopped = true,
                Status::Failed(failure) => {
                    let player_id = item.task.player_id().as_str();
                    tracing::warn!(player_id, reason = failure.code, detail = %failure.detail, "not advanced");
                    report.failed += 1;
                }
                Status::Open => report.stopped = true,
                _ => report.ticks += 1,
            }
        }
        report.settled += self.settle(&mut players, deadline, figures).await;
        // Found with nothing due, but not taken out of the index: that is left to the next run.
        let undone = players.iter().filter(|player| player.outdated && !player.failed && !player.committed).count();
        report.ticks -= undone as u64;
        report.failed += undone as u64;
        self.refresh(&mut players, now, deadline, figures).await;
        players.len() as u64
    }

    /// Takes queues with nothing due out of the index, or to their next moment, once their records are
    /// written. Returns how many. One that this fails for is still in the index, and the next run does it.
    async fn settle(&self, players: &mut [Player], deadline: Instant, figures: &mut Figures) -> u64 {
        let rules = self.settings.rules;
        let mut open: Vec<(&mut Player, QueueWrite)> = Vec::new();
        for player in players.iter_mut().filter(|player| player.unsettled && !player.failed) {
            let Some(Fresh { held, everywhere }) = &mut player.fresh else { continue };
            let queue = &mut Arc::make_mut(&mut held.cached).queue;
            let expected = queue.version;
            queue.version += 1;
            *everywhere = true;
            let write = QueueWrite {
                player_id: queue.player_id.clone(),
                expected,
                version: queue.version,
                queue: codec::encode(queue),
                outbox: None,
                due_at: queue.due_at(rules),
            };
            open.push((player, write));
        }
        let mut settled = 0;
        let store = &self.store;
        let calls: Vec<_> = open
            .chunks_mut(self.settings.commit_batch)
            .map(|call| {
                let writes: Vec<QueueWrite> = call.iter().map(|(_, write)| write.clone()).collect();
                async move { (call, timeout_at(deadline, store.commit(&writes)).await) }
            })
            .collect();
        let calls: Vec<_> = stream::iter(calls).buffer_unordered(self.settings.concurrency).collect().await;
        for (call, committed) in calls {
            let outcomes = match committed {
                Ok(committed) => {
                    figures.commit_calls += committed.calls;
                    committed.outcomes
                }
                Err(_) => call.iter().map(|_| Err(no_time())).collect(),
            };
            for ((player, _), outcome) in call.iter_mut().zip(outcomes) {
                match outcome {
                    Ok(()) => {
                        figures.committed += 1;
                        settled += 1;
                        continue;
                    }
                    // Somebody else has changed the queue since, and has said when it is due.
                    Err(CommitError::Conflict) => figures.conflicts += 1,
                    Err(error) => {
                        let player_id = player.work.player_id.as_str();
                        tracing::warn!(player_id, %error, "the queue stays in the index of what is due");
                    }
                }
                // Which version the row has is unknown now.
                player.fresh = None;
                player.outdated = true;
            }
        }
        settled
    }
}

fn no_time() -> CommitError {
    StoreError::Unavailable { detail: "no time was left before the deadline".to_owned() }.into()
}
