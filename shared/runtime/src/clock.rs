//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_domain::Timestamp;
use millrace_service::Clock;

/// The clock of this machine, in UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The time of this machine's clock; a clock before 1970 counts as 1970.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_time() {
        let before = SystemTime::now();
        let now = UNIX_EPOCH + std::time::Duration::from_millis(SystemClock.now().as_millis() + 1);
        assert!(now >= before, "the clock is behind");
        assert!(SystemClock.now().as_millis() > 1_700_000_000_000);
    }
}
