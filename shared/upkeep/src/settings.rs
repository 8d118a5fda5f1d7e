//! The settings of the upkeep.

use std::time::Duration;

/// The settings of the upkeep.
#[derive(Debug, Clone, Copy)]
pub struct UpkeepSettings {
    /// Most players that a warm-up covers, where the request does not say.
    pub warm_max_players: usize,
    /// The time until the next warm-up. A queue with something due before it is warmed, unless the
    /// request says otherwise, and a warmed copy lives until it.
    pub warm_interval: Duration,
}

impl Default for UpkeepSettings {
    fn default() -> Self {
        Self { warm_max_players: 1_000, warm_interval: Duration::from_secs(900) }
    }
}
