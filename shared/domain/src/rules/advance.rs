//! Lets time pass: what is due completes or fails, and free slots are filled.
//!
//! Advancing goes from one due moment to the next. Its cost grows with what is due, not with the
//! time that passes. The next task starts when the one before it ended, not when the queue was
//! looked at, as in the economies of browser games such as OGameX.

use crate::{
    model::{event::Event, queue::Queue, task::Task, time::Timestamp},
    rules::{deployment::Rules, lifecycle::Failure},
};

/// A moment at which time alone changes the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DueMoment {
    /// Tasks complete, fail or start.
    Tasks(Timestamp),
    /// The queue is paused because its player is inactive.
    InactivityPause(Timestamp),
}

impl DueMoment {
    fn at(self) -> Timestamp {
        match self {
            Self::Tasks(at) | Self::InactivityPause(at) => at,
        }
    }
}

impl Queue {
    /// Advances the queue to `to`. A time at or before `advanced_to` changes nothing.
    ///
    /// Advancing in one step or in many gives the same queue.
    pub fn advance(&mut self, to: Timestamp, rules: Rules, events: &mut Vec<Event>) {
        while self.advance_to_next(to, rules, events) {}
        self.advanced_to = self.advanced_to.max(to);
    }

    /// Advances the queue to its next due moment, if that is not after `to`. Returns whether it is.
    pub fn advance_to_next(&mut self, to: Timestamp, rules: Rules, events: &mut Vec<Event>) -> bool {
        let Some(moment) = self.next_due_moment(rules).filter(|moment| moment.at() <= to) else { return false };
        // Under other rules a moment may lie in the past. Time never goes back.
        let now = moment.at().max(self.advanced_to);
        self.advanced_to = now;
        match moment {
            DueMoment::Tasks(_) => {
                self.end_due_attempts(now, events);
                self.start_eligible_tasks(now, events);
            }
            DueMoment::InactivityPause(_) => self.pause(now, events),
        }
        true
    }

    /// The next due moment: an active timed task completes, an active reported task misses its
    /// deadline, a pending task that only waits for its `notBefore` takes a free slot, or the queue
    /// is paused for inactivity. None while paused.
    pub fn due_at(&self, rules: Rules) -> Option<Timestamp> {
        self.next_due_moment(rules).map(DueMoment::at)
    }

    /// The next due moment. Inactivity pauses a queue only before something else is due: a queue
    /// with nothing due needs no pause, and is not in the due index.
    fn next_due_moment(&self, rules: Rules) -> Option<DueMoment> {
        let tasks = self.tasks_due_at()?;
        match rules.inactive_at(self.active_until()) {
            Some(inactive) if inactive < tasks => Some(DueMoment::InactivityPause(inactive)),
            _ => Some(DueMoment::Tasks(tasks)),
        }
    }

    /// The end of the player's activity: the last command, or the latest `notBefore` of an
    /// unfinished task if that is later. A task that is planned for a time counts as activity at
    /// that time, so inactivity never pauses a queue while a task waits for its `notBefore`.
    fn active_until(&self) -> Timestamp {
        self.tasks.iter().filter_map(|task| task.not_before).fold(self.active_at, Timestamp::max)
    }

    /// The next moment at which a task completes, fails or starts by time alone.
    fn tasks_due_at(&self) -> Option<Timestamp> {
        if self.is_paused() {
            return None;
        }
        let end = self.tasks.iter().filter_map(Task::ends_at).min();
        if self.active_tasks() >= usize::from(self.slots) {
            return end;
        }
        let startable = self.tasks.iter().filter(|task| self.is_startable(task));
        let start = startable.filter_map(|task| task.not_before).filter(|at| *at > self.advanced_to).min();
        match (end, start) {
            (Some(end), Some(start)) => Some(end.min(start)),
            (end, start) => end.or(start),
        }
    }

    /// Whether a task can start once its `notBefore` has passed and a slot is free.
    pub(super) fn is_startable(&self, task: &Task) -> bool {
        !task.is_active() && task.open_prerequisites.is_empty() && (task.paid || self.balances.covers(&task.costs))
    }

    /// Completes the active timed tasks that are due at `now`, and fails the attempts whose
    /// deadline has passed, in queue order.
    fn end_due_attempts(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        let mut from = 0;
        let is_due = |task: &Task| task.ends_at().is_some_and(|end| end <= now);
        while let Some(offset) = self.tasks[from..].iter().position(is_due) {
            let position = from + offset;
            match self.tasks[position].deadline() {
                // A failure may also cancel tasks that come before this one.
                Some((_, missed)) => {
                    self.fail(position, Failure::Missed(missed), now, events);
                    from = 0;
                }
                None => {
                    self.complete(position, now, events);
                    from = position;
                }
            }
        }
    }
}

#[cfg(test)]
mod deadline_tests;
#[cfg(test)]
mod tests;
