//! One call to Redis: pending invalidations before it, counters, and the circuit breaker after it.

use std::time::Duration;

use millrace_domain::PlayerId;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::{
    cache::{Core, OperationCounters},
    command::{self, Forget},
    housekeeping::Traffic,
    reply::{Failure, Reply, describe},
};
use crate::kind::DataKind;

/// The housekeeping and the pending invalidations of a call.
pub(super) struct Call<'a> {
    pub(super) traffic: Traffic<'a>,
    /// Players that are about to be read: their pending invalidations come first.
    pub(super) reads: &'a [PlayerId],
    /// The invalidations that become pending if the call is not answered: one for each command, or
    /// none at all.
    pub(super) invalidations: Vec<(PlayerId, Forget)>,
}

impl Default for Call<'_> {
    fn default() -> Self {
        Self { traffic: Traffic::Other, reads: &[], invalidations: Vec::new() }
    }
}

impl Core {
    /// The command that replaces a player's copy by a tombstone.
    pub(super) fn forget(&self, player: &PlayerId, which: Forget) -> Cmd {
        command::forget(&self.queue_key(player), which, self.settings.tombstone_ttl)
    }

    /// Sends the commands of a call, and pending invalidations before them. Returns the reply to
    /// each command, and why some were not answered.
    pub(super) async fn call(
        &self,
        counters: &OperationCounters,
        mut commands: Vec<Cmd>,
        call: Call<'_>,
    ) -> (Vec<Reply>, Option<Failure>) {
        let started = Instant::now();
        let mut pending = self.pending.take(call.reads);
        let sent_before = pending.len();
        if sent_before > 0 {
            let forgets = pending.iter().map(|(player, which)| self.forget(player, *which));
            commands.splice(0..0, forgets);
        }
        pending.extend(call.invalidations);
        let time = self.time_of_call(&commands, sent_before + call.reads.len());
        let mut running = RunningCall { core: self, pending, finished: false };
        counters.counts().calls += 1;

        let exchange = self.client.exchange(commands, call.traffic, time, self.moment()).await;

        running.finished = true;
        let pending = std::mem::take(&mut running.pending);
        counters.counts().round_trips += exchange.round_trips;
        counters.latency.record(started.elapsed());
        let mut replies = exchange.replies;
        if let Some(failure) = &exchange.failure {
            counters.counts().failures += 1;
            let unanswered = pending.into_iter().zip(&replies).filter(|(_, reply)| matches!(reply, Reply::Missing));
            self.pending.add(unanswered.map(|(invalidation, _)| invalidation));
            self.failed(failure);
        } else {
            self.succeeded();
        }
        replies.drain(..sent_before);
        (replies, exchange.failure)
    }

    /// A command may read many players.
    fn time_of_call(&self, commands: &[Cmd], players: usize) -> Duration {
        self.settings.time_of_call(commands.len().max(players))
    }

    /// Reads the value of a reply and counts it. A value that is missing counts for the kind
    /// `missing`.
    pub(super) fn read<T>(
        &self,
        player: &PlayerId,
        missing: DataKind,
        reply: Reply,
        decode: impl FnOnce(&[u8]) -> Result<Option<(DataKind, T)>, String>,
    ) -> Result<Option<T>, Unreadable> {
        let unanswered = matches!(reply, Reply::Missing);
        let (value, bytes) = match reply {
            Reply::Value(Value::BulkString(bytes)) => (decode(&bytes), bytes.len()),
            Reply::Refused(error) => (Err(describe(&error)), 0),
            Reply::Value(_) | Reply::Missing => (Ok(None), 0),
        };
        let mut kinds = self.kinds();
        match value {
            Ok(Some((kind, value))) => {
                kinds[kind].hits += 1;
                kinds[kind].bytes_read += bytes as u64;
                Ok(Some(value))
            }
            Ok(None) => {
                kinds[missing].misses += 1;
                kinds[missing].errors += u64::from(unanswered);
                Ok(None)
            }
            Err(error) => {
                kinds[missing].misses += 1;
                kinds[missing].errors += 1;
                tracing::debug!(player = player.as_str(), error, "a value in Redis cannot be read");
                Err(Unreadable)
            }
        }
    }

    /// Counts the reply to a put. Returns whether it was not refused.
    pub(super) fn count_put(&self, player: &PlayerId, kind: DataKind, reply: &Reply) -> bool {
        let mut kinds = self.kinds();
        match reply {
            Reply::Value(Value::Int(0)) => kinds[kind].outdated += 1,
            Reply::Value(_) => kinds[kind].sets += 1,
            Reply::Missing => kinds[kind].errors += 1,
            Reply::Refused(error) => {
                kinds[kind].errors += 1;
                tracing::debug!(player = player.as_str(), error = describe(error), "Redis refused a value");
                return false;
            }
        }
        true
    }
}

/// A value that cannot be read. The reason was counted and logged.
pub(super) struct Unreadable;

/// A running call. One that is dropped was cancelled: it has failed, and its invalidations are
/// pending.
struct RunningCall<'a> {
    core: &'a Core,
    pending: Vec<(PlayerId, Forget)>,
    finished: bool,
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.core.client.cancelled();
        self.core.pending.add(std::mem::take(&mut self.pending));
        self.core.failed(&Failure::cancelled());
    }
}
