//! Starts calls by priority, limits their number, and retries failed ones.

use std::collections::BTreeMap;

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::{
    call::{Attempts, Call},
    context::{Answer, WriterContext},
    group::CallGroup,
    packer::CallPacker,
    pending_write::Outcome,
    window::LingerWindow,
};
use crate::error::StoreError;

/// Makes all calls of a window. Returns when all rows are decided, or at the deadline.
pub(super) async fn run(context: &WriterContext, window: &LingerWindow) {
    let mut schedule = Schedule::new(context);
    let mut in_flight = FuturesUnordered::new();
    loop {
        let now = Instant::now();
        let ready = window.take_ready(now);
        if now >= ready.deadline {
            return;
        }
        ready.calls.into_iter().for_each(|call| schedule.add(call));
        schedule.add_delayed(now);
        if schedule.is_empty() && in_flight.is_empty() && ready.closes_at.is_none() {
            return;
        }
        let wake_at = [ready.closes_at, schedule.next_retry()].into_iter().flatten().min();
        tokio::select! {
            biased;
            Ok(permit) = context.permits.acquire(), if schedule.has_ready() => {
                in_flight.extend(schedule.next().map(|call| context.send(call, permit)));
            }
            Some((call, answer)) = in_flight.next(), if !in_flight.is_empty() => {
                schedule.settle(call, answer, ready.deadline);
            }
            () = window.changed() => {}
            () = sleep_until(wake_at.unwrap_or(ready.deadline).min(ready.deadline)) => {}
        }
    }
}

/// The calls that are not in flight.
struct Schedule<'a> {
    context: &'a WriterContext,
    /// Calls that can start, by group and then by age.
    ready: BTreeMap<(CallGroup, u64), Call>,
    added: u64,
    /// Calls that wait for a retry.
    delayed: Vec<DelayedCall>,
}

/// A call that waits for its retry. Rows of several calls of one group wait together, so it may
/// have too many rows for one call, and rows of the same key.
struct DelayedCall {
    retry_at: Instant,
    call: Call,
}

impl<'a> Schedule<'a> {
    fn new(context: &'a WriterContext) -> Self {
        Self { context, ready: BTreeMap::new(), added: 0, delayed: Vec::new() }
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty()
    }

    fn add(&mut self, call: Call) {
        self.added += 1;
        self.ready.insert((call.group, self.added), call);
    }

    /// Adds the calls whose delay is over.
    fn add_delayed(&mut self, now: Instant) {
        let due: Vec<_> = self.delayed.extract_if(.., |delayed| delayed.retry_at <= now).collect();
        for DelayedCall { call, .. } in due {
            let mut packer = CallPacker::new(self.context.max_items);
            call.rows.into_iter().for_each(|(key, row)| packer.add(key, row));
            let attempts = call.attempts;
            packer.take_all().into_iter().for_each(|call| self.add(Call { attempts, ..call }));
        }
    }

    fn next_retry(&self) -> Option<Instant> {
        self.delayed.iter().map(|delayed| delayed.retry_at).min()
    }

    /// The next call to start.
    fn next(&mut self) -> Option<Call> {
        while let Some((_, mut call)) = self.ready.pop_first() {
            call.drop_abandoned_rows();
            if !call.rows.is_empty() {
                return Some(call);
            }
        }
        None
    }

    /// Processes the answer to a call.
    fn settle(&mut self, call: Call, answer: Answer, deadline: Instant) {
        match answer {
            Ok(unprocessed) => {
                let throttled = StoreError::Throttled { table: call.group.table().as_str().to_owned() };
                let rest = call.keep_unprocessed(&unprocessed);
                if !rest.rows.is_empty() {
                    self.retry(rest, &throttled, deadline);
                }
            }
            Err(error) if error.reason().is_passing() => self.retry(call, &error, deadline),
            // The valid rows of a refused call are written after at most log2(25) halvings.
            Err(error) if call.rows.len() > 1 && may_concern_one_row(&error) => {
                call.halves().into_iter().for_each(|half| self.add(half));
            }
            Err(error) => call.report(&Outcome::Failed(error)),
        }
    }

    /// Delays a call. Rows of one group are retried together, when the first of them is. A call
    /// fails if its delay would not end before the deadline.
    fn retry(&mut self, mut call: Call, error: &StoreError, deadline: Instant) {
        let delay = self.context.backoff.delay(call.attempts.passing_failures);
        let passing_failures = call.attempts.passing_failures + 1;
        call.attempts = Attempts { is_retry: true, passing_failures };
        call.report(&Outcome::Open(Some(error.clone())));
        let mut delayed = self.delayed.iter_mut().map(|delayed| &mut delayed.call);
        if !call.is_single()
            && let Some(delayed) = delayed.find(|delayed| delayed.group == call.group && !delayed.is_single())
        {
            delayed.attempts.passing_failures = delayed.attempts.passing_failures.max(passing_failures);
            delayed.rows.extend(call.rows);
            return;
        }
        let retry_at = Instant::now() + delay;
        if retry_at >= deadline {
            call.report(&Outcome::Failed(error.clone()));
            return;
        }
        tracing::debug!(
            table = call.group.table().as_str(),
            rows = call.rows.len(),
            attempt = passing_failures,
            delay_ms = delay.as_millis() as u64,
            "rows are retried after a delay"
        );
        self.delayed.push(DelayedCall { retry_at, call });
    }
}

/// Whether one row of the call may be the cause of an error. A missing table or missing permissions
/// concern all rows, and halving would only multiply the calls.
fn may_concern_one_row(error: &StoreError) -> bool {
    !matches!(error, StoreError::NoSuchTable { .. } | StoreError::AccessDenied { .. })
}
