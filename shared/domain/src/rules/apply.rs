//! Delivers a command or a tick to a queue.
//!
//! A command that is remembered changes nothing. Any other command first advances the queue to its
//! effective time, then takes effect, and then free slots are filled.

use crate::{
    model::{
        command::{Command, Delivery},
        event::{Event, EventData, TaskChange},
        ids::TaskId,
        queue::Queue,
        rejection::{Rejection, RejectionReason},
        resources::Resources,
        time::Timestamp,
    },
    rules::{
        checks::AttemptClaim,
        deployment::Rules,
        lifecycle::Failure,
        report::Report,
        verdict::{RequiredWrite, Verdict},
    },
};

impl Queue {
    /// Delivers a command at the server's time `now`. Appends what happens to `events`.
    pub fn deliver(
        &mut self,
        delivery: &Delivery,
        now: Timestamp,
        rules: Rules,
        events: &mut Vec<Event>,
    ) -> (Verdict, RequiredWrite) {
        if let Some(decided) = self.command_memory.find(delivery) {
            return (Verdict::Duplicate(decided.rejection), RequiredWrite::Nothing);
        }
        let events_before = events.len();
        let at = self.effective_time(delivery, now);
        self.advance(at, rules, events);
        let result = self.execute(delivery, at, events);
        self.command_memory.remember(delivery, result.as_ref().err().map(|rejection| rejection.reason));
        match result {
            Ok(required) => {
                self.start_eligible_tasks(at, events);
                // Not each report is written, and all copies of a queue must have the same
                // `active_at`. So a report that needs no commit moves it only if that is worth a
                // commit.
                let renew = required == RequiredWrite::Commit || rules.renews_activity(self.active_at, at);
                if renew {
                    self.active_at = at;
                }
                let commit = renew || events.len() > events_before;
                (Verdict::Applied, if commit { RequiredWrite::Commit } else { required })
            }
            Err(rejection) => {
                self.active_at = at;
                let (reason, detail) = (rejection.reason, rejection.detail.clone());
                let command_id = delivery.command_id.clone();
                self.add_event(at, EventData::CommandRejected { command_id, reason, detail }, events);
                (Verdict::Rejected(rejection), RequiredWrite::Commit)
            }
        }
    }

    /// The time at which a command takes effect: when it was sent, but never after `now`, and never
    /// before the time to which the queue is advanced.
    pub fn effective_time(&self, delivery: &Delivery, now: Timestamp) -> Timestamp {
        delivery.sent_at.min(now).max(self.advanced_to)
    }

    /// Advances the queue to `now`. If nothing is due, nothing changes.
    pub fn tick(&mut self, now: Timestamp, rules: Rules, events: &mut Vec<Event>) -> RequiredWrite {
        if self.due_at(rules).is_none_or(|due| due > now) {
            return RequiredWrite::Nothing;
        }
        self.advance(now, rules, events);
        RequiredWrite::Commit
    }

    fn execute(
        &mut self,
        delivery: &Delivery,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<RequiredWrite, Rejection> {
        match &delivery.command {
            Command::EnqueueTasks { tasks } => self.enqueue(tasks, at, events)?,
            Command::ReportProgress { task_id, units_done, attempt } => {
                let claim = AttemptClaim { named: *attempt, sent_at: delivery.sent_at };
                return self.report(task_id, &Report::Progress(*units_done), claim, at, events);
            }
            Command::CompleteTask { task_id, attempt, result } => {
                let claim = AttemptClaim { named: *attempt, sent_at: delivery.sent_at };
                return self.report(task_id, &Report::Completion(result.as_ref()), claim, at, events);
            }
            Command::FailTask { task_id, reason, attempt, retry } => {
                let position = self.require_unfinished(task_id)?;
                let claim = AttemptClaim { named: *attempt, sent_at: delivery.sent_at };
                self.require_current_attempt(position, claim)?;
                self.fail(position, Failure::Reported { reason, retry: *retry }, at, events);
            }
            Command::CancelTask { task_id } => {
                let position = self.require_unfinished(task_id)?;
                self.cancel(position, at, events);
            }
            Command::SetPriority { task_id, priority } => {
                let position = self.require_unfinished(task_id)?;
                if self.tasks[position].priority != *priority {
                    self.tasks[position].priority = *priority;
                    let change = TaskChange::Priority(*priority);
                    self.add_event(at, EventData::TaskChanged { task_id: task_id.clone(), change }, events);
                }
            }
            Command::MoveToFront { task_id } => self.move_to_front(task_id, at, events)?,
            Command::PauseQueue => self.pause(at, events),
            Command::ResumeQueue => self.resume(at, events),
            Command::ClearQueue => self.clear(at, events),
            Command::GrantResources { resources } => self.grant(resources, at, events)?,
            Command::ConfigureQueue { slots, max_tasks } => {
                self.configure(*slots, *max_tasks, at, events);
            }
        }
        Ok(RequiredWrite::Commit)
    }

    /// Moves a pending task right before the first other one of its priority. Tasks of other
    /// priorities keep their order, which matters if priorities change later.
    fn move_to_front(&mut self, id: &TaskId, at: Timestamp, events: &mut Vec<Event>) -> Result<(), Rejection> {
        let position = self.require_unfinished(id)?;
        if self.tasks[position].is_active() {
            return Err(Rejection::new(
                RejectionReason::TaskNotPending,
                format!("taskId: `{id}` is active; allowed: a pending task"),
            ));
        }
        let priority = self.tasks[position].priority;
        if let Some(first) = self.tasks[..position].iter().position(|task| task.priority == priority) {
            self.tasks[first..=position].rotate_right(1);
            let moved = EventData::TaskChanged { task_id: id.clone(), change: TaskChange::MovedToFront };
            self.add_event(at, moved, events);
        }
        Ok(())
    }

    fn configure(&mut self, slots: Option<u8>, max_tasks: Option<u16>, at: Timestamp, events: &mut Vec<Event>) {
        let before = (self.slots, self.max_tasks);
        self.slots = slots.unwrap_or(self.slots);
        self.max_tasks = max_tasks.unwrap_or(self.max_tasks);
        if (self.slots, self.max_tasks) != before {
            let configured = EventData::QueueConfigured { slots: self.slots, max_tasks: self.max_tasks };
            self.add_event(at, configured, events);
        }
    }

    fn grant(&mut self, resources: &Resources, at: Timestamp, events: &mut Vec<Event>) -> Result<(), Rejection> {
        self.check_grant(resources)?;
        let lost = self.balances.add_all(resources);
        if !resources.is_empty() {
            let resources = if lost.is_empty() { resources.clone() } else { resources.without(&lost) };
            self.add_event(at, EventData::ResourcesGranted { resources, lost }, events);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
