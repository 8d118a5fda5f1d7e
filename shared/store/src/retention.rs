//! How long records are kept.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long records are kept after they are written.
///
/// The time of writing counts, not the end of the task. A player who returns after a long time
/// finds the tasks that were completed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For finished tasks.
    pub history: Duration,
    /// For refused commands and malformed input.
    pub rejections: Duration,
    /// For published events.
    pub events: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { history: 90 * DAY, rejections: 30 * DAY, events: DAY }
    }
}

#[cfg(any(feature = "sqlite", feature = "dynamodb"))]
impl Retention {
    /// When a record that is written now expires, in seconds since 1970; `None` if it does not.
    pub(crate) fn expires_at(&self, record: &millrace_domain::Record, now_s: u64) -> Option<u64> {
        use millrace_domain::Record;
        match record {
            Record::History(_) => Some(now_s.saturating_add(self.history.as_secs())),
            Record::Rejection(_) => Some(now_s.saturating_add(self.rejections.as_secs())),
            Record::Events(_) => Some(now_s.saturating_add(self.events.as_secs())),
            Record::Stats(_) | Record::Progress(_) => None,
        }
    }
}

/// The time of the machine in seconds since 1970. It decides only which rows have expired.
#[cfg(any(feature = "sqlite", feature = "dynamodb"))]
pub(crate) fn now_s() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
