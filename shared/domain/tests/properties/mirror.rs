//! A queue as its events tell it, kept without the implementation: who waits for what, who occupies
//! a slot, what is held. The properties judge each event by it.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{
    Event, MAX_AMOUNT, Priority, Resources, TaskId, TaskSpec, Timestamp, record::HistoryRecord, task::Outcome,
};

/// A task that has been queued and has not ended.
#[derive(Debug, Clone)]
pub struct Known {
    pub spec: TaskSpec,
    pub priority: Priority,
    pub not_before: Option<Timestamp>,
    pub active: bool,
    /// Whether it has ever started, and so paid.
    pub started_ever: bool,
}

/// What the events have told so far.
#[derive(Debug, Default)]
pub struct Mirror {
    pub specs: BTreeMap<TaskId, TaskSpec>,
    /// Unfinished tasks in queue order.
    pub order: Vec<TaskId>,
    pub tasks: BTreeMap<TaskId, Known>,
    pub queued: Vec<TaskId>,
    pub ended: Vec<HistoryRecord>,
    pub completed: BTreeSet<TaskId>,
    pub paused: bool,
    pub slots: usize,
    /// What is held of each resource, in numbers that may pass any limit.
    pub held: BTreeMap<String, i128>,
}

impl Mirror {
    pub fn new() -> Self {
        Self { slots: 1, ..Self::default() }
    }

    /// Learns what tasks were asked to be, before the events that queue them.
    pub fn learn(&mut self, specs: Vec<TaskSpec>) {
        self.specs.extend(specs.into_iter().map(|spec| (spec.task_id.clone(), spec)));
    }

    pub fn active(&self) -> usize {
        self.tasks.values().filter(|task| task.active).count()
    }

    pub fn held(&self, name: &str) -> i128 {
        self.held.get(name).copied().unwrap_or(0)
    }

    /// Whether a task may start at `now`, slots and pause aside.
    pub fn is_eligible(&self, task: &Known, now: Timestamp) -> bool {
        let time_has_come = match task.not_before {
            None => true,
            Some(at) => at <= now,
        };
        let prerequisites_completed = task.spec.prerequisites.iter().all(|id| self.completed.contains(id));
        let affordable = task.started_ever
            || task.spec.costs.iter().all(|(name, amount)| self.held(name.as_str()) >= i128::from(amount));
        !task.active && time_has_come && prerequisites_completed && affordable
    }

    /// The task that has to start next at `now`: of all eligible ones the highest priority, and of
    /// those the first in queue order.
    pub fn best(&self, now: Timestamp) -> Option<&TaskId> {
        let eligible: Vec<_> =
            self.order.iter().enumerate().filter(|(_, id)| self.is_eligible(&self.tasks[*id], now)).collect();
        let highest = eligible.iter().map(|(_, id)| self.tasks[*id].priority).max()?;
        eligible.into_iter().find(|(_, id)| self.tasks[*id].priority == highest).map(|(_, id)| id)
    }

    /// Takes an event over.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::TaskQueued { task_id, .. } => {
                let spec = self.specs[task_id].clone();
                let (priority, not_before) = (spec.priority, spec.not_before);
                let known = Known { spec, priority, not_before, active: false, started_ever: false };
                self.tasks.insert(task_id.clone(), known);
                self.order.push(task_id.clone());
                self.queued.push(task_id.clone());
            }
            Event::TaskStarted { task_id, .. } => {
                let task = self.tasks.get_mut(task_id).expect("only a queued task starts");
                let first = !std::mem::replace(&mut task.started_ever, true);
                task.active = true;
                if first {
                    let costs = task.spec.costs.clone();
                    self.book(&costs, -1);
                }
            }
            Event::TaskRetried { task_id, not_before, .. } => {
                let task = self.tasks.get_mut(task_id).expect("only a queued task fails");
                task.active = false;
                task.not_before = Some(*not_before);
            }
            Event::TaskFinished(record) => {
                self.tasks.remove(&record.task_id);
                self.order.retain(|id| *id != record.task_id);
                self.book(&record.rewards, 1);
                self.book(&record.refunded, 1);
                if record.outcome == Outcome::Completed {
                    self.completed.insert(record.task_id.clone());
                }
                self.ended.push((**record).clone());
            }
            Event::PrioritySet { task_id, priority } => {
                self.tasks.get_mut(task_id).expect("only a queued task has a priority").priority = *priority;
            }
            Event::MovedToFront { task_id } => {
                let priority = self.tasks[task_id].priority;
                let from = self.order.iter().position(|id| id == task_id).expect("only a queued task moves");
                self.order.remove(from);
                let to = self.order.iter().position(|id| self.tasks[id].priority == priority).unwrap_or(from);
                self.order.insert(to.min(from), task_id.clone());
            }
            Event::QueuePaused { .. } => self.paused = true,
            Event::QueueResumed { .. } => self.paused = false,
            Event::ResourcesGranted { resources, lost } => {
                self.book(resources, 1);
                self.book(lost, -1);
            }
            Event::QueueConfigured { slots, .. } => self.slots = usize::from(*slots),
            Event::MilestoneReached { .. } => {}
            other => panic!("an event that the mirror does not know: {other:?}"),
        }
    }

    fn book(&mut self, amounts: &Resources, sign: i128) {
        for (name, amount) in amounts.iter() {
            *self.held.entry(name.to_string()).or_default() += sign * i128::from(amount);
        }
    }

    /// The first resource of which less than nothing or more than the limit is held.
    pub fn out_of_bounds(&self) -> Option<(&String, i128)> {
        let allowed = 0..=i128::from(MAX_AMOUNT);
        self.held.iter().map(|(name, held)| (name, *held)).find(|(_, held)| !allowed.contains(held))
    }
}

/// When an event happened, where it says so.
pub fn moment(event: &Event) -> Option<Timestamp> {
    match event {
        Event::TaskQueued { at, .. }
        | Event::TaskStarted { at, .. }
        | Event::MilestoneReached { at, .. }
        | Event::QueuePaused { at }
        | Event::QueueResumed { at, .. } => Some(*at),
        Event::TaskFinished(record) => Some(record.finished_at),
        _ => None,
    }
}
