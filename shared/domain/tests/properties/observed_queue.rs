//! A queue as its events describe it, independent of the implementation: pending and active tasks,
//! prerequisites, balances. The properties compare each event with it.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{
    Event, EventData, MAX_AMOUNT, Priority, Resources, TaskId, TaskSpec, Timestamp, event::TaskChange,
    record::HistoryRecord, task::Outcome,
};

/// An unfinished task.
#[derive(Debug, Clone)]
pub struct ObservedTask {
    pub spec: TaskSpec,
    pub priority: Priority,
    pub not_before: Option<Timestamp>,
    pub active: bool,
    /// Whether it has started before, and so paid its costs.
    pub has_started: bool,
}

/// The queue after the events so far.
#[derive(Debug, Default)]
pub struct ObservedQueue {
    pub specs: BTreeMap<TaskId, TaskSpec>,
    /// Unfinished tasks in queue order.
    pub order: Vec<TaskId>,
    pub tasks: BTreeMap<TaskId, ObservedTask>,
    pub queued: Vec<TaskId>,
    pub finished: Vec<HistoryRecord>,
    pub completed: BTreeSet<TaskId>,
    pub paused: bool,
    pub slots: usize,
    /// The balances, in numbers that can exceed every limit.
    pub balances: BTreeMap<String, i128>,
}

impl ObservedQueue {
    pub fn new() -> Self {
        Self { slots: 1, ..Self::default() }
    }

    /// Adds the specs of tasks, before the events that queue them.
    pub fn add_specs(&mut self, specs: Vec<TaskSpec>) {
        self.specs.extend(specs.into_iter().map(|spec| (spec.task_id.clone(), spec)));
    }

    pub fn active_tasks(&self) -> usize {
        self.tasks.values().filter(|task| task.active).count()
    }

    pub fn balance(&self, name: &str) -> i128 {
        self.balances.get(name).copied().unwrap_or(0)
    }

    /// Whether a task may start at `now`, apart from slots and pauses.
    pub fn is_eligible(&self, task: &ObservedTask, now: Timestamp) -> bool {
        let not_before_has_passed = match task.not_before {
            None => true,
            Some(at) => at <= now,
        };
        let prerequisites_completed = task.spec.prerequisites.iter().all(|id| self.completed.contains(id));
        let affordable = task.has_started
            || task.spec.costs.iter().all(|(name, amount)| self.balance(name.as_str()) >= i128::from(amount));
        !task.active && not_before_has_passed && prerequisites_completed && affordable
    }

    /// The task that must start next at `now`: the highest priority, then the first in queue order.
    pub fn best_eligible_task(&self, now: Timestamp) -> Option<&TaskId> {
        let eligible: Vec<_> =
            self.order.iter().enumerate().filter(|(_, id)| self.is_eligible(&self.tasks[*id], now)).collect();
        let highest = eligible.iter().map(|(_, id)| self.tasks[*id].priority).max()?;
        eligible.into_iter().find(|(_, id)| self.tasks[*id].priority == highest).map(|(_, id)| id)
    }

    /// Applies an event.
    pub fn observe(&mut self, event: &Event) {
        match &event.data {
            EventData::TaskQueued(spec) => {
                let (id, spec) = (spec.task_id.clone(), (**spec).clone());
                let (priority, not_before) = (spec.priority, spec.not_before);
                let known = ObservedTask { spec, priority, not_before, active: false, has_started: false };
                self.tasks.insert(id.clone(), known);
                self.order.push(id.clone());
                self.queued.push(id);
            }
            EventData::TaskStarted(started) => {
                let task = self.tasks.get_mut(&started.task.task_id).expect("only a queued task starts");
                let first = !std::mem::replace(&mut task.has_started, true);
                task.active = true;
                if first {
                    let costs = task.spec.costs.clone();
                    assert_eq!(started.costs, costs, "the first start pays the costs");
                    self.add(&costs, -1);
                } else {
                    assert!(started.costs.is_empty(), "a further start pays nothing");
                }
            }
            EventData::TaskRetried { task, not_before, .. } => {
                let task = self.tasks.get_mut(&task.task_id).expect("only a queued task fails");
                task.active = false;
                task.not_before = Some(*not_before);
            }
            EventData::TaskFinished(record) => {
                self.tasks.remove(&record.task_id);
                self.order.retain(|id| *id != record.task_id);
                self.add(&record.rewards, 1);
                self.add(&record.refunded, 1);
                if record.outcome == Outcome::Completed {
                    self.completed.insert(record.task_id.clone());
                }
                self.finished.push((**record).clone());
            }
            EventData::TaskChanged { task_id, change: TaskChange::Priority(priority) } => {
                self.tasks.get_mut(task_id).expect("only a queued task has a priority").priority = *priority;
            }
            EventData::TaskChanged { task_id, change: TaskChange::MovedToFront } => {
                let priority = self.tasks[task_id].priority;
                let from = self.order.iter().position(|id| id == task_id).expect("only a queued task moves");
                self.order.remove(from);
                let to = self.order.iter().position(|id| self.tasks[id].priority == priority).unwrap_or(from);
                self.order.insert(to.min(from), task_id.clone());
            }
            EventData::QueuePaused => self.paused = true,
            EventData::QueueResumed => self.paused = false,
            EventData::ResourcesGranted { resources, .. } => self.add(resources, 1),
            EventData::QueueConfigured { slots, .. } => self.slots = usize::from(*slots),
            EventData::TaskProgressed { .. } | EventData::QueueEmptied | EventData::CommandRejected { .. } => {}
            other => panic!("an unknown event: {other:?}"),
        }
    }

    fn add(&mut self, amounts: &Resources, sign: i128) {
        for (name, amount) in amounts.iter() {
            *self.balances.entry(name.to_string()).or_default() += sign * i128::from(amount);
        }
    }

    /// The first balance below 0 or above the limit.
    pub fn out_of_bounds(&self) -> Option<(&String, i128)> {
        let allowed = 0..=i128::from(MAX_AMOUNT);
        self.balances.iter().map(|(name, amount)| (name, *amount)).find(|(_, amount)| !allowed.contains(amount))
    }
}
