//! The tier that all processes share: Redis or Valkey, one node or a cluster.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`settings`] | what the tier is told, and where credentials come from |
//! | [`value`] | a copy of a queue as Redis holds it |
//! | `command` | the scripts, and the commands with one key each |
//! | `topology` | the nodes there are, and to which of them a key belongs |
//! | `connector` | opens connections, finds out about the nodes of a cluster |
//! | `client` | one pipeline a node, and what is repeated |
//! | `verdict` | what an answer means |
//! | `calls` | get, put and forget |
//! | `owed` | whose last copy Redis has not got |
//! | `information` | what the nodes say of themselves: evictions, memory |
//! | `companions` | what rides along in the pipelines of others |
//! | `upkeep`, `ask` | what is done beside serving; questions to nodes, whatever keys they have |
//!
//! # What is promised
//! - **One round trip** for any number of players. In a cluster it is one pipeline a node, all at the same
//!   time. A second one is made only where a connection was cut, a key has moved or a script was lost.
//! - **A version never moves backwards.** A value begins with its stamp; a script compares and sets.
//! - **A call takes no longer than its time**, whatever Redis does. After some failures in a row the
//!   breaker opens and calls return at once. One probe at a time is tried beside the work, on a new
//!   connection, and writes: a primary that became a replica does not pass for one that is well.
//! - **An outage leaves no older copy behind for long.** Whose put failed is remembered, and told to Redis
//!   with the next call that it answers.
//! - **Nobody else is harmed** by a value that is damaged or of a newer version: that is a miss and an error.
//!
//! # Commands that the user needs
//! `MGET`, `GET`, `SET`, `GETRANGE`, `DEL`, `EVALSHA`, `SCRIPT|LOAD`, and in a cluster `CLUSTER|SLOTS` and `ASKING`,
//! on keys that begin with the prefix. With `INFO` the statistics tell of evictions and memory; with `ZADD`,
//! `ZREMRANGEBYRANK` and `PEXPIRE` it is remembered who is active, to be warmed; with `LPUSH` and `LTRIM` processes
//! share their reports. Without them everything else is the same. The upkeep needs these, and `SCAN`, `UNLINK`,
//! `PTTL`, `DBSIZE`, `PING`, `ZREVRANGE`, `ZREVRANGEBYSCORE`, `ZREMRANGEBYSCORE` and `LRANGE`.
//!
//! # Why not the library's own managers
//! The connections are redis-rs's multiplexed ones; when a new one is made is decided here.
//! Its `ConnectionManager` does not reconnect after time-outs or `READONLY`, and where it reconnects it
//! gives the error to the caller. Its cluster client takes no pipeline over several slots: a thousand
//! players would be as many pipelines. It repeats without regard to the caller's time, and it keeps
//! the password of its start, which for a token is no good after some minutes.

mod ask;
mod calls;
mod client;
mod command;
mod companions;
mod connector;
mod information;
mod owed;
pub mod settings;
mod topology;
mod upkeep;
pub mod value;
mod verdict;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

pub use settings::{Credentials, RedisCredentials, RedisMode, RedisTierError, RedisTierSettings};

use crate::{
    breaker::{Breaker, Moment},
    kind::PerKind,
    remote::TierState,
    statistics::{Counter, LatencyRecorder, Operation, RemoteFigures, RemoteStatistics},
};
use client::Client;
use connector::Connector;
use owed::Owed;
use verdict::Failure;

/// The tier that all processes share. Clones share its connections.
#[derive(Clone)]
pub struct RedisTier {
    shared: Arc<Shared>,
}

struct Shared {
    settings: RedisTierSettings,
    client: Client,
    breaker: Mutex<Breaker>,
    owed: Owed,
    /// Jitter of times to live.
    random: Mutex<fastrand::Rng>,
    began: Instant,
    kinds: PerKind<KindCounters>,
    get: OperationCounters,
    put: OperationCounters,
    forget: OperationCounters,
    upkeep: OperationCounters,
    openings: Counter,
}

#[derive(Default)]
struct KindCounters {
    hits: Counter,
    misses: Counter,
    sets: Counter,
    outdated: Counter,
    errors: Counter,
    bytes_read: Counter,
    bytes_written: Counter,
}

#[derive(Default)]
struct OperationCounters {
    calls: Counter,
    round_trips: Counter,
    failures: Counter,
    latency: LatencyRecorder,
}

impl RedisTier {
    /// Connects. A Redis that does not answer stops nothing: that counts as a failure, is logged once,
    /// and is tried again.
    ///
    /// # Errors
    /// [`RedisTierError`] for a setting with which no Redis can ever be reached.
    pub async fn connect(
        settings: RedisTierSettings,
        credentials: Option<Arc<dyn RedisCredentials>>,
    ) -> Result<Self, RedisTierError> {
        let client = Client::new(Connector::new(&settings, credentials)?, &settings.key_prefix);
        let shared = Arc::new(Shared {
            client,
            breaker: Mutex::new(Breaker::new(settings.breaker, settings.seed)),
            owed: Owed::default(),
            random: Mutex::new(fastrand::Rng::with_seed(settings.seed ^ 0x7474_6c73)),
            began: Instant::now(),
            kinds: PerKind::default(),
            get: OperationCounters::default(),
            put: OperationCounters::default(),
            forget: OperationCounters::default(),
            upkeep: OperationCounters::default(),
            openings: Counter::default(),
            settings,
        });
        if let Err(failure) = shared.client.connect(Instant::now() + shared.settings.time_to_connect()).await {
            tracing::warn!(reason = %failure, "Redis cannot be reached at the start; going on without it");
            shared.breaker().failure(shared.moment());
        }
        Ok(Self { shared })
    }

    fn figures(&self) -> RemoteStatistics {
        let shared = &self.shared;
        RemoteStatistics {
            state: self.shared.state(),
            kinds: shared.kinds.map(|counters| RemoteFigures {
                hits: counters.hits.get(),
                misses: counters.misses.get(),
                sets: counters.sets.get(),
                outdated: counters.outdated.get(),
                errors: counters.errors.get(),
                bytes_read: counters.bytes_read.get(),
                bytes_written: counters.bytes_written.get(),
            }),
            get: shared.get.operation(),
            put: shared.put.operation(),
            forget: shared.forget.operation(),
            upkeep: shared.upkeep.operation(),
            connections: shared.client.connections(),
            openings: shared.openings.get(),
            owed: shared.owed.len() as u64,
            server: shared.client.server_statistics(),
        }
    }
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisTier").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl OperationCounters {
    fn operation(&self) -> Operation {
        Operation {
            calls: self.calls.get(),
            round_trips: self.round_trips.get(),
            failures: self.failures.get(),
            latency: self.latency.latency(),
        }
    }
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment {
            monotonic: self.began.elapsed(),
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    fn state(&self) -> TierState {
        if self.breaker().is_closed() { TierState::Up } else { TierState::Down }
    }

    /// The same, and begins a probe if it is time for one. Nothing probes while nobody asks: a frozen
    /// sandbox has no timers.
    fn state_and_probe(self: &Arc<Self>) -> TierState {
        let mut breaker = self.breaker();
        if breaker.is_closed() {
            return TierState::Up;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && breaker.claim_probe(self.moment())
        {
            drop(breaker);
            let probe = Probe { shared: Arc::clone(self), over: false };
            runtime.spawn(probe.run());
        }
        TierState::Down
    }

    /// A call was answered.
    fn succeeded(&self) {
        self.breaker().success();
    }

    /// A call was not answered.
    fn failed(&self, failure: &Failure) {
        let now = self.moment();
        let opened = {
            let mut breaker = self.breaker();
            if failure.refuses_writes { breaker.trip(now) } else { breaker.failure(now) }
        };
        if opened {
            self.openings.add(1);
            tracing::warn!(reason = %failure, "Redis fails; going on without it for a while");
        } else {
            tracing::debug!(reason = %failure, "a call to Redis failed");
        }
    }
}

/// A probe under way; one that is dropped has failed, so that there can be a next one.
struct Probe {
    shared: Arc<Shared>,
    over: bool,
}

impl Probe {
    async fn run(mut self) {
        let settings = &self.shared.settings;
        // New connections, to where the name leads now.
        self.shared.client.discard();
        let result = self.shared.client.probe(settings, self.shared.moment()).await;
        self.over = true;
        self.shared.breaker().probed(result.is_ok(), self.shared.moment());
        match result {
            Ok(()) => tracing::info!("Redis answers again"),
            Err(failure) => tracing::debug!(reason = %failure, "Redis still fails"),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.over {
            self.shared.breaker().probed(false, self.shared.moment());
        }
    }
}
