//! The progress of a run: what it works on, until when, and what it has counted.

use std::time::Duration;

use millrace_cache::{UpkeepError as CacheError, redis::RedisCache};
use millrace_pipeline::{Context, counters::Counters};
use tokio::time::Instant;

use crate::settings::UpkeepSettings;

/// One run on its way.
pub(crate) struct Progress<'a> {
    /// The invocation.
    pub(crate) ctx: &'a Context<'a>,
    /// The shared cache.
    pub(crate) cache: &'a RedisCache,
    /// The settings.
    pub(crate) settings: UpkeepSettings,
    /// What the run has counted.
    pub(crate) counters: &'a mut Counters,
    pub(crate) pace: Pace,
}

/// How long the parts of a run take.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    began: Option<Instant>,
    longest: Duration,
}

impl Pace {
    /// Whether another part, as long as the longest so far, would end before the deadline. It
    /// begins now.
    fn has_time(&mut self, now: Instant, deadline: Instant) -> bool {
        if let Some(began) = self.began.replace(now) {
            self.longest = self.longest.max(now - began);
        }
        now + self.longest < deadline
    }
}

impl Progress<'_> {
    /// Whether no time is left for another part.
    pub(crate) fn is_over(&mut self) -> bool {
        !self.pace.has_time(Instant::now(), self.ctx.deadline)
    }

    /// None where the deadline cut off a call and something was done before: that is no error, and
    /// the answer says how far the run came.
    pub(crate) fn unless_cut_off<T>(
        &self,
        result: Result<T, CacheError>,
        something_done: bool,
    ) -> Result<Option<T>, CacheError> {
        match result {
            Err(_) if something_done && self.ctx.is_over() => Ok(None),
            result => result.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_only_if_one_as_long_as_the_longest_would_end_in_time() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let deadline = at(100);
        assert!(pace.has_time(at(0), deadline), "the first part always begins");
        assert!(pace.has_time(at(10), deadline));
        assert!(pace.has_time(at(40), deadline));
        assert!(pace.has_time(at(69), deadline), "the longest part took 30 s, and 31 s are left");
        assert!(!pace.has_time(at(70), deadline));
        assert!(!Pace::default().has_time(at(100), deadline));
    }
}
