//! Reports of workers: `reportProgress` and `completeTask`.

use crate::{
    model::{
        event::{Event, EventData},
        ids::TaskId,
        json_text::JsonText,
        queue::Queue,
        rejection::{Rejection, RejectionReason},
        time::Timestamp,
        work::Work,
    },
    rules::{checks::AttemptClaim, verdict::RequiredWrite},
};

/// What a worker says about a task.
pub(super) enum Report<'a> {
    /// So many units are done.
    Progress(u64),
    /// The task is complete, whatever its units, with this result.
    Completion(Option<&'a JsonText>),
}

impl Queue {
    /// Takes a report. It renews the heartbeat and raises the units done. Only a milestone or a
    /// completion must be committed. A report for a remembered completed task changes nothing.
    pub(super) fn report(
        &mut self,
        id: &TaskId,
        report: &Report<'_>,
        claim: AttemptClaim,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<RequiredWrite, Rejection> {
        if self.position(id).is_none() && self.has_completed(id) {
            // Workers report at intervals, and the last report may come after the task has ended.
            return Ok(RequiredWrite::Nothing);
        }
        let position = self.require_unfinished(id)?;
        let Work::Units { units, .. } = self.tasks[position].work else {
            return Err(Rejection::new(
                RejectionReason::NotReportedWork,
                format!("taskId: `{id}` is timed work, which ends by the server's clock"),
            ));
        };
        self.require_current_attempt(position, claim)?;
        match report {
            Report::Progress(units_done) => Ok(self.raise_units(position, (*units_done).min(units), at, events)),
            Report::Completion(result) => {
                if let Some(result) = result {
                    if self.is_paused() {
                        self.check_result(position, result)?;
                    }
                    self.tasks[position].result = Some((*result).clone());
                }
                self.raise_units(position, units, at, events);
                Ok(RequiredWrite::Commit)
            }
        }
    }

    /// Renews the heartbeat of the task at `position` and raises its units done. If all are done,
    /// it completes, unless the queue is paused.
    fn raise_units(&mut self, position: usize, done: u64, at: Timestamp, events: &mut Vec<Event>) -> RequiredWrite {
        // While the queue is paused, work stands still.
        let worked_until = self.paused_at.unwrap_or(at);
        let task = &mut self.tasks[position];
        let renewed = task.renew_heartbeat(task.active_ms(worked_until));
        if done <= task.units_done {
            return if renewed { RequiredWrite::Progress } else { RequiredWrite::Nothing };
        }
        let (before, reached) = (task.quarter(task.units_done), task.quarter(done));
        task.units_done = done;
        if reached == before {
            return RequiredWrite::Progress;
        }
        if task.is_full() && self.paused_at.is_none() {
            self.complete(position, at, events);
        } else if reached.min(3) > before {
            let progressed = EventData::TaskProgressed { task: task.in_attempt(), percent: 25 * reached.min(3) };
            self.add_event(at, progressed, events);
        }
        RequiredWrite::Commit
    }
}

#[cfg(test)]
mod tests;
