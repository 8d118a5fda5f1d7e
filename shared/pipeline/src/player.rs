//! A player's work under way: what is decided, on which queue the rest is applied, and what failed.

use millrace_cache::CachedCopy;
use millrace_domain::{RequiredWrite, Timestamp};

use crate::{
    apply::Applied,
    decode::Decoded,
    fifo::fail_rest_of_groups,
    group::PlayerWork,
    load::{Base, Wanted},
    status::{Failure, Status},
};

/// Most items of one player that an invocation takes. A queue remembers all commands of the batch that
/// changed it last, 17 bytes each: with these, the largest queue and the largest outbox the row stays
/// below the 400 KB that a row may have.
pub const MAX_PLAYER_ITEMS: usize = 8_000;

/// A player's work under way.
pub(crate) struct Player {
    pub(crate) work: PlayerWork,
    /// How many of its items are decided.
    pub(crate) done: usize,
    /// What the next ones are applied to; none while they are, and where nothing is loaded.
    pub(crate) base: Option<Base>,
    /// When the queue was known to be the newest.
    since: Timestamp,
    /// Whether the caches do not know the queue as it is.
    everywhere: bool,
    /// Whether the base is what the table has: read from it, or committed to it, by this invocation.
    certain: bool,
    /// Whether something of it was committed by this invocation.
    pub(crate) committed: bool,
    /// Whether the table may have a version that no cache is to be given, so that what they have is to be
    /// forgotten.
    pub(crate) outdated: bool,
    /// The newest queue whose records are written, to be cached.
    pub(crate) fresh: Option<Fresh>,
    pub(crate) failed: bool,
    /// Whether the index of what is due says that something is, although nothing is.
    pub(crate) unsettled: bool,
}

/// A queue on its way back into the caches.
pub(crate) struct Fresh {
    pub(crate) held: CachedCopy,
    /// Whether all tiers are to learn of it, or the process alone gets back what was taken from it.
    pub(crate) everywhere: bool,
}

impl Player {
    /// Nothing is done yet.
    pub(crate) fn new(work: PlayerWork) -> Self {
        Self {
            work,
            done: 0,
            base: None,
            since: Timestamp::default(),
            everywhere: false,
            certain: false,
            committed: false,
            outdated: false,
            fresh: None,
            failed: false,
            unsettled: false,
        }
    }

    /// Leaves to the next delivery what is beyond [`MAX_PLAYER_ITEMS`], by whole messages: a message is
    /// remembered whole or not at all.
    pub(crate) fn bound(&mut self, decoded: &Decoded, statuses: &mut [Status]) {
        let Some(first) = self.work.items.get(MAX_PLAYER_ITEMS).map(|item| decoded.items[*item].message) else {
            return;
        };
        let taken = self.work.items.partition_point(|item| decoded.items[*item].message < first);
        for item in self.work.items.drain(taken..) {
            statuses[item] = Status::Failed(Failure::too_many_commands(MAX_PLAYER_ITEMS));
        }
    }

    /// Its queue is loaded.
    pub(crate) fn begin(&mut self, base: Base) {
        self.since = base.since;
        self.everywhere = base.from_table;
        self.certain = base.from_table;
        self.unsettled = base.misplaced;
        self.base = Some(base);
    }

    /// What is to be loaded for it.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted { player_id: self.work.player_id.clone(), progress: self.work.reports }
    }

    /// Whether something is left to do.
    pub(crate) fn is_open(&self) -> bool {
        !self.failed && self.done < self.work.items.len()
    }

    /// Whether what was applied has to be applied again, to a queue that was read from the table: it rests
    /// on a copy, and no conditional write will check it.
    pub(crate) fn doubts(&self, applied: &Applied) -> bool {
        applied.unchecked && applied.change != RequiredWrite::Commit && !self.certain
    }

    /// What is not decided yet fails.
    pub(crate) fn fail(&mut self, failure: Failure, statuses: &mut [Status]) {
        self.failed = true;
        self.fresh = None;
        // An earlier round's commit is in no cache yet, and now nobody puts it there.
        self.outdated |= self.committed;
        for at in &self.work.items[self.done..] {
            if statuses[*at] == Status::Open {
                statuses[*at] = Status::Failed(failure.clone());
            }
        }
    }

    /// The writes succeeded: what was applied stands.
    pub(crate) fn settle(&mut self, applied: Applied, now: Timestamp, statuses: &mut [Status]) {
        if self.failed {
            return;
        }
        let count = applied.statuses.len();
        for (at, status) in self.work.items[self.done..].iter().zip(applied.statuses) {
            statuses[*at] = status;
        }
        self.done += count;
        let Applied { cached, change, kept_due, reloaded, misplaced, .. } = applied;
        if change == RequiredWrite::Commit {
            self.committed = true;
            self.unsettled = kept_due;
        } else if reloaded {
            self.unsettled = misplaced;
        }
        if change == RequiredWrite::Commit || reloaded {
            // Between milestones nothing proves that no other process has committed meanwhile.
            self.since = now;
            self.certain = true;
        }
        // After a conflict the caches' copy is known to be old, even where nothing came of it.
        self.everywhere |= change > RequiredWrite::Nothing || reloaded;
        if self.is_open() {
            self.base = Some(Base { cached: cached.clone(), since: self.since, from_table: false, misplaced: false });
        }
        let (since, everywhere) = (self.since, self.everywhere);
        self.fresh = cached.map(|cached| Fresh { held: CachedCopy { cached, since }, everywhere });
    }
}

/// Takes the commands behind failed messages of the same FIFO group out of the players' work; returns
/// the players that lost some.
pub(crate) fn hold_back(
    decoded: &Decoded,
    players: &mut [Player],
    statuses: &mut [Status],
    refused: &[Status],
) -> Vec<usize> {
    let mut failed = vec![false; decoded.messages.len()];
    let items = decoded.items.iter().map(|item| item.message).zip(statuses.iter());
    let malformed = decoded.refused.iter().map(|refused| refused.message).zip(refused);
    for (message, status) in items.chain(malformed) {
        failed[message] |= matches!(status, Status::Failed(_));
    }
    if !failed.contains(&true) {
        return Vec::new();
    }
    fail_rest_of_groups(&decoded.messages, &mut failed);
    let mut losers = Vec::new();
    for (at, player) in players.iter_mut().enumerate().filter(|(_, player)| player.is_open()) {
        let done = player.done;
        let behind = |item: &usize| {
            failed[decoded.items[*item].message] && decoded.messages[decoded.items[*item].message].fifo_group.is_some()
        };
        if !player.work.items[done..].iter().any(behind) {
            continue;
        }
        let mut position = 0;
        player.work.items.retain(|item| {
            position += 1;
            let held = position > done && behind(item);
            if held {
                statuses[*item] = Status::Failed(Failure::earlier_message());
            }
            !held
        });
        losers.push(at);
    }
    losers
}
