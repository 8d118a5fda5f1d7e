//! Completes, fails and cancels tasks, with all that follows.

use std::borrow::Cow;

use crate::model::{
    event::Event,
    ids::TaskId,
    queue::Queue,
    record::HistoryRecord,
    resources::Resources,
    task::{FinishedTask, Outcome, Task, TaskState},
    time::Timestamp,
};

/// The reason of a task that was cancelled because a prerequisite failed or was cancelled.
pub(super) const PREREQUISITE_FAILED: &str = "prerequisite_failed";
/// The reason of a task that was cancelled by `clearQueue`.
pub(super) const QUEUE_CLEARED: &str = "queue_cleared";
/// The reason of a task that was cancelled by `cancelTask`.
pub(super) const CANCELLED: &str = "cancelled";

/// How a task ends, and what that does to the balances.
struct TaskEnd {
    outcome: Outcome,
    reason: Option<Cow<'static, str>>,
    refunded: Resources,
    rewards: Resources,
    lost: Resources,
}

impl Queue {
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
        self.totals.rewards.add_all(&rewards);
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
            reason: Some(Cow::Owned(reason.to_owned())),
            refunded: Resources::new(),
            rewards: Resources::new(),
            lost: Resources::new(),
        };
        self.record_end(task, end, now, events);
        self.cancel_dependants(id, now, events);
    }

    /// Cancels the task at `position`, and all tasks that wait for it.
    pub(super) fn cancel(&mut self, position: usize, reason: &'static str, now: Timestamp, events: &mut Vec<Event>) {
        let id = self.tasks[position].id.clone();
        self.cancel_one(position, reason, now, events);
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

    fn cancel_one(&mut self, position: usize, reason: &'static str, now: Timestamp, events: &mut Vec<Event>) {
        let task = self.tasks.remove(position);
        let paid = if task.paid { task.costs.clone() } else { Resources::new() };
        let lost = self.balances.add_all(&paid);
        self.totals.cancelled += 1;
        let end = TaskEnd {
            outcome: Outcome::Cancelled,
            reason: Some(Cow::Borrowed(reason)),
            refunded: if lost.is_empty() { paid } else { paid.without(&lost) },
            rewards: Resources::new(),
            lost,
        };
        self.record_end(task, end, now, events);
    }

    /// Remembers the end of a task that was removed, and appends its event.
    fn record_end(&mut self, task: Task, end: TaskEnd, now: Timestamp, events: &mut Vec<Event>) {
        self.finished_tasks.push(&FinishedTask { task_id: task.id.clone(), outcome: end.outcome, finished_at: now });
        // While the queue is paused, work stands still.
        let time_spent_ms = task.active_ms(self.paused_at.unwrap_or(now));
        let started_at = task.started_at();
        events.push(Event::TaskFinished(Box::new(HistoryRecord {
            player_id: self.player_id.clone(),
            task_id: task.id,
            kind: task.kind,
            priority: task.priority,
            outcome: end.outcome,
            reason: end.reason.map(Cow::into_owned),
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
mod tests;
