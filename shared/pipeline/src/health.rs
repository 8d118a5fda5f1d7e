//! Health: whether what the service stands on can be reached, and how long that takes.

use std::time::{Duration, Instant};

use millrace_cache::SharedCacheState;
use serde::Serialize;
use tokio::time::timeout;

use crate::{report::thousandths, service::Service};

/// How long a sign of life is waited for: whoever asks for health wants to know soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything answers.
    Ok,
    /// The shared cache does not answer: all is right, and slower.
    Degraded,
    /// The store does not answer.
    Down,
}

/// What can be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The sum of it.
    pub status: Status,
    /// The store.
    pub store: Part,
    /// The shared cache tier.
    pub cache: Part,
}

/// One thing that the service stands on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// `up`, `down`, or `off` where none is configured.
    pub state: SharedCacheState,
    /// How long its sign of life took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// A stable code, where it gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<&'static str>,
}

impl Service {
    /// Asks the store and the shared cache tier for a sign of life, at the same time.
    pub async fn health(&self) -> Health {
        let store = async {
            let started = Instant::now();
            let error_type = match timeout(PATIENCE, self.store.ping()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the store gives no sign of life");
                    Some(error.reason().code())
                }
                Err(_) => Some("store_timed_out"),
            };
            Part::of(error_type, started)
        };
        let cache = async {
            let started = Instant::now();
            match timeout(PATIENCE, self.cache.ping_shared()).await {
                Ok(SharedCacheState::Off) => Part { state: SharedCacheState::Off, latency_ms: None, error_type: None },
                Ok(SharedCacheState::Up) => Part::of(None, started),
                Ok(SharedCacheState::Down) | Err(_) => Part::of(Some("cache_unavailable"), started),
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
}

impl Part {
    fn of(error_type: Option<&'static str>, started: Instant) -> Self {
        match error_type {
            None => Self {
                state: SharedCacheState::Up,
                latency_ms: Some(thousandths(started.elapsed().as_secs_f64() * 1000.0)),
                error_type,
            },
            Some(_) => Self { state: SharedCacheState::Down, latency_ms: None, error_type },
        }
    }
}
