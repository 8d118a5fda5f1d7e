//! A slow and simple queue, written from the rules alone. It counts every millisecond that a task
//! has worked, and forgets nothing.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{Command, Delivery, RejectionReason, TaskId, TaskSpec, Work, task::Outcome};

use crate::{
    limits,
    memory::ModelMemory,
    support::steps::{BEGINNING, Step},
    tasks::{Amounts, FinishedModelTask, ModelTask, Moment, amount_of, credit},
};

#[derive(Debug, Clone, PartialEq)]
pub enum ModelVerdict {
    Applied,
    Rejected(RejectionReason),
    Duplicate(Option<RejectionReason>),
}

#[derive(Debug)]
pub struct Model {
    pub now: Moment,
    pub paused: bool,
    pub slots: usize,
    pub max_tasks: usize,
    pub balances: Amounts,
    pub tasks: Vec<ModelTask>,
    pub finished: Vec<FinishedModelTask>,
    /// All starts of attempts.
    pub starts: Vec<(TaskId, Moment)>,
    pub time_spent: u64,
    pub rewards: Amounts,
    /// The time without activity after which the queue is paused, if something is still due.
    pause_after: Option<Moment>,
    active_at: Moment,
    memory: ModelMemory,
    queued: usize,
    /// How the tasks ended, by their numbers.
    ended: BTreeMap<usize, Outcome>,
}

impl Model {
    pub fn new(pause_after: Option<Moment>) -> Self {
        Self {
            now: 0,
            paused: false,
            slots: 1,
            max_tasks: 50,
            balances: Amounts::new(),
            tasks: Vec::new(),
            finished: Vec::new(),
            starts: Vec::new(),
            time_spent: 0,
            rewards: Amounts::new(),
            pause_after,
            active_at: 0,
            memory: ModelMemory::default(),
            queued: 0,
            ended: BTreeMap::new(),
        }
    }

    /// Takes one step. Only deliveries have a verdict. A tick advances the model to `now`.
    pub fn take(&mut self, step: &Step) -> Option<ModelVerdict> {
        let now = step.now().as_millis() - BEGINNING;
        match step {
            Step::Tick { .. } => {
                self.advance(now);
                None
            }
            Step::Deliver { delivery, .. } => Some(self.deliver(delivery, now)),
        }
    }

    /// Lets time pass, one millisecond after the other.
    pub fn advance(&mut self, moment: Moment) {
        while self.now < moment {
            self.now += 1;
            if self.paused {
                continue;
            }
            for task in &mut self.tasks {
                if task.started_at.is_some() {
                    task.worked += 1;
                }
            }
            self.end_attempts();
            self.start_tasks();
            self.paused = self.is_inactive() && self.something_is_due();
        }
    }

    /// Whether the last activity is long enough ago. A task that is planned for a time counts as
    /// activity at that time.
    fn is_inactive(&self) -> bool {
        let planned = self.tasks.iter().map(|task| task.wait_until).max().unwrap_or(0);
        self.pause_after.is_some_and(|pause_after| self.now >= self.active_at.max(planned) + pause_after)
    }

    /// Whether something will still happen by time alone.
    fn something_is_due(&self) -> bool {
        let active = self.tasks.iter().filter(|task| task.started_at.is_some()).count();
        self.tasks.iter().any(|task| match task.started_at {
            Some(_) => !matches!(task.spec.work, Work::Units { heartbeat_ms: None, timeout_ms: None, .. }),
            None => active < self.slots && self.may_start(&ModelTask { wait_until: 0, ..task.clone() }),
        })
    }

    fn deliver(&mut self, delivery: &Delivery, now: Moment) -> ModelVerdict {
        if let Some(reason) = self.memory.decided(delivery) {
            return ModelVerdict::Duplicate(reason);
        }
        let sent = delivery.sent_at.as_millis() - BEGINNING;
        self.advance(sent.min(now));
        self.active_at = self.now;
        let refused = self.execute(&delivery.command, sent).err();
        self.start_tasks();
        self.memory.remember(delivery, refused);
        match refused {
            Some(reason) => ModelVerdict::Rejected(reason),
            None => ModelVerdict::Applied,
        }
    }

    fn execute(&mut self, command: &Command, sent: Moment) -> Result<(), RejectionReason> {
        match command {
            Command::EnqueueTasks { tasks } => self.enqueue(tasks)?,
            Command::ReportProgress { task_id, units_done, attempt } => {
                let Some(at) = self.find_reported(task_id, *attempt, sent)? else { return Ok(()) };
                self.tasks[at].report(*units_done);
                self.complete_reported();
            }
            Command::CompleteTask { task_id, attempt, result } => {
                let Some(at) = self.find_reported(task_id, *attempt, sent)? else { return Ok(()) };
                if let Some(result) = result {
                    if self.paused {
                        limits::check_result(&self.tasks, at, result)?;
                    }
                    self.tasks[at].result = Some(result.clone());
                }
                self.tasks[at].report(u64::MAX);
                self.complete_reported();
            }
            Command::FailTask { task_id, reason, attempt, retry } => {
                let at = self.find(task_id)?;
                self.check_attempt(at, *attempt, sent)?;
                self.fail(at, reason, *retry);
            }
            Command::CancelTask { task_id } => {
                let at = self.find(task_id)?;
                self.finish(at, Outcome::Cancelled, Some("cancelled"));
                self.cancel_dependants();
            }
            Command::SetPriority { task_id, priority } => {
                let at = self.find(task_id)?;
                self.tasks[at].priority = *priority;
            }
            Command::MoveToFront { task_id } => {
                let at = self.find(task_id)?;
                if self.tasks[at].started_at.is_some() {
                    return Err(RejectionReason::TaskNotPending);
                }
                let task = self.tasks.remove(at);
                let first = self.tasks.iter().position(|other| other.priority == task.priority).unwrap_or(at);
                // If it is the first one of its priority, it stays where it is.
                self.tasks.insert(first.min(at), task);
            }
            Command::PauseQueue => self.paused = true,
            Command::ResumeQueue => {
                self.paused = false;
                self.complete_reported();
            }
            Command::ClearQueue => {
                while !self.tasks.is_empty() {
                    self.finish(0, Outcome::Cancelled, Some("queue_cleared"));
                }
            }
            Command::GrantResources { resources } => {
                limits::check_grant(&self.tasks, &self.balances, resources)?;
                credit(&mut self.balances, resources);
            }
            Command::ConfigureQueue { slots, max_tasks } => {
                self.slots = slots.map_or(self.slots, usize::from);
                self.max_tasks = max_tasks.map_or(self.max_tasks, usize::from);
            }
            other => panic!("a command that the model does not know: {other:?}"),
        }
        Ok(())
    }

    fn enqueue(&mut self, specs: &[TaskSpec]) -> Result<(), RejectionReason> {
        if self.tasks.len() + specs.len() > self.max_tasks {
            return Err(RejectionReason::QueueFull);
        }
        // The tasks that can be waited for, with their numbers.
        let mut known: Vec<(TaskId, usize)> =
            self.tasks.iter().map(|task| (task.spec.task_id.clone(), task.number)).collect();
        let mut new = Vec::new();
        for spec in specs {
            let number_of = |id: &TaskId| known.iter().find(|(other, _)| other == id).map(|(_, number)| *number);
            if number_of(&spec.task_id).is_some() || self.outcome_of(&spec.task_id) == Some(Outcome::Completed) {
                return Err(RejectionReason::DuplicateTask);
            }
            let (open, ended): (Vec<&TaskId>, Vec<&TaskId>) =
                spec.prerequisites.iter().partition(|id| number_of(id).is_some());
            let outcomes: Vec<Option<Outcome>> = ended.into_iter().map(|id| self.outcome_of(id)).collect();
            if outcomes.contains(&None) {
                return Err(RejectionReason::UnknownPrerequisite);
            }
            if outcomes.iter().any(|outcome| *outcome != Some(Outcome::Completed)) {
                return Err(RejectionReason::PrerequisiteFailed);
            }
            let waits_for: BTreeSet<usize> = open.iter().filter_map(|id| number_of(id)).collect();
            let open: BTreeSet<TaskId> = open.into_iter().cloned().collect();
            known.push((spec.task_id.clone(), self.queued + new.len()));
            new.push((spec, open, waits_for));
        }
        let with_open: Vec<_> = new.iter().map(|(spec, open, _)| (*spec, open.clone())).collect();
        limits::check_new_tasks(&self.tasks, &self.balances, &with_open)?;
        for (spec, _, waits_for) in new {
            self.tasks.push(ModelTask {
                number: self.queued,
                waits_for,
                spec: spec.clone(),
                priority: spec.priority,
                attempts: 0,
                units_done: 0,
                result: None,
                failures: Vec::new(),
                paid: false,
                enqueued_at: self.now,
                wait_until: spec.not_before.map_or(0, |at| at.as_millis().saturating_sub(BEGINNING)),
                started_at: None,
                worked: 0,
                reported: 0,
            });
            self.queued += 1;
        }
        Ok(())
    }

    /// The outcome of a remembered finished task.
    pub fn outcome_of(&self, id: &TaskId) -> Option<Outcome> {
        self.finished.iter().rev().take(64).find(|task| task.task_id == *id).map(|task| task.outcome)
    }

    pub fn find(&self, id: &TaskId) -> Result<usize, RejectionReason> {
        self.tasks.iter().position(|task| task.spec.task_id == *id).ok_or(RejectionReason::UnknownTask)
    }

    /// Starts one task after the other, until no slot is free or no task may start.
    fn start_tasks(&mut self) {
        while !self.paused && self.tasks.iter().filter(|task| task.started_at.is_some()).count() < self.slots {
            let may_start: Vec<usize> = (0..self.tasks.len()).filter(|at| self.may_start(&self.tasks[*at])).collect();
            let Some(highest) = may_start.iter().map(|at| self.tasks[*at].priority).max() else { return };
            let first = may_start.into_iter().find(|at| self.tasks[*at].priority == highest);
            let task = &mut self.tasks[first.expect("one has the highest priority")];
            if !task.paid {
                task.paid = true;
                for (name, amount) in task.spec.costs.iter() {
                    *self.balances.entry(name.to_string()).or_default() -= amount;
                }
            }
            task.started_at = Some(self.now);
            task.worked = 0;
            task.reported = 0;
            task.units_done = 0;
            self.starts.push((task.spec.task_id.clone(), self.now));
        }
    }

    fn may_start(&self, task: &ModelTask) -> bool {
        let completed = |number: &usize| self.ended.get(number) == Some(&Outcome::Completed);
        task.started_at.is_none()
            && task.wait_until <= self.now
            && task.waits_for.iter().all(completed)
            && (task.paid
                || task.spec.costs.iter().all(|(name, cost)| amount_of(&self.balances, name.as_str()) >= cost))
    }

    fn complete_reported(&mut self) {
        if !self.paused {
            self.complete_all(|task| task.units() > 0 && task.units_done == task.units());
        }
    }

    /// Completes the active tasks whose work is done, in queue order.
    fn complete_all(&mut self, is_done: impl Fn(&ModelTask) -> bool) {
        while let Some(at) = self.tasks.iter().position(|task| task.started_at.is_some() && is_done(task)) {
            self.finish(at, Outcome::Completed, None);
        }
    }

    /// Cancels the tasks that wait for a task that did not complete, until there is none.
    pub fn cancel_dependants(&mut self) {
        let dependant = |model: &Self| {
            let did_not_complete =
                |number: &usize| model.ended.get(number).is_some_and(|outcome| *outcome != Outcome::Completed);
            model.tasks.iter().position(|task| task.waits_for.iter().any(did_not_complete))
        };
        while let Some(at) = dependant(self) {
            self.finish(at, Outcome::Cancelled, Some("prerequisite_failed"));
        }
    }

    pub fn finish(&mut self, at: usize, outcome: Outcome, reason: Option<&str>) {
        let task = self.tasks.remove(at);
        match outcome {
            Outcome::Completed => {
                let before = self.balances.clone();
                credit(&mut self.balances, &task.spec.rewards);
                let credited: Vec<(String, u64)> = task
                    .spec
                    .rewards
                    .iter()
                    .map(|(name, _)| {
                        let name = name.to_string();
                        let amount = amount_of(&self.balances, &name) - amount_of(&before, &name);
                        (name, amount)
                    })
                    .collect();
                limits::total(&mut self.rewards, &credited);
                self.time_spent += task.worked;
            }
            Outcome::Cancelled if task.paid => credit(&mut self.balances, &task.spec.costs),
            Outcome::Cancelled | Outcome::Failed => {}
        }
        self.ended.insert(task.number, outcome);
        self.finished.push(FinishedModelTask {
            task_id: task.spec.task_id,
            outcome,
            reason: reason.map(str::to_owned),
            at: self.now,
            worked: task.worked,
            attempts: task.attempts,
            units_done: task.units_done,
            started_at: task.started_at,
            result: task.result.filter(|_| outcome == Outcome::Completed),
            failures: task.failures,
        });
    }

    pub fn count(&self, outcome: Outcome) -> u64 {
        self.finished.iter().filter(|task| task.outcome == outcome).count() as u64
    }
}
