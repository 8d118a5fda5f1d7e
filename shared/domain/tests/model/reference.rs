//! A slow and simple queue, written from the rules alone. It counts every millisecond that a task
//! has worked, and forgets nothing.

use std::collections::BTreeMap;

use millrace_domain::{
    Command, Delivery, MAX_AMOUNT, Priority, RejectionReason, Resources, TaskId, TaskSpec, Work, task::Outcome,
};

use crate::support::steps::{BEGINNING, Step};

/// Milliseconds after the beginning.
pub type Moment = u64;
type Amounts = BTreeMap<String, u64>;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelTask {
    pub spec: TaskSpec,
    pub priority: Priority,
    pub attempts: u8,
    pub units_done: u64,
    pub paid: bool,
    pub enqueued_at: Moment,
    /// The earliest start, from the spec or from the last retry.
    pub wait_until: Moment,
    /// When the current attempt of an active task started.
    pub started_at: Option<Moment>,
    /// Milliseconds that the current attempt has worked.
    pub worked: u64,
}

/// A finished task.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedModelTask {
    pub task_id: TaskId,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub at: Moment,
    pub worked: u64,
    pub attempts: u8,
    pub units_done: u64,
    pub started_at: Option<Moment>,
}

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
    decided: BTreeMap<String, Option<RejectionReason>>,
    last_position: Option<(u128, u16)>,
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
            decided: BTreeMap::new(),
            last_position: None,
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
            self.complete_all(|task| task.spec.work == Work::DurationMs(task.worked));
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
            Some(_) => matches!(task.spec.work, Work::DurationMs(_)),
            None => active < self.slots && self.may_start(&ModelTask { wait_until: 0, ..task.clone() }),
        })
    }

    fn deliver(&mut self, delivery: &Delivery, now: Moment) -> ModelVerdict {
        let name = delivery.command_id.to_string();
        if let Some(reason) = self.decided.get(&name) {
            return ModelVerdict::Duplicate(*reason);
        }
        let position = delivery.position.map(|position| (position.sequence, position.index));
        if let (Some(position), Some(last)) = (position, self.last_position)
            && position <= last
        {
            return ModelVerdict::Duplicate(None);
        }
        let sent = delivery.sent_at.as_millis() - BEGINNING;
        self.advance(sent.min(now));
        self.active_at = self.now;
        let refused = self.execute(&delivery.command, sent).err();
        self.start_tasks();
        self.decided.insert(name, refused);
        if position.is_some() {
            self.last_position = position;
        }
        match refused {
            Some(reason) => ModelVerdict::Rejected(reason),
            None => ModelVerdict::Applied,
        }
    }

    fn execute(&mut self, command: &Command, sent: Moment) -> Result<(), RejectionReason> {
        match command {
            Command::EnqueueTasks { tasks } => self.enqueue(tasks)?,
            Command::ReportProgress { task_id, units_done } => {
                let at = match self.find(task_id) {
                    Err(_) if self.outcome_of(task_id) == Some(Outcome::Completed) => return Ok(()),
                    found => found?,
                };
                let task = &mut self.tasks[at];
                let Work::Units(units) = task.spec.work else { return Err(RejectionReason::NotReportedWork) };
                let started_at = task.started_at.ok_or(RejectionReason::TaskNotActive)?;
                if task.attempts > 0 && sent < started_at {
                    return Err(RejectionReason::StaleReport);
                }
                task.units_done = task.units_done.max((*units_done).min(units));
                self.complete_reported();
            }
            Command::FailTask { task_id, reason } => {
                let at = self.find(task_id)?;
                if self.tasks[at].started_at.is_none() {
                    return Err(RejectionReason::TaskNotActive);
                }
                self.fail(at, reason);
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
            Command::GrantResources { resources } => credit(&mut self.balances, resources),
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
        let mut known: Vec<TaskId> = self.tasks.iter().map(|task| task.spec.task_id.clone()).collect();
        let outcome_of = |id: &TaskId| self.outcome_of(id);
        for spec in specs {
            if known.contains(&spec.task_id) || outcome_of(&spec.task_id) == Some(Outcome::Completed) {
                return Err(RejectionReason::DuplicateTask);
            }
            if spec.prerequisites.iter().any(|id| !known.contains(id) && outcome_of(id).is_none()) {
                return Err(RejectionReason::UnknownPrerequisite);
            }
            let has_failed = |id: &&TaskId| {
                !known.contains(id) && outcome_of(id).is_some_and(|outcome| outcome != Outcome::Completed)
            };
            if spec.prerequisites.iter().any(|id| has_failed(&id)) {
                return Err(RejectionReason::PrerequisiteFailed);
            }
            known.push(spec.task_id.clone());
        }
        let duration = |spec: &TaskSpec| match spec.work {
            Work::DurationMs(duration) => duration,
            Work::Units(_) => 0,
        };
        let total: u64 = self.tasks.iter().map(|task| &task.spec).chain(specs).map(duration).sum();
        if total > 7 * 24 * 60 * 60 * 1_000 {
            return Err(RejectionReason::QueueTooLong);
        }
        for spec in specs {
            self.tasks.push(ModelTask {
                spec: spec.clone(),
                priority: spec.priority,
                attempts: 0,
                units_done: 0,
                paid: false,
                enqueued_at: self.now,
                wait_until: spec.not_before.map_or(0, |at| at.as_millis().saturating_sub(BEGINNING)),
                started_at: None,
                worked: 0,
            });
        }
        Ok(())
    }

    /// The outcome of a remembered finished task.
    fn outcome_of(&self, id: &TaskId) -> Option<Outcome> {
        self.finished.iter().rev().take(64).find(|task| task.task_id == *id).map(|task| task.outcome)
    }

    fn find(&self, id: &TaskId) -> Result<usize, RejectionReason> {
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
            task.units_done = 0;
            self.starts.push((task.spec.task_id.clone(), self.now));
        }
    }

    fn may_start(&self, task: &ModelTask) -> bool {
        let completed =
            |id: &TaskId| self.finished.iter().any(|task| task.task_id == *id && task.outcome == Outcome::Completed);
        task.started_at.is_none()
            && task.wait_until <= self.now
            && task.spec.prerequisites.iter().all(completed)
            && (task.paid
                || task.spec.costs.iter().all(|(name, cost)| amount_of(&self.balances, name.as_str()) >= cost))
    }

    fn complete_reported(&mut self) {
        if !self.paused {
            self.complete_all(|task| task.spec.work == Work::Units(task.units_done));
        }
    }

    /// Completes the active tasks whose work is done, in queue order.
    fn complete_all(&mut self, is_done: impl Fn(&ModelTask) -> bool) {
        while let Some(at) = self.tasks.iter().position(|task| task.started_at.is_some() && is_done(task)) {
            self.finish(at, Outcome::Completed, None);
        }
    }

    fn fail(&mut self, at: usize, reason: &str) {
        let task = &mut self.tasks[at];
        task.attempts += 1;
        if task.attempts > task.spec.max_retries {
            self.finish(at, Outcome::Failed, Some(reason));
            self.cancel_dependants();
            return;
        }
        let mut delay = u64::from(task.spec.retry_delay_ms);
        for _ in 1..task.attempts {
            delay *= 2;
        }
        task.wait_until = self.now + delay.min(60 * 60 * 1_000);
        task.started_at = None;
        task.units_done = 0;
        task.worked = 0;
    }

    /// Cancels the tasks that wait for a task that did not complete, until there is none.
    fn cancel_dependants(&mut self) {
        let did_not_complete = |finished: &[FinishedModelTask], id: &TaskId| {
            finished.iter().any(|task| task.task_id == *id && task.outcome != Outcome::Completed)
        };
        let dependant = |model: &Self| {
            let mut tasks = model.tasks.iter();
            tasks.position(|task| task.spec.prerequisites.iter().any(|id| did_not_complete(&model.finished, id)))
        };
        while let Some(at) = dependant(self) {
            self.finish(at, Outcome::Cancelled, Some("prerequisite_failed"));
        }
    }

    fn finish(&mut self, at: usize, outcome: Outcome, reason: Option<&str>) {
        let task = self.tasks.remove(at);
        match outcome {
            Outcome::Completed => {
                let before = self.balances.clone();
                credit(&mut self.balances, &task.spec.rewards);
                for (name, amount) in &self.balances {
                    *self.rewards.entry(name.clone()).or_default() += amount - amount_of(&before, name);
                }
                self.time_spent += task.worked;
            }
            Outcome::Cancelled if task.paid => credit(&mut self.balances, &task.spec.costs),
            Outcome::Cancelled | Outcome::Failed => {}
        }
        self.finished.push(FinishedModelTask {
            task_id: task.spec.task_id,
            outcome,
            reason: reason.map(str::to_owned),
            at: self.now,
            worked: task.worked,
            attempts: task.attempts,
            units_done: task.units_done,
            started_at: task.started_at,
        });
    }

    pub fn count(&self, outcome: Outcome) -> u64 {
        self.finished.iter().filter(|task| task.outcome == outcome).count() as u64
    }
}

pub fn amount_of(amounts: &Amounts, name: &str) -> u64 {
    amounts.get(name).copied().unwrap_or(0)
}

fn credit(balances: &mut Amounts, resources: &Resources) {
    for (name, amount) in resources.iter() {
        let balance = balances.entry(name.to_string()).or_default();
        *balance = (*balance + amount).min(MAX_AMOUNT);
    }
}
