//! `reportProgress`: units done of reported work, and milestones.

use crate::{
    model::{
        event::Event,
        ids::TaskId,
        queue::Queue,
        rejection::{Rejection, RejectionReason},
        task::Work,
        time::Timestamp,
    },
    rules::apply::RequiredWrite,
};

impl Queue {
    /// Raises the units done of a task. Only a milestone must be committed.
    pub(super) fn report(
        &mut self,
        id: &TaskId,
        units_done: u64,
        sent_at: Timestamp,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<RequiredWrite, Rejection> {
        let position = self.require_unfinished(id)?;
        let task = &self.tasks[position];
        let Work::Units(units) = task.work else {
            return Err(Rejection::new(
                RejectionReason::NotReportedWork,
                format!("taskId: `{id}` is timed work, which ends by the server's clock"),
            ));
        };
        let started_at = self.require_active(position)?;
        if sent_at < started_at {
            return Err(Rejection::new(
                RejectionReason::StaleReport,
                format!(
                    "the report was sent at {sent_at}, before the current attempt of `{id}` started at {started_at}"
                ),
            ));
        }
        let done = units_done.min(units);
        if done <= task.units_done {
            return Ok(RequiredWrite::Nothing);
        }
        let reached = task.quarter(done);
        let milestone = reached > task.quarter(task.units_done);
        self.tasks[position].units_done = done;
        if !milestone {
            return Ok(RequiredWrite::Progress);
        }
        events.push(Event::MilestoneReached { task_id: id.clone(), percent: 25 * reached, at });
        if done == units && !self.is_paused() {
            self.complete(position, at, events);
        }
        Ok(RequiredWrite::Commit)
    }
}

#[cfg(test)]
mod tests;
