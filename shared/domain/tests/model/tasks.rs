//! Tasks and amounts of the model.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{JsonText, MAX_AMOUNT, Priority, Resources, TaskId, TaskSpec, Work, task::Outcome};

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
    /// The result of a task that was completed during a pause.
    pub result: Option<JsonText>,
    /// The last three failed attempts: the attempt, its reason, and when it failed.
    pub failures: Vec<(u8, String, Moment)>,
    pub paid: bool,
    pub enqueued_at: Moment,
    /// The earliest start, from the spec or from the last retry.
    pub wait_until: Moment,
    /// When the current attempt of an active task started.
    pub started_at: Option<Moment>,
    /// Milliseconds that the current attempt has worked.
    pub worked: u64,
    /// How long the current attempt had worked at its last report, for work with a heartbeat.
    pub reported: u64,
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
    pub result: Option<JsonText>,
    pub failures: Vec<(u8, String, Moment)>,
}

impl ModelTask {
    /// Whether an active task has worked as long as its timed work takes.
    pub fn is_over(&self) -> bool {
        self.started_at.is_some() && self.spec.work == Work::DurationMs(self.worked)
    }

    /// The reason for which the attempt of an active task fails by itself now.
    pub fn missed_deadline(&self) -> Option<&'static str> {
        let Work::Units { heartbeat_ms, timeout_ms, .. } = self.spec.work else { return None };
        let has_passed = |limit: Option<u32>, worked: u64| limit.is_some_and(|limit| worked >= u64::from(limit));
        self.started_at?;
        if has_passed(timeout_ms, self.worked) {
            return Some("timed_out");
        }
        has_passed(heartbeat_ms, self.worked - self.reported).then_some("heartbeat_lost")
    }

    /// Takes a report: the heartbeat is renewed, and the units are raised.
    pub fn report(&mut self, done: u64) {
        if matches!(self.spec.work, Work::Units { heartbeat_ms: Some(_), .. }) {
            self.reported = self.worked;
        }
        self.units_done = self.units_done.max(done.min(self.units()));
    }

    /// The units of reported work; 0 of timed work.
    pub fn units(&self) -> u64 {
        match self.spec.work {
            Work::Units { units, .. } => units,
            Work::DurationMs(_) => 0,
        }
    }
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
