//! Lingering: writes of the same moment share calls.
//!
//! The first write opens a round, and others join it until it closes. All of them drive it: the
//! scheduler of a round is one [`Shared`] future that every write in it polls. A write whose future is
//! dropped therefore stops nobody else, and where all are dropped the round ends with them.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Core,
    drive::{Ledger, Schedule, drive},
    plan::{Call, Filler, Group},
    tally::Tally,
};
use crate::error::StoreError;

type Driver = Shared<BoxFuture<'static, ()>>;
type WeakDriver = WeakShared<BoxFuture<'static, ()>>;

/// Where writes find the round that is open.
#[derive(Default)]
pub(super) struct Lobby {
    current: Mutex<Option<(Weak<Round>, WeakDriver)>>,
}

/// One write as its round sees it. Whoever stops waiting drops the only strong reference.
struct Writer {
    tally: Mutex<Tally>,
    settled: Notify,
}

/// A write that waits for a row.
struct Ticket {
    writer: Weak<Writer>,
    slot: u32,
}

/// Writes that share calls.
struct Round {
    inbox: Mutex<Inbox>,
    /// Rows have come in, or a write has left.
    changed: Notify,
}

struct Inbox {
    is_open: bool,
    /// Until when rows that do not fill a call wait for others.
    closes_at: Instant,
    /// The latest deadline of all writes.
    deadline: Instant,
    calls: Filler<Vec<Ticket>>,
}

/// Rings when a write stops waiting, whether done, out of time or dropped. It may have swallowed a
/// wake-up that the round was meant to get: somebody else has to look.
struct Leaving(Arc<Round>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.changed.notify_one();
    }
}

impl Lobby {
    /// Writes rows together with those of other writes.
    pub(super) async fn write(
        &self,
        core: &Arc<Core>,
        linger: Duration,
        calls: Filler<u32>,
        slots: usize,
        deadline: Instant,
    ) -> Tally {
        let writer = Arc::new(Writer { tally: Mutex::new(Tally::new(slots)), settled: Notify::new() });
        let (_leaving, driver) = self.join(core, linger, calls, &writer, deadline);
        tokio::select! {
            biased;
            () = writer.settled.notified() => {}
            () = driver => {}
            () = sleep_until(deadline) => {}
        }
        let mut tally = std::mem::replace(&mut *lock(&writer.tally), Tally::new(0));
        if Instant::now() < deadline {
            tally.break_off();
        }
        tally
    }

    fn join(
        &self,
        core: &Arc<Core>,
        linger: Duration,
        calls: Filler<u32>,
        writer: &Arc<Writer>,
        deadline: Instant,
    ) -> (Leaving, Driver) {
        let now = Instant::now();
        // A write that has little time left lingers for at most half of it.
        let closes_at = now + linger.min(deadline.saturating_duration_since(now) / 2);
        let mut current = lock(&self.current);
        if let Some((round, driver)) = &*current
            && let (Some(round), Some(driver)) = (round.upgrade(), driver.upgrade())
        {
            let mut inbox = lock(&round.inbox);
            if inbox.is_open {
                inbox.closes_at = inbox.closes_at.min(closes_at);
                inbox.deadline = inbox.deadline.max(deadline);
                inbox.admit(calls, writer);
                drop(inbox);
                round.changed.notify_one();
                return (Leaving(round), driver);
            }
        }
        let mut inbox =
            Inbox { is_open: true, closes_at, deadline, calls: Filler::new(core.limits, core.limits.items) };
        inbox.admit(calls, writer);
        let round = Arc::new(Round { inbox: Mutex::new(inbox), changed: Notify::new() });
        let driver = Arc::clone(&round).drive(Arc::clone(core)).boxed().shared();
        *current = driver.downgrade().map(|driver| (Arc::downgrade(&round), driver));
        (Leaving(round), driver)
    }
}

impl Inbox {
    fn admit(&mut self, calls: Filler<u32>, writer: &Arc<Writer>) {
        let ticket = |slot| vec![Ticket { writer: Arc::downgrade(writer), slot }];
        self.calls.full.extend(calls.full.into_iter().map(|call| call.retag(ticket)));
        for call in calls.open {
            for (record, slot) in call.records.into_iter().zip(call.tags) {
                let mut tickets = ticket(slot);
                tickets.extend(self.calls.take_same(&record).into_iter().flatten());
                self.calls.push(record, tickets);
            }
        }
    }
}

impl Round {
    async fn drive(self: Arc<Self>, core: Arc<Core>) {
        let schedule = core.schedule();
        let mut ledger = RoundLedger { round: &self };
        // A panic of the store would otherwise reach every write of the round.
        let outcome = AssertUnwindSafe(drive(&core, &mut ledger, schedule)).catch_unwind().await;
        if outcome.is_err() {
            tracing::error!("a call to the store panicked; its rows are left over");
        }
        lock(&self.inbox).is_open = false;
    }
}

/// The accounts of all writes of a round.
struct RoundLedger<'a> {
    round: &'a Round,
}

impl Ledger for RoundLedger<'_> {
    type Tag = Vec<Ticket>;

    fn intake(&mut self, now: Instant, schedule: &mut Schedule<Self::Tag>) -> Option<Instant> {
        let mut inbox = lock(&self.round.inbox);
        if now >= inbox.closes_at && inbox.is_open {
            inbox.is_open = false;
            let open = std::mem::take(&mut inbox.calls.open);
            open.into_iter().filter(|call| call.len() > 0).for_each(|call| schedule.add(call));
        }
        inbox.calls.full.drain(..).for_each(|call| schedule.add(call));
        inbox.is_open.then_some(inbox.closes_at)
    }

    async fn changed(&self) {
        self.round.changed.notified().await;
    }

    fn deadline(&self) -> Instant {
        lock(&self.round.inbox).deadline
    }

    fn prune(&self, call: &mut Call<Self::Tag>) {
        call.retain(|tickets| tickets.iter().any(Ticket::is_live));
    }

    /// A call is counted once, for the first write that waits for one of its rows.
    fn sent(&mut self, call: &Call<Self::Tag>) {
        if let Some(writer) = call.tags.iter().flatten().find_map(|ticket| ticket.writer.upgrade()) {
            lock(&writer.tally).count(call.group, 0, 1);
        }
        if call.again {
            for writer in call.tags.iter().filter_map(|tickets| first_live(tickets)) {
                lock(&writer.tally).statistics.retried_items += 1;
            }
        }
    }

    fn refused(&mut self, tickets: &Self::Tag, error: &StoreError) {
        for ticket in tickets {
            if let Some(writer) = ticket.writer.upgrade() {
                lock(&writer.tally).refused(ticket.slot, error);
            }
        }
    }

    /// A row is counted once, for the first write that waits for it.
    fn written(&mut self, group: Group, tags: Vec<Self::Tag>) {
        for tickets in tags {
            if let Some(writer) = first_live(&tickets) {
                lock(&writer.tally).count(group, 1, 0);
            }
            tickets.into_iter().for_each(|ticket| ticket.settle(Ok(())));
        }
    }

    fn failed(&mut self, tickets: Self::Tag, error: StoreError) {
        tickets.into_iter().for_each(|ticket| ticket.settle(Err(error.clone())));
    }
}

impl Ticket {
    fn is_live(&self) -> bool {
        self.writer.strong_count() > 0
    }

    fn settle(self, outcome: Result<(), StoreError>) {
        let Some(writer) = self.writer.upgrade() else { return };
        let mut tally = lock(&writer.tally);
        tally.settle(self.slot, outcome);
        if tally.is_settled() {
            writer.settled.notify_one();
        }
    }
}

fn first_live(tickets: &[Ticket]) -> Option<Arc<Writer>> {
    tickets.iter().find_map(|ticket| ticket.writer.upgrade())
}

/// No guard is held while foreign code runs, so a poisoned lock still guards whole data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
