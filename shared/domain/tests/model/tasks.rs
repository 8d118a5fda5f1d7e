//! Tasks and amounts of the model.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{MAX_AMOUNT, Priority, Resources, TaskId, TaskSpec, task::Outcome};

/// Milliseconds after the beginning.
pub type Moment = u64;
pub type Amounts = BTreeMap<String, u64>;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelTask {
    /// Counts the tasks that were queued. Several of them may have had the same id.
    pub number: usize,
    /// The numbers of the tasks that must complete before it starts.
    pub waits_for: BTreeSet<usize>,
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

pub fn amount_of(amounts: &Amounts, name: &str) -> u64 {
    amounts.get(name).copied().unwrap_or(0)
}

/// Adds amounts, up to the limit of each balance.
pub fn credit(balances: &mut Amounts, resources: &Resources) {
    for (name, amount) in resources.iter() {
        let balance = balances.entry(name.to_string()).or_default();
        *balance = (*balance + amount).min(MAX_AMOUNT);
    }
}
