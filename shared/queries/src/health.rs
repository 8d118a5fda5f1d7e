//! Health: whether the store and the shared cache answer, and how long that takes.

use std::time::{Duration, Instant};

use millrace_cache::SharedCacheState;
use millrace_domain::FailureReason;
use millrace_pipeline::{Platform, counters::millis};
use serde::Serialize;
use tokio::time::timeout;

/// How long each part may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The health of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every part answers.
    Ok,
    /// The shared cache does not answer: answers are right, and slower.
    Degraded,
    /// The store does not answer.
    Down,
}

/// The health of the service and of its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// All parts together.
    pub status: Status,
    /// The store.
    pub store: Part,
    /// The shared cache.
    pub cache: Part,
}

/// The health of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// `up`, `down`, or `off` where none is configured.
    pub state: SharedCacheState,
    /// How long the answer took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<FailureReason>,
}

/// Asks the store and the shared cache at the same time.
pub async fn health(platform: &Platform) -> Health {
    let store = async {
        let started = Instant::now();
        let error_type = match timeout(PING_TIMEOUT, platform.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                Some(error.reason())
            }
            Err(_) => Some(FailureReason::StoreTimedOut),
        };
        Part::of(error_type, started)
    };
    let cache = async {
        let started = Instant::now();
        match timeout(PING_TIMEOUT, platform.cache.ping_shared()).await {
            Ok(SharedCacheState::Off) => Part { state: SharedCacheState::Off, latency_ms: None, error_type: None },
            Ok(SharedCacheState::Up) => Part::of(None, started),
            Ok(SharedCacheState::Down) | Err(_) => Part::of(Some(FailureReason::CacheUnavailable), started),
        }
    };
    let (store, cache) = futures::join!(store, cache);
    let status = match (store.state, cache.state) {
        (SharedCacheState::Up, SharedCacheState::Down) => Status::Degraded,
        (SharedCacheState::Up, _) => Status::Ok,
        _ => Status::Down,
    };
    Health { status, store, cache }
}

impl Part {
    fn of(error_type: Option<FailureReason>, started: Instant) -> Self {
        match error_type {
            None => Self { state: SharedCacheState::Up, latency_ms: Some(millis(started.elapsed())), error_type },
            Some(_) => Self { state: SharedCacheState::Down, latency_ms: None, error_type },
        }
    }
}
