//! What a deployment decides for all its queues.

use crate::time::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Rules that hold for every queue of a deployment. They come in as a value with each call: a row does
/// not know them, so changing one takes effect at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// After how many milliseconds without a command a queue with something due is paused; none: never.
    pause_after_ms: Option<u64>,
}

impl Rules {
    /// Queues without a command for so many days are paused; 0: never.
    #[must_use]
    pub fn pause_after_days(self, days: u64) -> Self {
        self.pause_after_millis(days.saturating_mul(DAY_MS))
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn pause_after_millis(self, millis: u64) -> Self {
        Self { pause_after_ms: (millis > 0).then_some(millis) }
    }

    /// When a queue whose last command took effect at `active_at` counts as inactive.
    pub(crate) fn inactive_from(self, active_at: Timestamp) -> Option<Timestamp> {
        self.pause_after_ms.map(|millis| active_at + millis)
    }

    /// Whether a report that decides nothing else has to be written all the same, because it shows that
    /// the player is active: at most 24 times in the time after which a queue is paused.
    pub(crate) fn renews_activity(self, active_at: Timestamp, at: Timestamp) -> bool {
        self.pause_after_ms.is_some_and(|millis| at.millis_since(active_at) >= (millis / 24).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days_and_none_is_never() {
        let at = Timestamp::from_millis;
        let rules = Rules::default().pause_after_days(30);
        assert_eq!(rules.inactive_from(at(5)), Some(at(5 + 30 * DAY_MS)));
        assert!(!rules.renews_activity(at(0), at(30 * DAY_MS / 24 - 1)));
        assert!(rules.renews_activity(at(0), at(30 * DAY_MS / 24)));
        for never in [Rules::default(), rules.pause_after_days(0)] {
            assert_eq!(never.inactive_from(at(5)), None);
            assert!(!never.renews_activity(at(0), at(u64::MAX)));
        }
    }
}
