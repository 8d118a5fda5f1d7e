//! The life of a task: it starts, and is completed, failed or cancelled, with all that follows.

use crate::model::{
    attempt::MissedDeadline,
    event::{Event, EventData, StartedTask},
    ids::TaskId,
    queue::Queue,
    record::HistoryRecord,
    resources::Resources,
    task::{FinishedTask, Outcome, Priority, Task, TaskState, limit_failures},
    time::Timestamp,
};

/// The reason of a task that was cancelled by `cancelTask`.
const CANCELLED: &str = "cancelled";
/// The reason of a task that was cancelled by `clearQueue`.
const QUEUE_CLEARED: &str = "queue_cleared";
/// The reason of a task that was cancelled because a prerequisite failed or was cancelled.
const PREREQUISITE_FAILED: &str = "prerequisite_failed";

/// Why an attempt fails.
#[derive(Clone, Copy)]
pub(super) enum Failure<'a> {
    /// It has missed a deadline.
    Missed(MissedDeadline),
    /// A command says so, and whether the task may be retried.
    Reported { reason: &'a str, retry: bool },
}

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
            self.start(best, now, events);
            active += 1;
        }
    }

    fn start(&mut self, position: usize, now: Timestamp, events: &mut Vec<Event>) {
        let task = &mut self.tasks[position];
        let mut costs = Resources::new();
        if !task.paid {
            task.paid = true;
            costs = task.costs.clone();
            let covered = self.balances.take_all(&costs);
            debug_assert!(covered, "only a task whose costs are covered is eligible");
        }
        task.state = TaskState::Active { started_at: now, paused_ms: 0, reported_ms: 0 };
        let started = StartedTask {
            task: task.in_attempt(),
            payload: task.payload.clone(),
            finish_at: task.finish_at(),
            units: task.work.reported_units(),
            deadline: task.deadline().map(|(at, _)| at),
            costs,
        };
        self.add_event(now, EventData::TaskStarted(Box::new(started)), events);
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

    /// Fails the current attempt of the active task at `position`. The task is retried if it may be
    /// and has retries left.
    pub(super) fn fail(&mut self, position: usize, failure: Failure<'_>, now: Timestamp, events: &mut Vec<Event>) {
        let first = events.len();
        let (reason, retry) = match failure {
            Failure::Missed(deadline) => (deadline.as_str(), true),
            Failure::Reported { reason, retry } => (reason, retry),
        };
        self.end_attempt(position, reason, retry, now, events);
        if let (Failure::Missed(deadline), Some(event)) = (failure, events.get_mut(first)) {
            event.missed_deadline = Some(deadline);
        }
    }

    /// Appends the event of the attempt, and those of the tasks that wait for it.
    fn end_attempt(&mut self, position: usize, reason: &str, retry: bool, now: Timestamp, events: &mut Vec<Event>) {
        let task = &mut self.tasks[position];
        let failed = task.in_attempt();
        task.add_failure(reason, now);
        if retry && task.attempts <= task.max_retries {
            let not_before = now + task.retry_delay(task.attempts);
            task.retry_from(not_before);
            limit_failures(&mut self.tasks);
            let retried = EventData::TaskRetried { task: failed, reason: reason.to_owned(), not_before };
            self.add_event(now, retried, events);
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

    /// Remembers the end of a task that was removed and counted, and appends its event. If no task
    /// is left, the queue has emptied.
    fn record_end(&mut self, task: Task, end: TaskEnd<'_>, now: Timestamp, events: &mut Vec<Event>) {
        self.finished_tasks.push(&FinishedTask { task_id: task.id.clone(), outcome: end.outcome, finished_at: now });
        // While the queue is paused, work stands still.
        let time_spent_ms = task.active_ms(self.paused_at.unwrap_or(now));
        let started_at = task.started_at();
        let record = HistoryRecord {
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
            // A result that came during a pause counts only if the task completes.
            result: task.result.filter(|_| end.outcome == Outcome::Completed),
            failures: task.failures,
        };
        self.add_event(now, EventData::TaskFinished(Box::new(record)), events);
        if self.tasks.is_empty() {
            self.add_event(now, EventData::QueueEmptied, events);
        }
    }
}

#[cfg(test)]
mod tests;
