//! One command takes effect: duplicate, rejected or applied.
//!
//! The order is always the same: a command that is remembered changes nothing; otherwise the queue is
//! advanced to the command's effective time, the command takes effect, and free slots are filled.

use crate::{
    command::{Command, Delivery},
    command_memory::Recall,
    event::Event,
    finish::CANCELLED,
    ids::TaskId,
    queue::{MAX_BALANCES, MAX_QUEUE_BYTES, MAX_QUEUED_MS, Queue, duration_ms},
    rejection::{Rejection, RejectionReason},
    resources::Resources,
    rules::Rules,
    task::{Outcome, Priority, Task, TaskSpec, TaskState, Work},
    time::Timestamp,
};

/// What became of a delivered command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It took effect.
    Applied,
    /// It was decided before, with this refusal if it was refused and that is still known.
    Duplicate(Option<RejectionReason>),
    /// It is refused, for good.
    Rejected(Rejection),
}

/// How a queue has changed, and so what has to be written. Later variants include earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing that needs a write.
    Nothing,
    /// Units done between milestones: the progress table and the cache learn of it.
    Progress,
    /// Something was decided: a conditional write of the queue.
    Decided,
}

impl Queue {
    /// Delivers a command at the server's time `now`; what happens is appended to `events`.
    pub fn deliver(
        &mut self,
        delivery: &Delivery,
        now: Timestamp,
        rules: Rules,
        events: &mut Vec<Event>,
    ) -> (Verdict, Change) {
        if let Recall::Known(reason) = self.memory.recall(delivery) {
            return (Verdict::Duplicate(reason), Change::Nothing);
        }
        let happened = events.len();
        let at = delivery.sent_at.min(now).max(self.advanced_to);
        self.advance(at, rules, events);
        let result = self.execute(&delivery.command, delivery.sent_at, at, events);
        self.memory.remember(delivery, result.as_ref().err().map(|rejection| rejection.reason));
        match result {
            Ok(change) => {
                self.fill(at, events);
                // A report between milestones is not written for its own sake, and copies of the queue must
                // not differ in what they say of its activity: such a report moves it only now and then.
                let active = change == Change::Decided || rules.renews_activity(self.active_at, at);
                if active {
                    self.active_at = at;
                }
                let change = if active || events.len() > happened { Change::Decided } else { change };
                (Verdict::Applied, change)
            }
            Err(rejection) => {
                self.active_at = at;
                (Verdict::Rejected(rejection), Change::Decided)
            }
        }
    }

    /// Advances the queue to `now`; where nothing is due, nothing has to be written.
    pub fn tick(&mut self, now: Timestamp, rules: Rules, events: &mut Vec<Event>) -> Change {
        if self.due_at(rules).is_none_or(|due| due > now) {
            return Change::Nothing;
        }
        self.advance(now, rules, events);
        Change::Decided
    }

    fn execute(
        &mut self,
        command: &Command,
        sent_at: Timestamp,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<Change, Rejection> {
        match command {
            Command::EnqueueTasks { tasks } => self.enqueue(tasks, at, events)?,
            Command::ReportProgress { task_id, units_done } => {
                return self.report(task_id, *units_done, sent_at, at, events);
            }
            Command::FailTask { task_id, reason } => {
                let position = self.unfinished(task_id)?;
                self.require_active(position)?;
                self.fail(position, reason, at, events);
            }
            Command::CancelTask { task_id } => {
                let position = self.unfinished(task_id)?;
                self.cancel(position, CANCELLED, at, events);
            }
            Command::SetPriority { task_id, priority } => {
                let position = self.unfinished(task_id)?;
                self.tasks[position].priority = *priority;
                events.push(Event::PrioritySet { task_id: task_id.clone(), priority: *priority });
            }
            Command::MoveToFront { task_id } => self.move_to_front(task_id, events)?,
            Command::PauseQueue => self.pause(at, events),
            Command::ResumeQueue => self.resume(at, events),
            Command::ClearQueue => self.clear(at, events),
            Command::GrantResources { resources } => self.grant(resources, events)?,
            Command::ConfigureQueue { slots, max_tasks } => {
                self.slots = slots.unwrap_or(self.slots);
                self.max_tasks = max_tasks.unwrap_or(self.max_tasks);
                events.push(Event::QueueConfigured { slots: self.slots, max_tasks: self.max_tasks });
            }
        }
        Ok(Change::Decided)
    }

    fn enqueue(&mut self, specs: &[TaskSpec], at: Timestamp, events: &mut Vec<Event>) -> Result<(), Rejection> {
        let unfinished = self.tasks.len() + specs.len();
        if unfinished > usize::from(self.max_tasks) {
            return Err(Rejection::new(
                RejectionReason::QueueFull,
                format!(
                    "{} unfinished and {} new tasks; allowed: {} together",
                    self.tasks.len(),
                    specs.len(),
                    self.max_tasks
                ),
            ));
        }
        let mut queued = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let waiting_for = self.check(spec, &specs[..index])?;
            queued.push(Task::new(spec, waiting_for, at));
        }
        let new_ms: u64 = specs.iter().map(|spec| duration_ms(spec.work)).sum();
        if self.queued_ms() + new_ms > MAX_QUEUED_MS {
            return Err(Rejection::new(
                RejectionReason::QueueTooLong,
                format!(
                    "{} ms of timed work unfinished and {new_ms} ms new; allowed: {MAX_QUEUED_MS} ms together",
                    self.queued_ms()
                ),
            ));
        }
        let before = self.tasks.len();
        // Many queues are held in memory for long: a list grows by what it needs, not to twice its size.
        self.tasks.reserve_exact(queued.len());
        self.tasks.append(&mut queued);
        if self.weight() > MAX_QUEUE_BYTES {
            self.tasks.truncate(before);
            return Err(Rejection::new(
                RejectionReason::QueueFull,
                format!("the queue would take more bytes than it may; allowed: {MAX_QUEUE_BYTES}"),
            ));
        }
        events.extend(specs.iter().map(|spec| Event::TaskQueued { task_id: spec.task_id.clone(), at }));
        Ok(())
    }

    /// Checks one new task against the queue and the tasks before it in the same command; returns
    /// which of its prerequisites have yet to complete.
    fn check(&self, spec: &TaskSpec, earlier: &[TaskSpec]) -> Result<Vec<TaskId>, Rejection> {
        let id = &spec.task_id;
        let in_command = |id: &TaskId| earlier.iter().any(|other| other.task_id == *id);
        if self.position(id).is_some() || self.remembered(id).is_some() || in_command(id) {
            return Err(Rejection::new(
                RejectionReason::DuplicateTask,
                format!("taskId: `{id}` is taken; allowed: an id that no unfinished or remembered task has"),
            ));
        }
        let mut waiting_for: Vec<TaskId> = Vec::new();
        let mut failed = None;
        for prerequisite in &spec.prerequisites {
            if self.position(prerequisite).is_some() || in_command(prerequisite) {
                if !waiting_for.contains(prerequisite) {
                    waiting_for.push(prerequisite.clone());
                }
            } else {
                match self.remembered(prerequisite).map(|finished| finished.outcome) {
                    Some(Outcome::Completed) => {}
                    Some(Outcome::Failed | Outcome::Cancelled) => failed = failed.or(Some(prerequisite)),
                    None => {
                        return Err(Rejection::new(
                            RejectionReason::UnknownPrerequisite,
                            format!(
                                "prerequisites: `{id}` names `{prerequisite}`; allowed: a task of this queue, one earlier in the same command, or a remembered finished one"
                            ),
                        ));
                    }
                }
            }
        }
        match failed {
            Some(prerequisite) => Err(Rejection::new(
                RejectionReason::PrerequisiteFailed,
                format!("prerequisites: `{id}` names `{prerequisite}`, which did not complete"),
            )),
            None => Ok(waiting_for),
        }
    }

    fn report(
        &mut self,
        id: &TaskId,
        units_done: u64,
        sent_at: Timestamp,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<Change, Rejection> {
        let position = self.unfinished(id)?;
        let task = &self.tasks[position];
        let Work::Units(units) = task.work else {
            return Err(Rejection::new(
                RejectionReason::NotReportedWork,
                format!("taskId: `{id}` is timed work, which ends by the server's clock"),
            ));
        };
        let started_at = self.require_active(position)?;
        if sent_at < started_at {
            return Err(Rejection::new(
                RejectionReason::StaleReport,
                format!(
                    "the report was sent at {sent_at}, before the current attempt of `{id}` started at {started_at}"
                ),
            ));
        }
        let done = units_done.min(units);
        if done <= task.units_done {
            return Ok(Change::Nothing);
        }
        let reached = task.quarter(done);
        let milestone = reached > task.quarter(task.units_done);
        self.tasks[position].units_done = done;
        if !milestone {
            return Ok(Change::Progress);
        }
        events.push(Event::MilestoneReached { task_id: id.clone(), percent: 25 * reached, at });
        if done == units && !self.is_paused() {
            self.complete(position, at, events);
        }
        Ok(Change::Decided)
    }

    /// Puts a pending task right before the first other one of its priority, which moves nobody
    /// else: tasks of other priorities keep their order, should priorities change later.
    fn move_to_front(&mut self, id: &TaskId, events: &mut Vec<Event>) -> Result<(), Rejection> {
        let position = self.unfinished(id)?;
        if self.tasks[position].is_active() {
            return Err(Rejection::new(
                RejectionReason::TaskNotPending,
                format!("taskId: `{id}` is active; allowed: a pending task"),
            ));
        }
        let priority: Priority = self.tasks[position].priority;
        if let Some(first) = self.tasks[..position].iter().position(|task| task.priority == priority) {
            self.tasks[first..=position].rotate_right(1);
        }
        events.push(Event::MovedToFront { task_id: id.clone() });
        Ok(())
    }

    pub(crate) fn pause(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        if self.paused_at.is_none() {
            self.paused_at = Some(at);
            events.push(Event::QueuePaused { at });
        }
    }

    pub(crate) fn resume(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let Some(paused_at) = self.paused_at.take() else { return };
        let length = at.millis_since(paused_at);
        for task in &mut self.tasks {
            if let TaskState::Active { paused_ms, .. } = &mut task.state {
                *paused_ms += length;
            }
        }
        events.push(Event::QueueResumed { at, paused_ms: length });
        // Reports that came in during the pause may have filled tasks, which complete now.
        let mut position = 0;
        while position < self.tasks.len() {
            if self.tasks[position].is_active() && self.tasks[position].is_full() {
                self.complete(position, at, events);
            } else {
                position += 1;
            }
        }
    }

    fn grant(&mut self, resources: &Resources, events: &mut Vec<Event>) -> Result<(), Rejection> {
        let mut balances = self.balances.clone();
        let lost = balances.add_all(resources);
        if balances.len() > MAX_BALANCES.max(self.balances.len()) {
            return Err(Rejection::new(
                RejectionReason::TooManyResources,
                format!("resources: balances of {} different resources; allowed: {MAX_BALANCES}", balances.len()),
            ));
        }
        self.balances = balances;
        events.push(Event::ResourcesGranted { resources: resources.clone(), lost });
        Ok(())
    }

    fn unfinished(&self, id: &TaskId) -> Result<usize, Rejection> {
        self.position(id).ok_or_else(|| {
            Rejection::new(RejectionReason::UnknownTask, format!("taskId: no unfinished task `{id}` is in this queue"))
        })
    }

    fn require_active(&self, position: usize) -> Result<Timestamp, Rejection> {
        let task = &self.tasks[position];
        task.started_at().ok_or_else(|| {
            Rejection::new(
                RejectionReason::TaskNotActive,
                format!("taskId: `{}` is pending; allowed: an active task", task.id),
            )
        })
    }
}

#[cfg(test)]
mod tests;
