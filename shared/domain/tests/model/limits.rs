//! The limits of the model, in the numbers of the documentation.

use std::collections::BTreeSet;

use millrace_domain::{RejectionReason, Resources, TaskId, TaskSpec, Work};

use crate::tasks::{Amounts, ModelTask, amount_of};

/// The largest sum of the durations of unfinished timed tasks, in milliseconds: seven days.
const MAX_QUEUED_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// The largest size of the unfinished tasks, in bytes.
const MAX_TASK_BYTES: usize = 152 * 1024;
/// The largest size of the balances, in bytes.
const MAX_BALANCE_BYTES: usize = 72 * 1024;
/// The largest number of resources that may be granted.
const MAX_BALANCES: usize = 1_000;
/// The largest number of resources whose rewards are totalled.
const MAX_TOTALLED_RESOURCES: usize = 256;

fn bytes_of_name(name: &str) -> usize {
    name.len() + 12
}

fn bytes_of(amounts: &Resources) -> usize {
    amounts.iter().map(|(name, _)| bytes_of_name(name.as_str())).sum()
}

/// A task as it is unfinished, or as the record of its end, whichever is larger.
fn bytes_of_task<'a>(spec: &TaskSpec, open_prerequisites: impl Iterator<Item = &'a TaskId>) -> usize {
    let (costs, rewards) = (bytes_of(&spec.costs), bytes_of(&spec.rewards));
    let open: usize = open_prerequisites.map(|id| 2 + id.as_str().len()).sum();
    let unfinished = 84 + open + costs + rewards;
    let finished = 248 + costs + 2 * costs.max(rewards);
    spec.task_id.as_str().len() + spec.kind.as_str().len() + unfinished.max(finished)
}

/// The limits of `enqueueTasks` beside the number of tasks. Each new task comes with the
/// prerequisites that it waits for.
pub fn check_new_tasks(
    tasks: &[ModelTask],
    balances: &Amounts,
    new: &[(&TaskSpec, BTreeSet<TaskId>)],
) -> Result<(), RejectionReason> {
    let duration = |spec: &TaskSpec| match spec.work {
        Work::DurationMs(duration) => duration,
        Work::Units(_) => 0,
    };
    let specs = || tasks.iter().map(|task| &task.spec).chain(new.iter().map(|(spec, _)| *spec));
    if specs().map(duration).sum::<u64>() > MAX_QUEUED_MS {
        return Err(RejectionReason::QueueTooLong);
    }
    let open_of = |task: &ModelTask| -> Vec<TaskId> {
        let open = tasks.iter().filter(|other| task.waits_for.contains(&other.number));
        open.map(|other| other.spec.task_id.clone()).collect()
    };
    let unfinished = tasks.iter().map(|task| bytes_of_task(&task.spec, open_of(task).iter()));
    let new_bytes = new.iter().map(|(spec, open)| bytes_of_task(spec, open.iter()));
    if unfinished.chain(new_bytes).sum::<usize>() > MAX_TASK_BYTES {
        return Err(RejectionReason::QueueTooLarge);
    }
    check_balances(tasks, balances, new.iter().map(|(spec, _)| &spec.rewards))
}

pub fn check_grant(tasks: &[ModelTask], balances: &Amounts, resources: &Resources) -> Result<(), RejectionReason> {
    let held: BTreeSet<&str> =
        balances.iter().filter(|(_, amount)| **amount > 0).map(|(name, _)| name.as_str()).collect();
    let granted: BTreeSet<&str> = resources.iter().map(|(name, _)| name.as_str()).collect();
    if !granted.is_subset(&held) && held.union(&granted).count() > MAX_BALANCES {
        return Err(RejectionReason::TooManyResources);
    }
    check_balances(tasks, balances, std::iter::once(resources))
}

/// Refuses amounts of new resources that the balances have no room for.
fn check_balances<'a>(
    tasks: &'a [ModelTask],
    balances: &'a Amounts,
    new: impl Iterator<Item = &'a Resources>,
) -> Result<(), RejectionReason> {
    let names_of = |amounts: &'a Resources| amounts.iter().map(|(name, _)| name.as_str());
    let mut names: BTreeSet<&str> =
        balances.iter().filter(|(_, amount)| **amount > 0).map(|(name, _)| name.as_str()).collect();
    for task in tasks {
        names.extend(names_of(&task.spec.rewards));
        if task.paid {
            names.extend(names_of(&task.spec.costs));
        }
    }
    let before = names.len();
    names.extend(new.flat_map(names_of));
    let bytes: usize = names.iter().map(|name| bytes_of_name(name)).sum();
    match names.len() > before && bytes > MAX_BALANCE_BYTES {
        true => Err(RejectionReason::TooManyResources),
        false => Ok(()),
    }
}

/// Adds rewards that were credited to the totals, which have the first resources only.
pub fn total(totals: &mut Amounts, credited: &[(String, u64)]) {
    for (name, amount) in credited.iter().filter(|(_, amount)| *amount > 0) {
        if totals.len() < MAX_TOTALLED_RESOURCES || amount_of(totals, name) > 0 {
            *totals.entry(name.clone()).or_default() += amount;
        }
    }
}
