//! The Redis cache: its client, its circuit breaker and its counters.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_domain::{PlayerId, Timestamp, codec::CachedQueue};
use tokio::time::Instant;

use super::{
    client::Client,
    connection::Connector,
    pending_invalidations::PendingInvalidations,
    settings::{RedisCacheSettings, RedisCredentials, RedisSettingsError},
    value,
};
use crate::{
    breaker::{Breaker, Moment},
    kind::{DataKind, PerKind},
    state::SharedCacheState,
    statistics::{LatencyRecorder, Operation, SharedFigures, SharedStatistics},
};

/// The shared cache in Redis or Valkey. Clones share its connection.
#[derive(Clone)]
pub struct RedisCache {
    pub(super) core: Arc<Core>,
}

pub(super) struct Core {
    pub(super) settings: RedisCacheSettings,
    pub(super) client: Client,
    pub(super) breaker: Mutex<Breaker>,
    pub(super) pending: PendingInvalidations,
    jitter: Mutex<fastrand::Rng>,
    started: Instant,
    kinds: Mutex<PerKind<SharedFigures>>,
    pub(super) get: OperationCounters,
    pub(super) put: OperationCounters,
    pub(super) forget: OperationCounters,
    pub(super) upkeep: OperationCounters,
    pub(super) openings: AtomicU64,
    /// For background tasks, which do not keep it alive.
    pub(super) itself: Weak<Self>,
}

#[derive(Default)]
pub(super) struct OperationCounters {
    counts: Mutex<Operation>,
    pub(super) latency: LatencyRecorder,
}

impl RedisCache {
    /// Connects. A server that does not answer is not an error: it counts as a failure, is logged
    /// once, and later calls try again.
    ///
    /// # Errors
    /// [`RedisSettingsError`] for a setting with which Redis can never be reached.
    pub async fn connect(
        settings: RedisCacheSettings,
        credentials: Option<Arc<dyn RedisCredentials>>,
    ) -> Result<Self, RedisSettingsError> {
        let client = Client::new(Connector::new(&settings, credentials)?, &settings.key_prefix);
        let core = Arc::new_cyclic(|itself| Core {
            client,
            breaker: Mutex::new(Breaker::new(settings.breaker, settings.seed)),
            pending: PendingInvalidations::default(),
            jitter: Mutex::new(fastrand::Rng::with_seed(settings.seed ^ 0x7474_6c73)),
            started: Instant::now(),
            kinds: Mutex::default(),
            get: OperationCounters::default(),
            put: OperationCounters::default(),
            forget: OperationCounters::default(),
            upkeep: OperationCounters::default(),
            openings: AtomicU64::default(),
            settings,
            itself: itself.clone(),
        });
        if let Err(failure) = core.client.connection(Instant::now() + core.settings.time_to_connect()).await {
            tracing::warn!(reason = %failure, "Redis cannot be reached at the start; continuing without it");
            core.failed(&failure);
        }
        Ok(Self { core })
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisCache").field("settings", &self.core.settings).finish_non_exhaustive()
    }
}

impl OperationCounters {
    /// The counts, without the latency.
    pub(super) fn counts(&self) -> MutexGuard<'_, Operation> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operation(&self) -> Operation {
        Operation { latency: self.latency.latency(), ..*self.counts() }
    }
}

impl Core {
    pub(super) fn moment(&self) -> Moment {
        Moment {
            monotonic: self.started.elapsed(),
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// The key of a player's copy.
    pub(super) fn queue_key(&self, player: &PlayerId) -> String {
        self.key(DataKind::Queue, player)
    }

    /// The key of a player's value of a kind.
    pub(super) fn key(&self, kind: DataKind, player: &PlayerId) -> String {
        [self.settings.key_prefix.as_str(), key_space(kind), player.as_str()].concat()
    }

    /// The prefix of the keys of a kind. Copies of queues of all kinds have the same keys.
    pub(super) fn key_prefix(&self, kind: DataKind) -> String {
        [self.settings.key_prefix.as_str(), key_space(kind)].concat()
    }

    /// The counters by kind of data.
    pub(super) fn kinds(&self) -> MutexGuard<'_, PerKind<SharedFigures>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a copy; counts its bytes.
    pub(super) fn value(&self, copy: &CachedQueue) -> Vec<u8> {
        let value = value::encode(copy);
        self.kinds()[DataKind::of(copy)].bytes_written += value.len() as u64;
        value
    }

    /// How long a value lives that is put now. Emergency mode adds the time until its end.
    pub(super) fn ttl(&self, kind: DataKind, now: Timestamp) -> Duration {
        let ttl = self.jittered(self.settings.ttls[kind]);
        match self.client.housekeeping.emergency().filter(|emergency| emergency.is_on(now)) {
            Some(emergency) => ttl + Duration::from_millis(emergency.until.millis_since(now)),
            None => ttl,
        }
    }

    /// A time to live that is shortened at random.
    pub(super) fn jittered(&self, ttl: Duration) -> Duration {
        let random = self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64();
        ttl.mul_f64(1.0 - self.settings.ttl_jitter.clamp(0.0, 1.0) * random)
    }

    pub(super) fn statistics(self: &Arc<Self>) -> SharedStatistics {
        SharedStatistics {
            state: if self.breaker().is_closed() { SharedCacheState::Up } else { SharedCacheState::Down },
            kinds: *self.kinds(),
            get: self.get.operation(),
            put: self.put.operation(),
            forget: self.forget.operation(),
            upkeep: self.upkeep.operation(),
            connections: self.client.connector.attempts.load(Ordering::Relaxed),
            openings: self.openings.load(Ordering::Relaxed),
            pending_invalidations: self.pending.len() as u64,
            server: self.client.housekeeping.server_statistics(),
        }
    }
}

fn key_space(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Queue | DataKind::Progress | DataKind::Stats => "queue:",
        DataKind::Frequent => "frequent:",
    }
}
