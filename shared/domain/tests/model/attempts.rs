//! Attempts of the model: which one a report is about, and how they end.

use millrace_domain::{RejectionReason, TaskId, Work, task::Outcome};

use crate::{reference::Model, tasks::Moment};

impl Model {
    /// The active task of reported work that a report names; none if the task has completed.
    pub fn find_reported(
        &self,
        id: &TaskId,
        attempt: Option<u64>,
        sent: Moment,
    ) -> Result<Option<usize>, RejectionReason> {
        let at = match self.find(id) {
            Err(_) if self.outcome_of(id) == Some(Outcome::Completed) => return Ok(None),
            found => found?,
        };
        if !matches!(self.tasks[at].spec.work, Work::Units { .. }) {
            return Err(RejectionReason::NotReportedWork);
        }
        self.check_attempt(at, attempt, sent)?;
        Ok(Some(at))
    }

    /// Refuses what is about another attempt of an active task.
    pub fn check_attempt(&self, at: usize, attempt: Option<u64>, sent: Moment) -> Result<(), RejectionReason> {
        let task = &self.tasks[at];
        let started_at = task.started_at.ok_or(RejectionReason::TaskNotActive)?;
        let is_stale = match attempt {
            Some(attempt) => attempt != u64::from(task.attempts) + 1,
            None => task.attempts > 0 && sent < started_at,
        };
        if is_stale { Err(RejectionReason::StaleReport) } else { Ok(()) }
    }

    /// Completes the tasks whose time is over, and fails the attempts that missed a deadline, in
    /// queue order.
    pub fn end_attempts(&mut self) {
        while let Some(at) = self.tasks.iter().position(|task| task.is_over() || task.missed_deadline().is_some()) {
            match self.tasks[at].missed_deadline() {
                Some(reason) => self.fail(at, reason, true),
                None => self.finish(at, Outcome::Completed, None),
            }
        }
    }

    pub fn fail(&mut self, at: usize, reason: &str, retry: bool) {
        let task = &mut self.tasks[at];
        task.attempts += 1;
        task.failures.push((task.attempts, reason.to_owned(), self.now));
        if task.failures.len() > 3 {
            task.failures.remove(0);
        }
        if !retry || task.attempts > task.spec.max_retries {
            self.finish(at, Outcome::Failed, Some(reason));
            self.cancel_dependants();
            return;
        }
        let mut delay = u64::from(task.spec.retry_delay_ms);
        for _ in 1..task.attempts {
            delay *= 2;
        }
        task.wait_until = self.now + delay.min(60 * 60 * 1_000);
        task.started_at = None;
        task.units_done = 0;
        task.worked = 0;
        task.reported = 0;
        task.result = None;
    }
}
