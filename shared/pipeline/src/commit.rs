//! Commit: one conditional write a changed player. Who finds the version changed loads the queue from
//! the table and applies again, a bounded number of times.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use millrace_domain::{
    RequiredWrite, Rules, Timestamp,
    codec::{self, Outbox},
};
use millrace_store::{CommitError, QueueWrite};
use tokio::time::{Instant, timeout_at};

use crate::{
    apply::{Applied, Input, guarded},
    decode::Item,
    load::{Base, Wanted},
    report::Figures,
    service::Service,
    status::Failure,
};

/// A player on the way through commit.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    pub wanted: Wanted,
    pub open: &'a [usize],
    pub batch: &'a [usize],
    pub applied: Applied,
}

impl Service {
    /// Commits what was decided; what changes nothing in the table passes through. One result for
    /// each player, in order.
    pub(crate) async fn commit<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        items: &[Item],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) -> Vec<Result<Applied, Failure>> {
        let mut results: Vec<Option<Result<Applied, Failure>>> = Vec::with_capacity(pending.len());
        let mut open: Vec<(usize, Pending<'a>)> = Vec::new();
        for (at, pending) in pending.into_iter().enumerate() {
            if pending.applied.change == RequiredWrite::Commit {
                results.push(None);
                open.push((at, pending));
            } else {
                results.push(Some(Ok(pending.applied)));
            }
        }
        let mut tries = 0;
        while !open.is_empty() {
            let outcomes = self.write_queues(&mut open, deadline, figures).await;
            let (mut conflicts, seen) = (Vec::new(), self.clock.now());
            for ((at, pending), outcome) in open.into_iter().zip(outcomes) {
                match outcome {
                    Ok(()) => {
                        figures.committed += 1;
                        figures.lateness.see(&pending.applied.completed_at, seen);
                        results[at] = Some(Ok(pending.applied));
                    }
                    Err(WriteError::Conflict) => conflicts.push((at, pending)),
                    Err(WriteError::Failed(failure)) => results[at] = Some(Err(failure)),
                }
            }
            figures.conflicts += conflicts.len() as u64;
            open = Vec::new();
            if conflicts.is_empty() {
                break;
            }
            for (_, pending) in &conflicts {
                // The copy it was made from is out of date, wherever it came from.
                self.cache.forget_local(&pending.wanted.player_id);
            }
            if tries == self.settings.conflict_retries {
                for (at, _) in conflicts {
                    results[at] = Some(Err(Failure::conflict(tries + 1)));
                }
                break;
            }
            self.pause_after_conflict(tries, deadline).await;
            tries += 1;
            self.apply_again(conflicts, items, now, deadline, figures, &mut results, &mut open).await;
        }
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(Failure::deadline()))).collect()
    }

    /// Full jitter keeps processes that collided from colliding again.
    async fn pause_after_conflict(&self, tries: u32, deadline: Instant) {
        let ceiling = self.settings.conflict_backoff.saturating_mul(1 << tries.min(6)).min(Duration::from_secs(1));
        let wait = ceiling.mul_f64(self.random());
        if !wait.is_zero() {
            tokio::time::sleep_until((Instant::now() + wait).min(deadline)).await;
        }
    }

    /// Loads the queues of `conflicts` from the table and applies again. Those that now have something
    /// to commit go to `open`, the others to `results`.
    #[expect(clippy::too_many_arguments, reason = "one step of `commit`, on its variables")]
    async fn apply_again<'a>(
        &self,
        conflicts: Vec<(usize, Pending<'a>)>,
        items: &[Item],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
        results: &mut [Option<Result<Applied, Failure>>],
        open: &mut Vec<(usize, Pending<'a>)>,
    ) {
        let wanted: Vec<Wanted> = conflicts.iter().map(|(_, pending)| pending.wanted.clone()).collect();
        let (bases, _) = self.load_from_table(&wanted, &[], &[], now, deadline, figures).await;
        for ((at, mut pending), base) in conflicts.into_iter().zip(bases) {
            let applied = base.and_then(|Base { cached, misplaced, .. }| {
                let applied = guarded(
                    self.apply,
                    Input {
                        player_id: &pending.wanted.player_id,
                        base: cached,
                        items,
                        open: pending.open,
                        batch: pending.batch,
                        now,
                        rules: self.settings.rules,
                    },
                )?;
                Ok(Applied { reloaded: true, misplaced, ..applied })
            });
            match applied {
                Err(failure) => results[at] = Some(Err(failure)),
                Ok(applied) if applied.change == RequiredWrite::Commit => {
                    pending.applied = applied;
                    open.push((at, pending));
                }
                Ok(applied) => results[at] = Some(Ok(applied)),
            }
        }
    }

    /// Writes the queues, many to a call and many calls at once.
    async fn write_queues(
        &self,
        open: &mut [(usize, Pending<'_>)],
        deadline: Instant,
        figures: &mut Figures,
    ) -> Vec<Result<(), WriteError>> {
        let mut calls: Vec<Vec<&mut Applied>> = Vec::new();
        let mut filling = None;
        let mut places = Vec::with_capacity(open.len());
        for (_, pending) in open.iter_mut() {
            if pending.applied.cached.is_none() {
                places.push(None);
                continue;
            }
            let alone = self.is_alone(&pending.wanted.player_id);
            let call = match filling {
                Some(call) if !alone => call,
                _ => {
                    calls.push(Vec::with_capacity(if alone { 1 } else { self.settings.commit_batch }));
                    calls.len() - 1
                }
            };
            if !alone {
                filling = (calls[call].len() + 1 < self.settings.commit_batch).then_some(call);
            }
            places.push(Some((call, calls[call].len())));
            calls[call].push(&mut pending.applied);
        }
        let (store, rules, delivered_again) = (&self.store, self.settings.rules, self.settings.delivered_again);
        let calls = calls.into_iter().enumerate().map(|(call, applied)| {
            let store = Arc::clone(store);
            async move {
                // Made when it is their turn: the bytes of all queues at once would be a great part
                // of what an invocation holds.
                let writes: Vec<QueueWrite> =
                    applied.into_iter().filter_map(|applied| queue_write(applied, rules, delivered_again)).collect();
                (call, timeout_at(deadline, store.commit(&writes)).await)
            }
        });
        // Not mapped by the stream: its future would not be known to be `Send`.
        let calls: Vec<_> = calls.collect();
        let mut outcomes: Vec<_> = stream::iter(calls).buffer_unordered(self.settings.concurrency).collect().await;
        outcomes.sort_by_key(|(call, _)| *call);
        places
            .into_iter()
            .map(|place| {
                let Some((call, position)) = place else { return Ok(()) };
                match &outcomes[call].1 {
                    // Whether the write took place is unknown; the next delivery finds out.
                    Err(_) => Err(WriteError::Failed(Failure::deadline())),
                    Ok(committed) => {
                        if position == 0 {
                            figures.commit_calls += committed.calls;
                        }
                        match &committed.outcomes[position] {
                            Ok(()) => Ok(()),
                            Err(CommitError::Conflict) => Err(WriteError::Conflict),
                            Err(error) => Err(WriteError::Failed(error.into())),
                        }
                    }
                }
            })
            .collect()
    }
}

enum WriteError {
    Conflict,
    Failed(Failure),
}

/// The conditional write of what was applied.
fn queue_write(applied: &mut Applied, rules: Rules, delivered_again: bool) -> Option<QueueWrite> {
    let queue = &applied.cached.as_ref()?.queue;
    let outbox = Outbox(std::mem::take(&mut applied.records));
    let bytes = (!outbox.0.is_empty()).then(|| codec::encode(&outbox));
    applied.records = outbox.0;
    let mut due_at = queue.due_at(rules);
    applied.kept_due = bytes.is_some() && !delivered_again;
    if applied.kept_due {
        // Should this process die before the records are written, nobody comes back to the queue for them
        // but whoever finds it due.
        due_at = Some(due_at.map_or(queue.advanced_to, |due| due.min(queue.advanced_to)));
    }
    Some(QueueWrite {
        player_id: queue.player_id.clone(),
        expected: applied.base_version,
        version: queue.version,
        queue: codec::encode(queue),
        outbox: bytes,
        due_at,
    })
}
