//! `enqueueTasks`: all tasks or none, and the order of the refusals.

use crate::model::{
    event::{Event, EventData},
    ids::TaskId,
    queue::Queue,
    rejection::{Rejection, RejectionReason},
    task::{Outcome, Task, TaskSpec},
    time::Timestamp,
};

impl Queue {
    /// Queues all tasks, or none. The first reason that holds is given.
    pub(super) fn enqueue(
        &mut self,
        specs: &[TaskSpec],
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        self.check_task_count(specs.len())?;
        let mut new_tasks = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let open_prerequisites = self.check_task(spec, &specs[..index])?;
            new_tasks.push(Task::new(spec, open_prerequisites, at));
        }
        self.check_duration(specs)?;
        let task_bytes = self.check_task_bytes(&new_tasks, specs)?;
        self.check_rewards(specs, task_bytes)?;
        // Queues stay in memory for long: reserve what is needed instead of doubling the capacity.
        self.tasks.reserve_exact(new_tasks.len());
        self.tasks.append(&mut new_tasks);
        for spec in specs {
            self.add_event(at, EventData::TaskQueued(Box::new(spec.clone())), events);
        }
        Ok(())
    }

    /// Checks one new task against the queue and the tasks before it in the command. Returns its
    /// prerequisites that have not completed.
    fn check_task(&self, spec: &TaskSpec, earlier: &[TaskSpec]) -> Result<Vec<TaskId>, Rejection> {
        let id = &spec.task_id;
        let in_command = |id: &TaskId| earlier.iter().any(|other| other.task_id == *id);
        if self.position(id).is_some() || self.has_completed(id) || in_command(id) {
            return Err(Rejection::new(
                RejectionReason::DuplicateTask,
                format!(
                    "taskId: `{id}` is taken; allowed: an id that no unfinished and no remembered completed task has"
                ),
            ));
        }
        let mut open: Vec<TaskId> = Vec::new();
        let mut failed = None;
        for prerequisite in &spec.prerequisites {
            if self.position(prerequisite).is_some() || in_command(prerequisite) {
                if !open.contains(prerequisite) {
                    open.push(prerequisite.clone());
                }
                continue;
            }
            match self.finished_task(prerequisite).map(|finished| finished.outcome) {
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
        match failed {
            Some(prerequisite) => Err(Rejection::new(
                RejectionReason::PrerequisiteFailed,
                format!("prerequisites: `{id}` names `{prerequisite}`, which did not complete"),
            )),
            None => Ok(open),
        }
    }
}

#[cfg(test)]
mod tests;
