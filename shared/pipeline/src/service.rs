//! The steps put together, bounded by the invocation's deadline.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_cache::{CachedCopy, Tiers};
use millrace_domain::{PlayerId, Rejection, RejectionReason, Timestamp};
use millrace_store::{BatchWriter, Grouping, MAX_ROW_BYTES, Store};
use tokio::time::Instant;

use crate::{
    answer::Answer,
    apply::{Applied, ApplyFn, Input, apply, guarded},
    clock::Clock,
    commit::Pending,
    decode::{Decoded, Refused, Source, decode},
    group::group,
    load::Wanted,
    log::log,
    maintenance::reports::Reports,
    performance::Performance,
    player::{Player, hold_back},
    record::Origin,
    report::Figures,
    settings::ServiceSettings,
    status::{Failure, Status},
};

/// One call of the function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Names it.
    pub request_id: String,
    /// When the function is stopped.
    pub times_out_at: Instant,
    /// Whether it is the first of its process.
    pub cold_start: bool,
}

/// What a service is made of.
pub struct Parts {
    /// Queues and records.
    pub store: Arc<dyn Store>,
    /// Writes records in batches.
    pub batcher: BatchWriter,
    /// Queues kept near.
    pub cache: Tiers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Reads the resident memory of the process, in bytes.
    pub resident_bytes: fn() -> Option<u64>,
    /// What it is told.
    pub settings: ServiceSettings,
}

/// The pipeline over its parts. Shared by all invocations of a process.
pub struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) batcher: BatchWriter,
    pub(crate) cache: Tiers,
    pub(crate) settings: ServiceSettings,
    pub(crate) apply: ApplyFn,
    pub(crate) performance: Performance,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) resident_bytes: fn() -> Option<u64>,
    pub(crate) reports: Reports,
    random: Mutex<fastrand::Rng>,
}

/// An invocation that has to fail as a whole, so that what invoked it tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Commands of an event failed whose source takes no batch item failures.
    #[error("{failed} of {received} commands failed and have to be delivered again; the first: {first}")]
    CommandsFailed {
        /// How many failed.
        failed: u64,
        /// Of how many.
        received: u64,
        /// Why the first of them failed.
        first: String,
    },
}

impl ProcessError {
    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::CommandsFailed { .. } => "CommandsFailed",
        }
    }
}

impl Service {
    /// A service of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            random: Mutex::new(fastrand::Rng::with_seed(parts.settings.seed)),
            store: parts.store,
            batcher: parts.batcher,
            cache: parts.cache,
            settings: parts.settings,
            apply,
            performance: Performance::default(),
            clock: parts.clock,
            resident_bytes: parts.resident_bytes,
            reports: Reports::default(),
        }
    }

    /// The same with another way to apply commands: for tests of what surrounds it.
    #[doc(hidden)]
    #[must_use]
    pub fn with_apply(self, apply: ApplyFn) -> Self {
        Self { apply, ..self }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether a player's records share calls with those of others.
    pub(crate) fn grouping(&self, player: &PlayerId) -> Grouping {
        if self.is_alone(player) { Grouping::Single } else { Grouping::Shared }
    }

    /// Whether a player's writes go out in calls of their own.
    pub(crate) fn is_alone(&self, player: &PlayerId) -> bool {
        !self.settings.batching.is_on_for(player)
    }

    /// When an invocation stops taking up work.
    pub(crate) fn deadline(&self, invocation: &Invocation) -> Instant {
        invocation.times_out_at.checked_sub(self.settings.deadline_margin).unwrap_or(invocation.times_out_at)
    }

    /// A number from 0 to 1.
    pub(crate) fn random(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// Carries one event to its queues.
    ///
    /// # Errors
    /// [`ProcessError`] where commands failed and the event's source learns of it in no other way.
    pub async fn process(&self, payload: &[u8], invocation: &Invocation) -> Result<Answer, ProcessError> {
        let started = std::time::Instant::now();
        let now = self.clock.now();
        let decoded = decode(payload, &invocation.request_id, now);
        let source = decoded.source;
        let (answer, _) = self.carry(decoded, None, invocation, started, now).await;
        self.finish(source, answer)
    }

    /// The steps behind decode. The queue of `watched` comes back with the answer, with its progress between
    /// milestones, unless something of its work failed.
    pub(crate) async fn carry(
        &self,
        mut decoded: Decoded,
        watched: Option<&PlayerId>,
        invocation: &Invocation,
        started: std::time::Instant,
        now: Timestamp,
    ) -> (Answer, Option<CachedCopy>) {
        let deadline = self.deadline(invocation);
        let mut figures = Figures::default();

        let mut statuses = vec![Status::Open; decoded.items.len()];
        let mut players: Vec<Player> = group(&decoded.items).into_iter().map(Player::new).collect();
        if watched.is_some() {
            players.iter_mut().for_each(|player| player.work.reports = true);
        }
        players.iter_mut().for_each(|player| player.bound(&decoded, &mut statuses));
        let mut refused = self.refused_statuses(&mut decoded.refused);
        figures.steps.decode = started.elapsed();

        let mut first = true;
        while first || players.iter().any(Player::is_open) {
            self.round(&decoded, &mut players, &mut statuses, &mut refused, first, now, deadline, &mut figures).await;
            first = false;
        }
        let seen_in = |players: &[Player]| {
            let player = players.iter().find(|player| watched == Some(&player.work.player_id))?;
            Some(player.fresh.as_ref()?.held.clone())
        };
        let mut seen = seen_in(&players);
        let mut lap = Lap::start();
        self.settle(&mut players, deadline, &mut figures).await;
        figures.steps.commit += lap.lap();
        // Where somebody was faster, the queue is shown as it was committed.
        seen = seen_in(&players).or(seen);
        self.refresh(&mut players, now, deadline, &mut figures).await;
        figures.steps.refresh = lap.lap();

        let answer = self.answer(&decoded, &statuses, &refused, players.len(), invocation, started, &figures);
        log(&decoded, &statuses, &refused, &answer);
        self.share(&answer.report);
        (answer, seen)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Load, apply, commit and record for all players with open items. A player with very many
    /// commands takes several rounds; all others are done after the first.
    #[expect(clippy::too_many_arguments, reason = "one step of `process`, on its variables")]
    pub(crate) async fn round(
        &self,
        decoded: &Decoded,
        players: &mut [Player],
        statuses: &mut [Status],
        refused: &mut [Status],
        first: bool,
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) {
        let mut lap = Lap::start();
        if first {
            self.load_players(players, statuses, now, deadline, figures).await;
        }
        figures.steps.load += lap.lap();
        if Instant::now() >= deadline {
            for player in players.iter_mut().filter(|player| player.is_open()) {
                player.fail(Failure::deadline(), statuses);
            }
        }
        let applied = self.apply_players(decoded, players, statuses, refused, now, deadline, figures).await;
        figures.steps.apply += lap.lap();
        let (at, pending): (Vec<usize>, Vec<Pending<'_>>) = applied
            .into_iter()
            .map(|(at, open, applied)| {
                let (wanted, items) = (players[at].wanted(), &players[at].work.items);
                (at, Pending { wanted, open: &items[open..], batch: items, applied })
            })
            .unzip();
        let committed = self.commit(pending, &decoded.items, now, deadline, figures).await;
        figures.steps.commit += lap.lap();

        let mut done: Vec<(usize, Applied)> = Vec::with_capacity(committed.len());
        for (at, result) in at.into_iter().zip(committed) {
            match result {
                Ok(applied) => done.push((at, applied)),
                Err(failure) => {
                    // Where it may have been committed, a copy of before must not stand for it. Where it was not,
                    // others keep theirs: a table that throttles is not to be asked for every queue again.
                    self.cache.forget_local(&players[at].work.player_id);
                    players[at].outdated |= !failure.is_refusal();
                    players[at].fail(failure, statuses);
                }
            }
        }
        let rows = match first {
            true => self.storable(decoded, refused),
            false => Vec::new(),
        };
        for (origin, failure) in self.record(&mut done, rows, deadline, figures).await {
            match origin {
                Origin::Refused(at) => refused[at] = Status::Failed(failure),
                Origin::Player(at) => {
                    // CommitResponse, but not recorded: the next delivery finds the commands remembered and
                    // the records in the row's outbox, which only a load from the table sees.
                    players[at].outdated = true;
                    players[at].fail(failure, statuses);
                }
            }
        }
        for (at, applied) in done {
            players[at].settle(applied, now, statuses);
        }
        figures.steps.record += lap.lap();
    }

    async fn load_players(
        &self,
        players: &mut [Player],
        statuses: &mut [Status],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) {
        if players.is_empty() {
            return;
        }
        let wanted: Vec<Wanted> = players.iter().map(Player::wanted).collect();
        let bases = self.load(&wanted, now, deadline, figures).await;
        for (player, base) in players.iter_mut().zip(bases) {
            match base {
                Ok(base) => player.begin(base),
                Err(failure) => player.fail(failure, statuses),
            }
        }
    }

    /// Applies the open items of all players. What fails before anything is written takes the rest of
    /// its FIFO groups with it: those commands are not applied, and the players that lose some are
    /// loaded and applied again without them. So are players of whom a copy was too old, maybe, to tell
    /// that an item changes nothing.
    #[expect(clippy::too_many_arguments, reason = "one step of `round`, on its variables")]
    async fn apply_players(
        &self,
        decoded: &Decoded,
        players: &mut [Player],
        statuses: &mut [Status],
        refused: &[Status],
        now: Timestamp,
        deadline: Instant,
        figures: &mut Figures,
    ) -> Vec<(usize, usize, Applied)> {
        let mut applied: Vec<Option<Applied>> = Vec::new();
        applied.resize_with(players.len(), || None);
        let mut again: Vec<usize> = Vec::new();
        loop {
            for at in hold_back(decoded, players, statuses, refused) {
                if applied[at].take().is_some() {
                    again.push(at);
                }
            }
            again.retain(|at| players[*at].is_open());
            let mut failed = false;
            let wanted: Vec<Wanted> = again.iter().map(|at| players[*at].wanted()).collect();
            let (bases, _) = self.load_from_table(&wanted, &[], &[], now, deadline, figures).await;
            for (at, base) in again.drain(..).zip(bases) {
                match base {
                    Ok(base) => players[at].begin(base),
                    Err(failure) => {
                        players[at].fail(failure, statuses);
                        failed = true;
                    }
                }
            }
            for (at, player) in players.iter_mut().enumerate() {
                if !player.is_open() || applied[at].is_some() {
                    continue;
                }
                let result = guarded(
                    self.apply,
                    Input {
                        player_id: &player.work.player_id,
                        base: player.base.take().and_then(|base| base.cached),
                        items: &decoded.items,
                        open: &player.work.items[player.done..],
                        batch: &player.work.items,
                        now,
                        rules: self.settings.rules,
                    },
                );
                match result {
                    Ok(result) if player.doubts(&result) => again.push(at),
                    Ok(result) => applied[at] = Some(result),
                    Err(failure) => {
                        player.fail(failure, statuses);
                        failed = true;
                    }
                }
            }
            if !failed && again.is_empty() {
                break;
            }
        }
        let places = applied.into_iter().enumerate();
        places.filter_map(|(at, applied)| Some((at, players[at].done, applied?))).collect()
    }

    /// Malformed input is refused for good, unless no row can keep it.
    fn refused_statuses(&self, refused: &mut [Refused]) -> Vec<Status> {
        refused
            .iter()
            .map(|refused| {
                let record = &refused.record;
                let bytes = record.body.as_ref().map_or(0, String::len);
                // Room for the other attributes: names, keys, and the detail, which is clipped.
                let max = MAX_ROW_BYTES - 16 * 1024;
                if bytes > max {
                    Status::Failed(Failure::too_large(bytes, max))
                } else {
                    Status::Rejected(Rejection::new(RejectionReason::Malformed, record.detail.clone()))
                }
            })
            .collect()
    }

    fn storable(
        &self,
        decoded: &Decoded,
        refused: &[Status],
    ) -> Vec<(usize, millrace_domain::record::RejectionRecord)> {
        decoded
            .refused
            .iter()
            .enumerate()
            .filter(|(at, _)| matches!(refused[*at], Status::Rejected(_)))
            .map(|(at, refused)| (at, refused.record.clone()))
            .collect()
    }

    /// EventBridge invokes asynchronously: only a failed invocation is tried again.
    fn finish(&self, source: Source, answer: Answer) -> Result<Answer, ProcessError> {
        let commands = answer.report.commands;
        let first = answer.results.iter().find(|result| result.status == "failed");
        match (source, first) {
            (Source::EventBridge, Some(first)) => Err(ProcessError::CommandsFailed {
                failed: commands.failed,
                received: commands.received,
                first: first.detail.clone().unwrap_or_default(),
            }),
            _ => Ok(answer),
        }
    }
}

/// Measures one step after the other.
struct Lap(std::time::Instant);

impl Lap {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the last step ended.
    fn lap(&mut self) -> std::time::Duration {
        let last = std::mem::replace(&mut self.0, std::time::Instant::now());
        self.0 - last
    }
}
