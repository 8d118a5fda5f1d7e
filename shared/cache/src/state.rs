//! Whether the shared cache is in use.

use serde::Serialize;

/// Whether the shared cache is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedCacheState {
    /// The circuit breaker is closed: calls are made.
    Up,
    /// The circuit breaker is open after repeated failures: no calls are made for a while.
    Down,
    /// None is configured.
    #[default]
    Off,
}
