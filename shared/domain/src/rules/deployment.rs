//! What a deployment decides for all its queues.

use crate::model::time::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Rules that hold for every queue of a deployment. They are passed to each call and not stored in
/// rows, so a change takes effect at once. By default no queue is paused for inactivity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// The time without a command after which a queue with something due is paused; none: never.
    pause_after_ms: Option<u64>,
}

impl Rules {
    /// Pauses queues after so many days without a command; 0: never.
    #[must_use]
    pub fn pause_after_days(self, days: u64) -> Self {
        self.pause_after_millis(days.saturating_mul(DAY_MS))
    }

    /// Pauses queues after so many milliseconds without a command; 0: never.
    #[must_use]
    pub fn pause_after_millis(self, millis: u64) -> Self {
        Self { pause_after_ms: (millis > 0).then_some(millis) }
    }

    /// When a queue that was last active at `active_at` counts as inactive; none: never.
    pub(crate) fn inactive_at(self, active_at: Timestamp) -> Option<Timestamp> {
        self.pause_after_ms.map(|millis| active_at + millis)
    }

    /// Whether a report that decides nothing must be written all the same, because it shows that
    /// the player is active. This happens at most 24 times in the time that makes a queue inactive.
    pub(crate) fn renews_activity(self, active_at: Timestamp, at: Timestamp) -> bool {
        self.pause_after_ms.is_some_and(|millis| at.millis_since(active_at) >= (millis / 24).max(1))
    }
}

#[cfg(test)]
mod tests;
