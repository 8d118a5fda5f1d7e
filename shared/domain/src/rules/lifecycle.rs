//! The life of a task: it starts, gets units of work done, and is completed, failed or cancelled,
//! with all that follows.

use crate::{
    model::{
        event::Event,
        ids::TaskId,
        queue::Queue,
        record::HistoryRecord,
        rejection::{Rejection, RejectionReason},
        resources::Resources,
        task::{FinishedTask, Outcome, Priority, Task, TaskState, Work},
        time::Timestamp,
    },
    rules::{apply::RequiredWrite, checks::AttemptClaim},
};

/// The reason of a task that was cancelled by `cancelTask`.
const CANCELLED: &str = "cancelled";
/// The reason of a task that was cancelled by `clearQueue`.
const QUEUE_CLEARED: &str = "queue_cleared";
/// The reason of a task that was cancelled because a prerequisite failed or was cancelled.
const PREREQUISITE_FAILED: &str = "prerequisite_failed";

/// How a task ends, and what that does to the balances.
struct TaskEnd<'a> {
    outcome: Outcome,
    reason: Option<&'a str>,
    refunded: Resources,
    rewards: Resources,
    lost: Resources,
}

impl Queue {
    /// Starts the best eligible pending tasks while slots are free: the highest priority first,
    /// then queue order. A task that is not eligible does not hold up others.
    pub(crate) fn start_eligible_tasks(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        if self.is_paused() {
            return;
        }
        let mut active = self.active_tasks();
        while active < usize::from(self.slots) {
            let Some(best) = self.best_eligible_task(now) else { return };
            let task = &mut self.tasks[best];
            if !task.paid {
                task.paid = true;
                let covered = self.balances.take_all(&task.costs);
                debug_assert!(covered, "only a task whose costs are covered is eligible");
            }
            task.state = TaskState::Active { started_at: now, paused_ms: 0 };
            events.push(Event::TaskStarted { task_id: task.id.clone(), at: now });
            active += 1;
        }
    }

    fn best_eligible_task(&self, now: Timestamp) -> Option<usize> {
        let mut best: Option<(usize, Priority)> = None;
        for (at, task) in self.tasks.iter().enumerate() {
            let better = best.is_none_or(|(_, priority)| task.priority > priority);
            if better && task.not_before.is_none_or(|not_before| not_before <= now) && self.is_startable(task) {
                best = Some((at, task.priority));
            }
        }
        best.map(|(at, _)| at)
    }

    /// Raises the units done of a task. Only a milestone must be committed. A report for a
    /// remembered completed task changes nothing.
    pub(super) fn report(
        &mut self,
        id: &TaskId,
        units_done: u64,
        claim: AttemptClaim,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<RequiredWrite, Rejection> {
        if self.position(id).is_none() && self.has_completed(id) {
            // Workers report at intervals, and the last report may come after the task has ended.
            return Ok(RequiredWrite::Nothing);
        }
        let position = self.require_unfinished(id)?;
        let task = &self.tasks[position];
        let Work::Units(units) = task.work else {
            return Err(Rejection::new(
                RejectionReason::NotReportedWork,
                format!("taskId: `{id}` is timed work, which ends by the server's clock"),
            ));
        };
        self.require_current_attempt(position, claim)?;
        let task = &self.tasks[position];
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

    /// Completes the task at `position` and credits its rewards.
    pub(super) fn complete(&mut self, position: usize, now: Timestamp, events: &mut Vec<Event>) {
        let mut task = self.tasks.remove(position);
        for other in &mut self.tasks {
            other.open_prerequisites.retain(|id| *id != task.id);
        }
        let lost = self.balances.add_all(&task.rewards);
        let rewards = match lost.is_empty() {
            true => std::mem::take(&mut task.rewards),
            false => task.rewards.without(&lost),
        };
        self.totals.completed += 1;
        self.totals.time_spent_ms += task.active_ms(now);
        self.totals.add_rewards(&rewards);
        let end = TaskEnd { outcome: Outcome::Completed, reason: None, refunded: Resources::new(), rewards, lost };
        self.record_end(task, end, now, events);
    }

    /// Fails the current attempt of the active task at `position`.
    pub(super) fn fail(&mut self, position: usize, reason: &str, now: Timestamp, events: &mut Vec<Event>) {
        let task = &mut self.tasks[position];
        task.attempts += 1;
        if task.attempts <= task.max_retries {
            let not_before = now + task.retry_delay(task.attempts);
            task.state = TaskState::Pending;
            task.units_done = 0;
            task.not_before = Some(not_before);
            events.push(Event::TaskRetried { task_id: task.id.clone(), attempts: task.attempts, not_before });
            return;
        }
        let task = self.tasks.remove(position);
        let id = task.id.clone();
        self.totals.failed += 1;
        let end = TaskEnd {
            outcome: Outcome::Failed,
            reason: Some(reason),
            refunded: Resources::new(),
            rewards: Resources::new(),
            lost: Resources::new(),
        };
        self.record_end(task, end, now, events);
        self.cancel_dependants(id, now, events);
    }

    /// Cancels the task at `position`, and all tasks that wait for it.
    pub(super) fn cancel(&mut self, position: usize, now: Timestamp, events: &mut Vec<Event>) {
        let id = self.tasks[position].id.clone();
        self.cancel_one(position, CANCELLED, now, events);
        self.cancel_dependants(id, now, events);
    }

    /// Cancels every unfinished task, in queue order.
    pub(super) fn clear(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while !self.tasks.is_empty() {
            self.cancel_one(0, QUEUE_CLEARED, now, events);
        }
    }

    /// Cancels the tasks that wait for `ended`, the tasks that wait for those, and so on.
    fn cancel_dependants(&mut self, ended: TaskId, now: Timestamp, events: &mut Vec<Event>) {
        let mut ended = vec![ended];
        while let Some(id) = ended.pop() {
            while let Some(at) = self.tasks.iter().position(|task| task.open_prerequisites.contains(&id)) {
                ended.push(self.tasks[at].id.clone());
                self.cancel_one(at, PREREQUISITE_FAILED, now, events);
            }
        }
    }

    fn cancel_one(&mut self, position: usize, reason: &str, now: Timestamp, events: &mut Vec<Event>) {
        let task = self.tasks.remove(position);
        let paid = if task.paid { task.costs.clone() } else { Resources::new() };
        let lost = self.balances.add_all(&paid);
        self.totals.cancelled += 1;
        let end = TaskEnd {
            outcome: Outcome::Cancelled,
            reason: Some(reason),
            refunded: if lost.is_empty() { paid } else { paid.without(&lost) },
            rewards: Resources::new(),
            lost,
        };
        self.record_end(task, end, now, events);
    }

    /// Remembers the end of a task that was removed and counted, and appends its event.
    fn record_end(&mut self, task: Task, end: TaskEnd<'_>, now: Timestamp, events: &mut Vec<Event>) {
        self.finished_tasks.push(&FinishedTask { task_id: task.id.clone(), outcome: end.outcome, finished_at: now });
        // While the queue is paused, work stands still.
        let time_spent_ms = task.active_ms(self.paused_at.unwrap_or(now));
        let started_at = task.started_at();
        events.push(Event::TaskFinished(Box::new(HistoryRecord {
            player_id: self.player_id.clone(),
            task_id: task.id,
            sequence: self.totals.finished(),
            kind: task.kind,
            priority: task.priority,
            outcome: end.outcome,
            reason: end.reason.map(str::to_owned),
            attempts: task.attempts,
            work: task.work,
            units_done: task.units_done,
            enqueued_at: task.enqueued_at,
            started_at,
            finished_at: now,
            time_spent_ms,
            costs: if task.paid { task.costs } else { Resources::new() },
            refunded: end.refunded,
            rewards: end.rewards,
            lost: end.lost,
        })));
    }
}

#[cfg(test)]
mod report_tests;
#[cfg(test)]
mod tests;
