//! The limits of a queue. Each has its own rejection reason, whose detail says how to get below it.

use std::collections::BTreeSet;

use crate::model::{
    event::EVENT_OVERHEAD,
    ids::ResourceName,
    json_text::JsonText,
    queue::{MAX_BALANCE_BYTES, MAX_BALANCES, MAX_QUEUED_MS, MAX_TASK_BYTES, Queue},
    rejection::{Rejection, RejectionReason},
    resources::{Resources, entry_size},
    task::{Task, TaskSpec},
};

impl Queue {
    pub(super) fn check_task_count(&self, new: usize) -> Result<(), Rejection> {
        let unfinished = self.tasks.len();
        let max = usize::from(self.max_tasks);
        if unfinished + new > max {
            return Err(Rejection::new(
                RejectionReason::QueueFull,
                format!(
                    "{unfinished} unfinished and {new} new tasks; allowed: {max} together. Finish or cancel tasks, or \
                     raise maxTasks"
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn check_duration(&self, specs: &[TaskSpec]) -> Result<(), Rejection> {
        let unfinished_ms = self.queued_ms();
        let new_ms: u64 = specs.iter().map(|spec| spec.work.duration_ms()).sum();
        if unfinished_ms + new_ms > MAX_QUEUED_MS {
            return Err(Rejection::new(
                RejectionReason::QueueTooLong,
                format!(
                    "{unfinished_ms} ms of timed work unfinished and {new_ms} ms new; allowed: {MAX_QUEUED_MS} ms \
                     together. Finish or cancel timed tasks, or queue shorter ones"
                ),
            ));
        }
        Ok(())
    }

    /// Checks the size of all tasks together with new ones and their events. Returns the size of
    /// the tasks.
    pub(super) fn check_task_bytes(&self, new_tasks: &[Task], specs: &[TaskSpec]) -> Result<usize, Rejection> {
        let unfinished = self.task_bytes();
        let new: usize = new_tasks.iter().map(Task::size_estimate).sum();
        let queued: usize = specs.iter().map(|spec| EVENT_OVERHEAD + spec.size_estimate()).sum();
        if unfinished + new + queued > MAX_TASK_BYTES {
            return Err(Rejection::new(
                RejectionReason::QueueTooLarge,
                format!(
                    "{unfinished} bytes of unfinished tasks, {new} bytes of new ones and {queued} bytes of their \
                     events; allowed: {MAX_TASK_BYTES} together. Finish or cancel tasks, queue fewer at once, or give \
                     new ones shorter names, smaller payloads, and fewer prerequisites, costs and rewards"
                ),
            ));
        }
        Ok(unfinished + new)
    }

    /// Checks that there is room for the result of the task at `position`, which waits in the queue
    /// for the end of a pause.
    pub(super) fn check_result(&self, position: usize, result: &JsonText) -> Result<(), Rejection> {
        let replaced = self.tasks[position].result.as_ref().map_or(0, JsonText::size);
        let bytes = self.task_bytes() - replaced + result.size();
        if bytes > MAX_TASK_BYTES {
            return Err(Rejection::new(
                RejectionReason::QueueTooLarge,
                format!(
                    "result: {bytes} bytes of unfinished tasks with this result; allowed while the queue is paused: \
                     {MAX_TASK_BYTES}. Resume the queue, cancel tasks, or send a shorter result"
                ),
            ));
        }
        Ok(())
    }

    /// Checks that the balances have room for the rewards of new tasks. A task that rewards nothing
    /// new is always accepted, so that balances can be spent. `task_bytes` is the size of all
    /// tasks.
    pub(super) fn check_rewards(&self, specs: &[TaskSpec], task_bytes: usize) -> Result<(), Rejection> {
        // The size of tasks includes that of their amounts.
        if self.balances.size_estimate() + task_bytes <= MAX_BALANCE_BYTES {
            return Ok(());
        }
        let amounts = || specs.iter().map(|spec| &spec.rewards);
        self.check_balance_bytes(amounts, "rewards")
    }

    /// Checks that the balances have room for a grant.
    pub(super) fn check_grant(&self, resources: &Resources) -> Result<(), Rejection> {
        let new = resources.iter().filter(|(name, _)| !self.balances.contains(name)).count();
        let balances = self.balances.len() + new;
        // A queue may have more balances from rewards; those can still be added to.
        if new > 0 && balances > MAX_BALANCES {
            return Err(Rejection::new(
                RejectionReason::TooManyResources,
                format!(
                    "resources: balances of {balances} different resources; allowed: {MAX_BALANCES}. Spend some of \
                     them to 0, or grant resources that the player holds"
                ),
            ));
        }
        if new == 0
            || self.balances.size_estimate() + self.task_bytes() + resources.size_estimate() <= MAX_BALANCE_BYTES
        {
            return Ok(());
        }
        self.check_balance_bytes(|| std::iter::once(resources), "resources")
    }

    fn check_balance_bytes<'a, I: Iterator<Item = &'a Resources>>(
        &'a self,
        new_amounts: impl Fn() -> I,
        field: &str,
    ) -> Result<(), Rejection> {
        let names = |amounts: &'a Resources| amounts.iter().map(|(name, _)| name);
        let mut known: BTreeSet<&ResourceName> = names(&self.balances).collect();
        for task in &self.tasks {
            known.extend(names(&task.rewards));
            if task.paid {
                known.extend(names(&task.costs));
            }
        }
        let known_resources = known.len();
        known.extend(new_amounts().flat_map(names));
        let bytes: usize = known.iter().map(|name| entry_size(name)).sum();
        if known.len() == known_resources || bytes <= MAX_BALANCE_BYTES {
            return Ok(());
        }
        Err(Rejection::new(
            RejectionReason::TooManyResources,
            format!(
                "{field}: balances, with the rewards of unfinished tasks, of {} different resources in {bytes} bytes; \
                 allowed: {MAX_BALANCE_BYTES} bytes. Spend some of them to 0, or name resources that the player holds",
                known.len()
            ),
        ))
    }
}

#[cfg(test)]
mod tests;
