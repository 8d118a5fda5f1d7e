//! A task completes, fails or is cancelled, with all that follows.

use std::borrow::Cow;

use crate::{
    event::Event,
    ids::TaskId,
    queue::Queue,
    record::HistoryRecord,
    resources::Resources,
    task::{FinishedTask, Outcome, Task, TaskState},
    time::Timestamp,
};

/// Why a task was cancelled that waited for a failed or cancelled one.
pub const PREREQUISITE_FAILED: &str = "prerequisite_failed";
/// Why a task was cancelled by `clearQueue`.
pub const QUEUE_CLEARED: &str = "queue_cleared";
/// Why a task was cancelled by `cancelTask`.
pub const CANCELLED: &str = "cancelled";

impl Queue {
    /// Completes the task at position `at` of the queue order and credits its rewards, once.
    pub(crate) fn complete(&mut self, at: usize, now: Timestamp, events: &mut Vec<Event>) {
        let mut task = self.tasks.remove(at);
        for other in &mut self.tasks {
            other.waiting_for.retain(|id| *id != task.id);
        }
        let lost = self.balances.add_all(&task.rewards);
        let rewards = match lost.is_empty() {
            true => std::mem::take(&mut task.rewards),
            false => task.rewards.without(&lost),
        };
        self.totals.completed += 1;
        self.totals.time_spent_ms += task.active_ms(now);
        self.totals.rewards.add_all(&rewards);
        let end = End { outcome: Outcome::Completed, reason: None, refunded: Resources::new(), rewards, lost };
        self.record_end(task, end, now, events);
    }

    /// One attempt of the active task at position `at` has failed.
    pub(crate) fn fail(&mut self, at: usize, reason: &str, now: Timestamp, events: &mut Vec<Event>) {
        let task = &mut self.tasks[at];
        task.attempts += 1;
        if task.attempts <= task.max_retries {
            let not_before = now + task.retry_delay(task.attempts);
            task.state = TaskState::Pending;
            task.units_done = 0;
            task.not_before = Some(not_before);
            events.push(Event::TaskRetried { task_id: task.id.clone(), attempts: task.attempts, not_before });
            return;
        }
        let task = self.tasks.remove(at);
        let id = task.id.clone();
        self.totals.failed += 1;
        self.record_end(task, End::without_refund(Outcome::Failed, reason.to_owned()), now, events);
        self.cancel_dependants(id, now, events);
    }

    /// Cancels the task at position `at`, and all that wait for it.
    pub(crate) fn cancel(&mut self, at: usize, reason: &'static str, now: Timestamp, events: &mut Vec<Event>) {
        let id = self.tasks[at].id.clone();
        self.cancel_one(at, reason, now, events);
        self.cancel_dependants(id, now, events);
    }

    /// Cancels every unfinished task, in queue order.
    pub(crate) fn clear(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while !self.tasks.is_empty() {
            self.cancel_one(0, QUEUE_CLEARED, now, events);
        }
    }

    /// Cancels the tasks that wait for `ended`, those that wait for them, and so on.
    fn cancel_dependants(&mut self, ended: TaskId, now: Timestamp, events: &mut Vec<Event>) {
        let mut ended = vec![ended];
        while let Some(id) = ended.pop() {
            while let Some(at) = self.tasks.iter().position(|task| task.waiting_for.contains(&id)) {
                ended.push(self.tasks[at].id.clone());
                self.cancel_one(at, PREREQUISITE_FAILED, now, events);
            }
        }
    }

    fn cancel_one(&mut self, at: usize, reason: &'static str, now: Timestamp, events: &mut Vec<Event>) {
        let task = self.tasks.remove(at);
        let paid = if task.paid { task.costs.clone() } else { Resources::new() };
        let lost = self.balances.add_all(&paid);
        self.totals.cancelled += 1;
        let refunded = if lost.is_empty() { paid } else { paid.without(&lost) };
        let end = End {
            outcome: Outcome::Cancelled,
            reason: Some(Cow::Borrowed(reason)),
            refunded,
            rewards: Resources::new(),
            lost,
        };
        self.record_end(task, end, now, events);
    }

    fn record_end(&mut self, task: Task, end: End, now: Timestamp, events: &mut Vec<Event>) {
        self.recent.push(&FinishedTask { task_id: task.id.clone(), outcome: end.outcome, finished_at: now });
        let time_spent_ms = match self.paused_at {
            // Time stands still for the work while the queue is paused.
            Some(paused_at) => task.active_ms(paused_at),
            None => task.active_ms(now),
        };
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

/// How a task ends, and what that does to the balances.
struct End {
    outcome: Outcome,
    reason: Option<Cow<'static, str>>,
    refunded: Resources,
    rewards: Resources,
    lost: Resources,
}

impl End {
    fn without_refund(outcome: Outcome, reason: String) -> Self {
        Self {
            outcome,
            reason: Some(Cow::Owned(reason)),
            refunded: Resources::new(),
            rewards: Resources::new(),
            lost: Resources::new(),
        }
    }
}

#[cfg(test)]
mod tests;
