//! One request of upkeep, within its deadline.

use millrace_cache::{SharedCacheState, Upkeep, UpkeepError};
use millrace_domain::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{
    error::MaintenanceError,
    maintained::{Cleared, EmergencyMode, Maintained, Rebuilt, Skipped, Warmed},
    request::{Request, Warm},
};
use crate::{
    report::{CommandCounts, Figures},
    service::{Invocation, Service},
};

/// What a request is done with.
pub(super) struct Task<'a> {
    pub(super) upkeep: &'a dyn Upkeep,
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
    pub(super) figures: &'a mut Figures,
    pub(super) pace: Pace,
}

/// How long the parts of a task take that are done one after the other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Option<Instant>,
    longest: std::time::Duration,
}

impl Pace {
    /// Whether a next part is likely to end in time: the longest so far would. What is cut short by the
    /// deadline may have been done, and is not counted.
    fn has_time(&mut self, now: Instant, deadline: Instant) -> bool {
        if let Some(began) = self.began.replace(now) {
            self.longest = self.longest.max(now - began);
        }
        now + self.longest < deadline
    }
}

impl Task<'_> {
    /// Whether there is no time to begin a next part. Asked before each.
    pub(super) fn is_over(&mut self) -> bool {
        !self.pace.has_time(Instant::now(), self.deadline)
    }

    /// The result of a call; none where it was cut short by the deadline, and something was done before,
    /// so that there is more to answer than an error.
    pub(super) fn unless_cut_short<T>(
        &self,
        result: Result<T, UpkeepError>,
        something_done: bool,
    ) -> Result<Option<T>, UpkeepError> {
        match result {
            Err(_) if something_done && Instant::now() >= self.deadline => Ok(None),
            result => result.map(Some),
        }
    }
}

impl From<UpkeepError> for MaintenanceError {
    fn from(UpkeepError(reason): UpkeepError) -> Self {
        Self::CacheUnavailable { reason }
    }
}

impl Service {
    /// Does one request of upkeep. Without a shared cache the answer says so, and nothing is done. Where the
    /// time until the deadline is not enough, the answer says how to go on.
    ///
    /// # Errors
    /// [`MaintenanceError`] where the shared cache or the store cannot be used, or the request cannot be
    /// done in emergency mode.
    pub async fn maintain(&self, request: Request, invocation: &Invocation) -> Result<Maintained, MaintenanceError> {
        let started = std::time::Instant::now();
        let (now, action) = (self.clock.now(), request.action());
        let mut figures = Figures::default();
        let mut maintained = Done::default();
        let result = match self.cache.upkeep() {
            Some(upkeep) => {
                let deadline = self.deadline(invocation);
                let mut task = Task { upkeep, now, deadline, figures: &mut figures, pace: Pace::default() };
                self.fulfil(request, &mut task, &mut maintained).await
            }
            None => {
                self.without_cache(&request, &mut maintained);
                Ok(())
            }
        };
        if let Err(error) = result {
            tracing::warn!(action, error_type = error.error_type(), %error, "the upkeep failed");
            return Err(error);
        }
        let Done { warm, clear, rebuild, emergency_mode, statistics } = maintained;
        let players = warm.map_or(0, |warm| warm.players) + rebuild.as_ref().map_or(0, |rebuild| rebuild.players);
        let report = self.report(invocation, started, &figures, CommandCounts::default(), players);
        let redis = if self.cache.upkeep().is_some() { SharedCacheState::Up } else { SharedCacheState::Off };
        tracing::info!(
            action,
            ?redis,
            players,
            filled = warm.map_or(0, |warm| warm.filled),
            cleared = clear.as_ref().map_or(0, |clear| clear.cleared),
            rebuilt = rebuild.as_ref().map_or(0, |rebuild| rebuild.rebuilt),
            processing_time_ms = report.processing_time_ms,
            "maintained"
        );
        Ok(Maintained { action, redis, warm, clear, rebuild, emergency_mode, statistics, report })
    }

    async fn fulfil(&self, request: Request, task: &mut Task<'_>, done: &mut Done) -> Result<(), MaintenanceError> {
        match request {
            Request::Warm(warm) => done.warm = Some(self.warm(warm, task).await?),
            Request::Clear(clear) => done.clear = Some(self.clear(clear, task).await?),
            Request::Rebuild(rebuild) => done.rebuild = Some(self.rebuild(rebuild, task).await?),
            Request::EmergencyMode(switch) => done.emergency_mode = Some(self.switch_emergency(switch, task).await?),
            Request::Statistics => done.statistics = Some(self.measure(task).await?),
            Request::Upkeep => {
                done.statistics = Some(self.measure(task).await?);
                done.warm = Some(self.warm(Warm::default(), task).await?);
            }
        }
        Ok(())
    }

    /// What there is to say where there is no shared cache.
    fn without_cache(&self, request: &Request, done: &mut Done) {
        let warmed = Warmed { skipped: Some(Skipped::RedisOff), done: true, ..Warmed::default() };
        match request {
            Request::Warm(_) | Request::Upkeep => done.warm = Some(warmed),
            Request::Clear(clear) => {
                self.clear_local(clear);
                done.clear = Some(Cleared { done: true, ..Cleared::default() });
            }
            Request::Rebuild(rebuild) => {
                rebuild.player_ids.iter().flatten().for_each(|player| self.cache.forget_local(player));
                done.rebuild = Some(Rebuilt { done: true, ..Rebuilt::default() });
            }
            Request::EmergencyMode(_) => {
                let off = EmergencyMode { enabled: false, until: None, extended: 0, done: true };
                done.emergency_mode = Some(off);
            }
            Request::Statistics => {}
        }
    }

    /// The figures that were measured and kept, the latest first, at most `limit`. Without a shared cache
    /// there are none.
    ///
    /// # Errors
    /// [`MaintenanceError::CacheUnavailable`] where the shared cache cannot be used.
    pub async fn statistics_history(
        &self,
        limit: usize,
        invocation: &Invocation,
    ) -> Result<Vec<serde_json::Value>, MaintenanceError> {
        match self.cache.upkeep() {
            Some(upkeep) => self.history(upkeep, limit, self.deadline(invocation)).await,
            None => Ok(Vec::new()),
        }
    }
}

/// What was done so far.
#[derive(Default)]
struct Done {
    warm: Option<Warmed>,
    clear: Option<Cleared>,
    rebuild: Option<Rebuilt>,
    emergency_mode: Option<EmergencyMode>,
    statistics: Option<super::statistics::Sample>,
}

/// Waits for a call to the store, until the deadline at most; none where that has passed.
pub(super) async fn in_time<T>(deadline: Instant, call: impl Future<Output = T>) -> Option<T> {
    timeout_at(deadline, call).await.ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_part_is_begun_where_the_longest_so_far_would_end_in_time() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let deadline = at(100);
        assert!(pace.has_time(at(0), deadline), "nothing is known of the first");
        assert!(pace.has_time(at(10), deadline));
        assert!(pace.has_time(at(40), deadline));
        assert!(pace.has_time(at(69), deadline), "30 s would do");
        assert!(!pace.has_time(at(70), deadline));
        assert!(!Pace::default().has_time(at(100), deadline));
    }
}
