//! The connection pool.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};

/// Connections to one server, which can be replaced all at once.
///
/// When a frozen process resumes, the server has closed its connections. The pool of the HTTP
/// client measures idle time by the monotonic clock, which may have stood still. Therefore the
/// whole pool is replaced after a long idle time by the wall clock, and when a connection breaks.
pub(super) struct ConnectionPool {
    idle_timeout: Duration,
    max_connections: usize,
    current: RwLock<Generation>,
    last_used: Mutex<SystemTime>,
}

/// The HTTP client of the pool, which owns its connections.
struct Generation {
    number: u64,
    client: SharedHttpClient,
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPool").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl ConnectionPool {
    pub(super) fn new(max_connections: usize, idle_timeout: Duration) -> Self {
        let current = Generation { number: 0, client: http_client(max_connections, idle_timeout) };
        Self { idle_timeout, max_connections, current: RwLock::new(current), last_used: Mutex::new(SystemTime::now()) }
    }

    fn generation(&self) -> u64 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Drops all connections of a generation. Calls in progress keep theirs.
    pub(super) fn replace(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // If many calls find their connections broken, only the first replaces the pool.
        if current.number == generation {
            let client = http_client(self.max_connections, self.idle_timeout);
            *current = Generation { number: generation + 1, client };
        }
    }

    /// Drops all connections.
    pub(super) fn close(&self) {
        self.replace(self.generation());
    }

    /// Records that a call is about to be sent, and replaces the pool after a long idle time.
    /// Returns the generation for [`replace`](Self::replace).
    pub(super) fn prepare_call(&self) -> u64 {
        let now = SystemTime::now();
        // The guard is held to the end, so that a concurrent call uses the new pool.
        let mut last_used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        // If the clock was set back, the idle time is unknown.
        if now.duration_since(*last_used).is_ok_and(|idle| idle > self.idle_timeout) {
            self.replace(self.generation());
        }
        *last_used = now;
        self.generation()
    }
}

fn http_client(max_connections: usize, idle_timeout: Duration) -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(max_connections)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// The pool as the HTTP client of the SDK.
#[derive(Debug)]
pub(super) struct PooledHttpClient(pub(super) Arc<ConnectionPool>);

impl HttpClient for PooledHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let client = self.0.current.read().unwrap_or_else(PoisonError::into_inner).client.clone();
        client.http_connector(settings, components)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// The monotonic clock may stand still in a frozen process, so only the wall clock shows this.
    #[test]
    fn pool_is_replaced_after_the_idle_timeout_by_the_wall_clock() {
        let pool = ConnectionPool::new(2, IDLE);
        let generation_after = |last_used: SystemTime| {
            *pool.last_used.lock().unwrap() = last_used;
            pool.prepare_call()
        };
        let now = SystemTime::now();
        assert_eq!(generation_after(now - Duration::from_secs(50)), 0);
        assert_eq!(generation_after(now - Duration::from_secs(61)), 1);
        assert_eq!(pool.prepare_call(), 1, "it was used just now");
        assert_eq!(generation_after(now + Duration::from_secs(3600)), 1, "the clock was set back");
        assert_eq!(pool.prepare_call(), 1);
    }

    #[test]
    fn only_the_first_broken_call_replaces_the_pool() {
        let pool = ConnectionPool::new(2, IDLE);
        for _ in 0..10 {
            pool.replace(0);
        }
        assert_eq!(pool.generation(), 1);
    }
}
