//! Time passes: what is due completes, free slots are filled.
//!
//! Advancing goes from one due moment to the next and never looks at the time between, so its cost
//! grows with what is due and not with the time that has passed. The way of catching up follows
//! browser-game economies such as OGameX: the next task starts when the one before it ended, not when
//! somebody looked.

use crate::{
    event::Event,
    queue::Queue,
    rules::Rules,
    task::{Priority, Task, TaskState},
    time::Timestamp,
};

/// What happens at a due moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Tasks complete, and others start.
    Work,
    /// The queue is paused.
    Inactive,
}

impl Queue {
    /// Lets time pass until `to`. A time at or before `advanced_to` changes nothing.
    ///
    /// Advancing in one step or in many gives the same queue.
    pub fn advance(&mut self, to: Timestamp, rules: Rules, events: &mut Vec<Event>) {
        while let Some((due, moment)) = self.next_moment(rules).filter(|(due, _)| *due <= to) {
            // A due moment lies after advanced_to, unless a row was made by other rules: never go back.
            let now = due.max(self.advanced_to);
            self.advanced_to = now;
            match moment {
                Moment::Work => {
                    self.complete_due(now, events);
                    self.fill(now, events);
                }
                Moment::Inactive => self.pause(now, events),
            }
        }
        self.advanced_to = self.advanced_to.max(to);
    }

    /// The next moment at which something happens by time alone: an active timed task completes, a
    /// pending task that only waits for its `notBefore` takes a free slot, or the queue is paused since
    /// its player has been inactive. None while paused.
    pub fn due_at(&self, rules: Rules) -> Option<Timestamp> {
        self.next_moment(rules).map(|(due, _)| due)
    }

    /// The next due moment, and what happens then. Inactivity is one only before others: a queue in which
    /// nothing is due any more needs no pause, and never has to be looked for.
    fn next_moment(&self, rules: Rules) -> Option<(Timestamp, Moment)> {
        let work = self.work_due_at()?;
        match rules.inactive_from(self.active_at) {
            Some(inactive) if inactive < work => Some((inactive, Moment::Inactive)),
            _ => Some((work, Moment::Work)),
        }
    }

    /// The next moment at which a task starts or completes by time alone.
    fn work_due_at(&self) -> Option<Timestamp> {
        if self.is_paused() {
            return None;
        }
        let finish = self.tasks.iter().filter_map(Task::finish_at).min();
        if self.active() >= usize::from(self.slots) {
            return finish;
        }
        let waiting = self.tasks.iter().filter(|task| self.could_start(task));
        let start = waiting.filter_map(|task| task.not_before).filter(|at| *at > self.advanced_to).min();
        match (finish, start) {
            (Some(finish), Some(start)) => Some(finish.min(start)),
            (finish, start) => finish.or(start),
        }
    }

    /// Whether a task could start, its `notBefore` and free slots aside.
    fn could_start(&self, task: &Task) -> bool {
        !task.is_active() && task.waiting_for.is_empty() && (task.paid || self.balances.covers(&task.costs))
    }

    /// Completes all active timed tasks that are due at `now`, in queue order.
    fn complete_due(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        let mut at = 0;
        while at < self.tasks.len() {
            if self.tasks[at].finish_at().is_some_and(|finish| finish <= now) {
                self.complete(at, now, events);
            } else {
                at += 1;
            }
        }
    }

    /// Starts the best eligible pending tasks while slots are free: highest priority first, then
    /// queue order. A task that is not eligible holds nobody up.
    pub(crate) fn fill(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        if self.is_paused() {
            return;
        }
        let mut active = self.active();
        while active < usize::from(self.slots) {
            let Some(best) = self.best_eligible(now) else { return };
            let task = &mut self.tasks[best];
            if !task.paid {
                task.paid = true;
                let paid = self.balances.take_all(&task.costs);
                debug_assert!(paid, "only a task whose costs are covered is eligible");
            }
            task.state = TaskState::Active { started_at: now, paused_ms: 0 };
            events.push(Event::TaskStarted { task_id: task.id.clone(), at: now });
            active += 1;
        }
    }

    fn best_eligible(&self, now: Timestamp) -> Option<usize> {
        let mut best: Option<(usize, Priority)> = None;
        for (at, task) in self.tasks.iter().enumerate() {
            let better = best.is_none_or(|(_, priority)| task.priority > priority);
            if better && task.not_before.is_none_or(|not_before| not_before <= now) && self.could_start(task) {
                best = Some((at, task.priority));
            }
        }
        best.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests;
