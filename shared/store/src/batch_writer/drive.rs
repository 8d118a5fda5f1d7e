//! The scheduler: starts calls by priority, at most so many at once, and sends rows again.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    time::Duration,
};

use fastrand::Rng;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{AcquireError, SemaphorePermit},
    time::{Instant, sleep_until},
};

use super::{
    Core,
    plan::{Call, Filler, Group, Limits},
};
use crate::error::StoreError;

/// Where the scheduler gets its calls from, and where it tells what has become of them.
pub(super) trait Ledger {
    /// Says whose a row is.
    type Tag: Send;

    /// Hands over the calls that have come in; returns until when more may come, if more may.
    fn intake(&mut self, now: Instant, schedule: &mut Schedule<Self::Tag>) -> Option<Instant>;

    /// Waits until there is something new to take in.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// After this no call is started, and none is waited for.
    fn deadline(&self) -> Instant;

    /// Drops rows that nobody waits for any more.
    fn prune(&self, call: &mut Call<Self::Tag>);

    /// A call is about to be made.
    fn sent(&mut self, call: &Call<Self::Tag>);

    /// A row was not written and is sent again.
    fn refused(&mut self, tag: &Self::Tag, error: &StoreError);

    /// Rows are in the store.
    fn written(&mut self, group: Group, tags: Vec<Self::Tag>);

    /// A row is given up.
    fn failed(&mut self, tag: Self::Tag, error: StoreError);
}

/// Calls that can be made, by urgency and then by age, and rows that wait to be sent again.
pub(super) struct Schedule<T> {
    ready: BTreeMap<(Group, u64), Call<T>>,
    added: u64,
    waiting: Vec<(Instant, Call<T>)>,
    limits: Limits,
    backoff: Backoff,
}

impl<T> Schedule<T> {
    pub(super) fn new(limits: Limits, backoff: Backoff) -> Self {
        Self { ready: BTreeMap::new(), added: 0, waiting: Vec::new(), limits, backoff }
    }

    /// Adds a call that can be made at once.
    pub(super) fn add(&mut self, call: Call<T>) {
        self.added += 1;
        self.ready.insert((call.group, self.added), call);
    }

    /// Makes rows ready whose wait is over.
    fn release(&mut self, now: Instant) {
        while let Some(at) = self.waiting.iter().position(|(due, _)| *due <= now) {
            let (_, call) = self.waiting.swap_remove(at);
            if call.alone || call.len() <= 1 {
                self.add(call);
                continue;
            }
            // Rows of several calls may wait together: more than fit one call, or two of one key.
            let failures = call.failures;
            let mut calls = Filler::new(self.limits, call.len());
            for (record, tag) in call.records.into_iter().zip(call.tags) {
                calls.close_same(&record);
                calls.push(record, tag);
            }
            calls.finish().for_each(|call| self.add(call.after(failures)));
        }
    }

    /// Has rows wait before they are sent again, together with those of their group that wait
    /// already. Gives them back where the wait would not end before the deadline.
    fn put_off(&mut self, mut call: Call<T>, now: Instant, deadline: Instant) -> Result<(), Call<T>> {
        let wait = self.backoff.draw(call.failures);
        call.failures += 1;
        call.again = true;
        if !call.alone
            && let Some((_, other)) =
                self.waiting.iter_mut().find(|(_, other)| other.group == call.group && !other.alone)
        {
            other.failures = other.failures.max(call.failures);
            other.append(call);
            return Ok(());
        }
        if now + wait >= deadline {
            return Err(call);
        }
        tracing::debug!(
            table = call.group.table().as_str(),
            rows = call.len(),
            attempt = call.failures,
            wait_ms = wait.as_millis() as u64,
            "rows will be sent again"
        );
        self.waiting.push((now + wait, call));
        Ok(())
    }

    /// The next call that anybody waits for; it counts as sent.
    fn next(&mut self, ledger: &mut impl Ledger<Tag = T>) -> Option<Call<T>> {
        while let Some((_, mut call)) = self.ready.pop_first() {
            ledger.prune(&mut call);
            if call.len() > 0 {
                ledger.sent(&call);
                return Some(call);
            }
        }
        None
    }

    fn next_release(&self) -> Option<Instant> {
        self.waiting.iter().map(|(due, _)| *due).min()
    }
}

/// Exponential backoff with full jitter: a wait is drawn evenly from zero to
/// `min(cap, base * 2^attempt)`. Of the schemes compared in Marc Brooker, "Exponential Backoff And
/// Jitter", AWS Architecture Blog, 2015
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), it is the one with the
/// least work for the store at about the least time for the client.
pub(super) struct Backoff {
    pub(super) base: Duration,
    pub(super) cap: Duration,
    pub(super) rng: Rng,
}

impl Backoff {
    fn draw(&mut self, attempt: u32) -> Duration {
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap);
        Duration::from_nanos(self.rng.u64(0..=u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Makes all calls of a ledger. Everything runs inside this future: nothing is spawned, so that
/// nothing runs on when nobody waits.
pub(super) async fn drive<L: Ledger>(core: &Core, ledger: &mut L, mut schedule: Schedule<L::Tag>) {
    let mut flying = FuturesUnordered::new();
    // The place in the semaphore's queue is kept from turn to turn: whoever waits longest is next.
    let mut turn = None;
    let mut granted = None;
    let mut expiry = pin!(sleep_until(ledger.deadline()));
    loop {
        let now = Instant::now();
        let open_until = ledger.intake(now, &mut schedule);
        if now >= ledger.deadline() {
            return;
        }
        if expiry.deadline() != ledger.deadline() {
            expiry.as_mut().reset(ledger.deadline());
        }
        schedule.release(now);
        while turn.is_none() && !schedule.ready.is_empty() {
            match granted.take().map_or_else(|| core.semaphore.try_acquire(), Ok) {
                Ok(permit) => flying.extend(schedule.next(ledger).map(|call| send(core, call, permit))),
                Err(_) => turn = Some(Box::pin(core.semaphore.acquire())),
            }
        }
        if schedule.ready.is_empty() {
            (turn, granted) = (None, None);
            if flying.is_empty() && schedule.waiting.is_empty() && open_until.is_none() {
                return;
            }
        }
        let alarm = [open_until, schedule.next_release()].into_iter().flatten().min();
        tokio::select! {
            biased;
            permit = taken(&mut turn), if turn.is_some() => (turn, granted) = (None, permit.ok()),
            Some((call, answer)) = flying.next(), if !flying.is_empty() => {
                settle(call, answer, ledger, &mut schedule);
            }
            () = ledger.changed() => {}
            () = sleep_until(alarm.unwrap_or(now)), if alarm.is_some() => {}
            () = expiry.as_mut() => {}
        }
    }
}

type Turn<F> = Option<Pin<Box<F>>>;

/// Waits for the turn; only called where there is one.
async fn taken<'a, F>(turn: &mut Turn<F>) -> Result<SemaphorePermit<'a>, AcquireError>
where
    F: Future<Output = Result<SemaphorePermit<'a>, AcquireError>>,
{
    match turn {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}

/// Makes one call. The permit is given back before the answer is looked at.
async fn send<T>(core: &Core, call: Call<T>, permit: SemaphorePermit<'_>) -> (Call<T>, Result<Vec<usize>, StoreError>) {
    let answer = core.store.write(call.group.table(), &call.records).await;
    drop(permit);
    (call, answer)
}

/// Deals with the answer to a call.
fn settle<L: Ledger>(
    mut call: Call<L::Tag>,
    answer: Result<Vec<usize>, StoreError>,
    ledger: &mut L,
    schedule: &mut Schedule<L::Tag>,
) {
    match answer {
        Ok(unprocessed) if unprocessed.is_empty() => ledger.written(call.group, call.tags),
        Ok(unprocessed) => {
            let mut again = call.emptied();
            let mut written = Vec::with_capacity(call.len());
            let mut is_unprocessed = vec![false; call.len()];
            for at in unprocessed {
                // A position beyond the rows says nothing of any of them.
                if let Some(entry) = is_unprocessed.get_mut(at) {
                    *entry = true;
                }
            }
            for ((record, tag), unprocessed) in call.records.into_iter().zip(call.tags).zip(is_unprocessed) {
                if unprocessed {
                    let bytes = record.size();
                    again.push(record, bytes, tag);
                } else {
                    written.push(tag);
                }
            }
            let throttled = StoreError::Throttled { table: call.group.table().as_str().to_owned() };
            ledger.written(call.group, written);
            if again.len() > 0 {
                put_off(again, throttled, ledger, schedule);
            }
        }
        Err(error) if error.reason().is_passing() => put_off(call, error, ledger, schedule),
        Err(error) if call.len() > 1 && may_be_of_one_row(&error) => {
            // The good rows of a refused call get through in at most log2(25) rounds.
            call.again = true;
            let rest = call.split_off(call.len() / 2);
            schedule.add(call);
            schedule.add(rest);
        }
        Err(error) => call.tags.into_iter().for_each(|tag| ledger.failed(tag, error.clone())),
    }
}

fn put_off<L: Ledger>(call: Call<L::Tag>, error: StoreError, ledger: &mut L, schedule: &mut Schedule<L::Tag>) {
    call.tags.iter().for_each(|tag| ledger.refused(tag, &error));
    if let Err(call) = schedule.put_off(call, Instant::now(), ledger.deadline()) {
        call.tags.into_iter().for_each(|tag| ledger.failed(tag, error.clone()));
    }
}

/// Whether a call may have been refused because of one of its rows. What is wrong with the table or
/// the credentials is wrong for every row, and halving would only multiply the calls.
fn may_be_of_one_row(error: &StoreError) -> bool {
    !matches!(error, StoreError::NoSuchTable { .. } | StoreError::AccessDenied { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_jittered_grow_and_stay_under_the_cap() {
        let (base, cap) = (Duration::from_millis(25), Duration::from_secs(1));
        let mut backoff = Backoff { base, cap, rng: Rng::with_seed(7) };
        let mut last_mean = Duration::ZERO;
        for attempt in 0..8 {
            let ceiling = (base * 2_u32.pow(attempt)).min(cap);
            let draws: Vec<_> = (0..1_000).map(|_| backoff.draw(attempt)).collect();
            assert!(draws.iter().all(|draw| *draw <= ceiling), "attempt {attempt}");
            let mean = draws.iter().sum::<Duration>() / 1_000;
            // Evenly from zero: the mean is half the ceiling, and the ends are reached.
            assert!(mean.abs_diff(ceiling / 2) < ceiling / 20, "attempt {attempt}: {mean:?}");
            assert!(draws.iter().min() < Some(&(ceiling / 50)) && draws.iter().max() > Some(&(ceiling / 50 * 49)));
            assert!(mean > last_mean || ceiling == cap, "attempt {attempt}: {mean:?}");
            last_mean = mean;
        }
        assert!(backoff.draw(u32::MAX) <= cap);
    }

    #[test]
    fn the_seed_decides_the_waits() {
        let waits = |seed| {
            let (base, cap) = (Duration::from_millis(25), Duration::from_secs(1));
            let mut backoff = Backoff { base, cap, rng: Rng::with_seed(seed) };
            (0..10).map(|attempt| backoff.draw(attempt)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
