//! The limits of the model, in the numbers of the documentation.

use std::collections::BTreeSet;

use millrace_domain::{JsonText, RejectionReason, Resources, TaskId, TaskSpec, Work};

use crate::tasks::{Amounts, ModelTask, amount_of};

/// The largest sum of the durations of unfinished timed tasks, in milliseconds: seven days.
const MAX_QUEUED_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// The largest size of the unfinished tasks, in bytes.
const MAX_TASK_BYTES: usize = 148 * 1024;
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

fn bytes_of_json(json: Option<&JsonText>) -> usize {
    json.map_or(0, |json| json.as_str().len())
}

/// A task as it is unfinished, or as the record of its end, whichever is larger.
fn bytes_of_task<'a>(spec: &TaskSpec, open_prerequisites: impl Iterator<Item = &'a TaskId>) -> usize {
    let (costs, rewards) = (bytes_of(&spec.costs), bytes_of(&spec.rewards));
    let open: usize = open_prerequisites.map(|id| 2 + id.as_str().len()).sum();
    let unfinished = 112 + open + costs + rewards + bytes_of_json(spec.payload.as_ref());
    let finished = 280 + costs + 2 * costs.max(rewards);
    spec.task_id.as_str().len() + spec.kind.as_str().len() + unfinished.max(finished)
}

/// The event of a task that is queued.
fn bytes_of_event(spec: &TaskSpec) -> usize {
    let prerequisites: usize = spec.prerequisites.iter().map(|id| 2 + id.as_str().len()).sum();
    let amounts = bytes_of(&spec.costs) + bytes_of(&spec.rewards);
    let names = spec.task_id.as_str().len() + spec.kind.as_str().len();
    80 + names + prerequisites + amounts + bytes_of_json(spec.payload.as_ref())
}

/// All unfinished tasks.
fn bytes_of_tasks(tasks: &[ModelTask]) -> usize {
    let bytes = tasks.iter().map(|task| {
        let open = tasks.iter().filter(|other| task.waits_for.contains(&other.number));
        bytes_of_task(&task.spec, open.map(|other| &other.spec.task_id)) + bytes_of_json(task.result.as_ref())
    });
    bytes.sum()
}

/// Refuses a result that would wait for the end of a pause, in a queue without room for it.
pub fn check_result(tasks: &[ModelTask], at: usize, result: &JsonText) -> Result<(), RejectionReason> {
    let mut tasks = tasks.to_vec();
    tasks[at].result = Some(result.clone());
    if bytes_of_tasks(&tasks) > MAX_TASK_BYTES { Err(RejectionReason::QueueTooLarge) } else { Ok(()) }
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
        Work::Units { .. } => 0,
    };
    let specs = || tasks.iter().map(|task| &task.spec).chain(new.iter().map(|(spec, _)| *spec));
    if specs().map(duration).sum::<u64>() > MAX_QUEUED_MS {
        return Err(RejectionReason::QueueTooLong);
    }
    let new_bytes: usize = new.iter().map(|(spec, open)| bytes_of_task(spec, open.iter()) + bytes_of_event(spec)).sum();
    if bytes_of_tasks(tasks) + new_bytes > MAX_TASK_BYTES {
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
