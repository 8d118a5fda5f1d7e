//! Calls on the wire: at most so many at once, each bounded in time, each counted.
//!
//! The SDK retries nothing (its attempts would not be counted, and it would wait where the caller's
//! deadline is known better). What is tried again is decided here and nowhere else:
//!
//! | what happened | what is done |
//! |---|---|
//! | the connection broke | the same call once more, at once, on a new connection |
//! | throttled, or an error of the server | again after a jittered wait, [`MAX_TRIES`] times in all; records are left to the batcher |
//! | no answer in time, no connection, refused | nothing: the caller learns of it |
//!
//! Every call may be sent twice: commits are conditional, records are plain puts. A commit that took
//! place before its connection broke is answered as a conflict; whoever loads the queue then finds
//! its commands remembered.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    config::{HttpClient, RuntimeComponents, SharedHttpClient, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use tokio::sync::Semaphore;

use super::error::{About, Failure, Remedy, timed_out};
use crate::{error::StoreError, port::Connections};

/// How often a call is sent that the server refuses for the moment.
pub(super) const MAX_TRIES: u32 = 4;
/// The first wait is at most so long; the following ones up to twice as long each.
const BASE_WAIT: Duration = Duration::from_millis(25);

/// Connections to one server, which can be replaced by new ones.
///
/// A frozen process wakes with connections that the server has closed since. The pool itself measures
/// their age by the monotonic clock, which may have stood still, so it is replaced as a whole: where
/// nothing was sent for long by the wall clock, and where a connection proves to be broken.
pub(super) struct Pool {
    idle_timeout: Duration,
    max_connections: usize,
    current: RwLock<(u64, SharedHttpClient)>,
    last_used: Mutex<SystemTime>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(max_connections: usize, idle_timeout: Duration) -> Self {
        let current = RwLock::new((0, Self::build(max_connections, idle_timeout)));
        Self { idle_timeout, max_connections, current, last_used: Mutex::new(SystemTime::now()) }
    }

    fn build(max_connections: usize, idle_timeout: Duration) -> SharedHttpClient {
        aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(max_connections)
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_https()
    }

    fn generation(&self) -> u64 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets go of all connections made up to `generation`; calls on their way keep theirs.
    fn renew(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Of many calls that find their connections broken, one renews the pool.
        if current.0 == generation {
            *current = (generation + 1, Self::build(self.max_connections, self.idle_timeout));
        }
    }

    pub(super) fn close(&self) {
        self.renew(self.generation());
    }

    /// Notes that something is about to be sent; renews the pool where nothing was sent for long.
    fn touch(&self) -> u64 {
        let now = SystemTime::now();
        // CachedCopy to the end: whoever comes second finds the new pool.
        let mut last = lock(&self.last_used);
        // A clock that was set back tells nothing.
        if now.duration_since(*last).is_ok_and(|idle| idle > self.idle_timeout) {
            self.renew(self.generation());
        }
        *last = now;
        self.generation()
    }
}

/// The pool as the SDK's client holds it.
#[derive(Debug)]
pub(super) struct Pooled(pub(super) Arc<Pool>);

impl HttpClient for Pooled {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let client = self.0.current.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        client.http_connector(settings, components)
    }
}

/// The way of every call.
#[derive(Debug)]
pub(super) struct Calls {
    pool: Arc<Pool>,
    permits: Semaphore,
    max: usize,
    current: AtomicUsize,
    peak: AtomicUsize,
    connect_timeout: Duration,
    call_timeout: Duration,
    rng: Mutex<fastrand::Rng>,
}

/// Counts a call for as long as it is under way, however it ends.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Calls {
    pub(super) fn new(
        pool: Arc<Pool>,
        max: usize,
        connect_timeout: Duration,
        call_timeout: Duration,
        seed: Option<u64>,
    ) -> Self {
        Self {
            pool,
            permits: Semaphore::new(max),
            max,
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            connect_timeout,
            call_timeout,
            rng: Mutex::new(seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)),
        }
    }

    /// Sends a request once, or twice where its connection was broken. Adds what went over the wire to
    /// `round_trips`.
    pub(super) async fn send<O, E, R, F>(
        &self,
        about: About<'_>,
        round_trips: &AtomicU64,
        request: R,
    ) -> Result<O, Failure>
    where
        R: Fn() -> F,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let closed = |_| Failure::hard(StoreError::Unavailable { detail: "the store is closed".to_owned() });
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let current = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        let _under_way = UnderWay(&self.current);
        self.peak.fetch_max(current, Ordering::Relaxed);

        let mut reconnected = false;
        loop {
            let generation = self.pool.touch();
            round_trips.fetch_add(1, Ordering::Relaxed);
            // The SDK's futures are kilobytes.
            let failure = match tokio::time::timeout(self.call_timeout, Box::pin(request())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Failure::from_sdk(&error, about, self.connect_timeout),
                Err(_) => Failure::hard(timed_out(self.call_timeout)),
            };
            if failure.remedy != Remedy::Reconnect || reconnected {
                return Err(failure);
            }
            tracing::debug!(table = about.table, error = %failure.error, "a connection was broken; sending again");
            self.pool.renew(generation);
            reconnected = true;
        }
    }

    /// Sends a request, and again after a wait where the server refuses it for the moment.
    pub(super) async fn send_patiently<O, E, R, F>(
        &self,
        about: About<'_>,
        round_trips: &AtomicU64,
        request: R,
    ) -> Result<O, Failure>
    where
        R: Fn() -> F,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let mut tries = 1;
        loop {
            match self.send(about, round_trips, &request).await {
                Err(failure) if failure.remedy == Remedy::Wait && tries < MAX_TRIES => self.wait(tries).await,
                outcome => return outcome,
            }
            tries += 1;
        }
    }

    /// Waits after the `tries`-th try, with full jitter.
    pub(super) async fn wait(&self, tries: u32) {
        let longest = BASE_WAIT * 2_u32.saturating_pow(tries.saturating_sub(1).min(5));
        let drawn = longest.mul_f64(lock(&self.rng).f64());
        tokio::time::sleep(drawn).await;
    }

    pub(super) fn connections(&self) -> Connections {
        Connections {
            max: self.max,
            current: self.current.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
        }
    }

    pub(super) fn close(&self) {
        self.permits.close();
        self.pool.close();
    }
}

/// What is guarded is replaced in one step: a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// The monotonic clock stands still in a frozen process, so the pool cannot see this by itself.
    #[test]
    fn connections_that_rested_for_long_by_the_wall_clock_are_let_go() {
        let pool = Pool::new(2, IDLE);
        let touched = |last: SystemTime| {
            *lock(&pool.last_used) = last;
            pool.touch()
        };
        let now = SystemTime::now();
        assert_eq!(touched(now - Duration::from_secs(50)), 0);
        assert_eq!(touched(now - Duration::from_secs(61)), 1);
        assert_eq!(pool.touch(), 1, "it was used just now");
        assert_eq!(touched(now + Duration::from_secs(3600)), 1, "the clock was set back");
        assert_eq!(pool.touch(), 1);
    }

    #[test]
    fn of_many_calls_with_broken_connections_one_renews_the_pool() {
        let pool = Pool::new(2, IDLE);
        for _ in 0..10 {
            pool.renew(0);
        }
        assert_eq!(pool.generation(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_are_jittered_and_follow_from_the_seed() {
        let calls = |seed| Calls::new(Arc::new(Pool::new(1, IDLE)), 1, IDLE, IDLE, Some(seed));
        let waits = async |calls: &Calls, tries| {
            let started = tokio::time::Instant::now();
            for _ in 0..200 {
                calls.wait(tries).await;
            }
            started.elapsed() / 200
        };
        let (one, same, other) = (calls(1), calls(1), calls(2));
        let mut last = Duration::ZERO;
        for tries in 1..=3 {
            let mean = waits(&one, tries).await;
            let half = BASE_WAIT * 2_u32.pow(tries - 1) / 2;
            assert!(mean > half * 8 / 10 && mean < half * 12 / 10 + Duration::from_millis(1), "{tries}: {mean:?}");
            assert!(mean > last);
            last = mean;
            assert_eq!(waits(&same, tries).await, mean);
            assert_ne!(waits(&other, tries).await, mean);
        }
    }
}
