//! Minutes of the server's clock.

use millrace_domain::Timestamp;

const MINUTE_MS: u64 = 60_000;

/// How many minutes the history keeps: a day.
pub const KEPT_MINUTES: u64 = 24 * 60;

/// A minute, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minute(pub u64);

impl Minute {
    /// The minute that contains a moment.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_millis() / MINUTE_MS)
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(MINUTE_MS))
    }

    /// So many minutes later.
    #[must_use]
    pub fn plus(self, minutes: u64) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// So many minutes earlier.
    #[must_use]
    pub fn minus(self, minutes: u64) -> Self {
        Self(self.0.saturating_sub(minutes))
    }
}
