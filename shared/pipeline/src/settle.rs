//! Settle: out of the index of what is due with the queues that stand there for the sake of their records.
//!
//! Where nobody delivers again what a crash cuts short, a commit that leads to records leaves its queue among
//! what is due. Once they are written, a second write takes it out. Whoever finds a queue there whose process
//! has died in between writes its records again, with the load, and then does the same.

use std::sync::Arc;

use futures::{StreamExt, stream};
use millrace_domain::codec;
use millrace_store::{CommitError, QueueWrite, StoreError};
use tokio::time::{Instant, timeout_at};

use crate::{
    player::{Fresh, Player},
    report::Figures,
    service::Service,
};

impl Service {
    /// Takes queues with nothing due out of the index, or to their next moment, once their records are
    /// written. Returns how many, and how many it failed for: these are still in the index, and the next tick or run
    /// that finds them there does it.
    pub(crate) async fn settle(&self, players: &mut [Player], deadline: Instant, figures: &mut Figures) -> (u64, u64) {
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
        let (mut settled, mut unsettled) = (0, 0);
        let store = &self.store;
        // As in `write_queues`: who is switched off has a call of its own.
        let is_alone = |(player, _): &(&mut Player, QueueWrite)| self.is_alone(&player.work.player_id);
        let (mut alone, mut shared): (Vec<_>, Vec<_>) = open.into_iter().partition(is_alone);
        let calls: Vec<_> = alone
            .chunks_mut(1)
            .chain(shared.chunks_mut(self.settings.commit_batch))
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
                        unsettled += 1;
                        let player_id = player.work.player_id.as_str();
                        tracing::warn!(player_id, %error, "the queue stays in the index of what is due");
                    }
                }
                // Which version the row has is unknown now.
                player.fresh = None;
                player.outdated = true;
            }
        }
        (settled, unsettled)
    }
}

fn no_time() -> CommitError {
    StoreError::Unavailable { detail: "no time was left before the deadline".to_owned() }.into()
}
