//! The answers of the HTTP API. Fields that no command shows are left out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Amounts of resources by name.
pub type Amounts = BTreeMap<String, u64>;

/// A queue as of a moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    pub player_id: String,
    pub version: u64,
    pub as_of: String,
    pub status: String,
    pub slots: u64,
    pub max_tasks: u64,
    #[serde(default)]
    pub balances: Amounts,
    #[serde(default)]
    pub totals: Totals,
    #[serde(default)]
    pub tasks: Vec<Task>,
    #[serde(default)]
    pub recent: Vec<FinishedTask>,
}

/// What became of the tasks of a player.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub rewards: Amounts,
}

/// An unfinished task.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    pub task_id: String,
    pub kind: String,
    pub priority: String,
    pub state: String,
    #[serde(default)]
    pub attempts: u64,
    pub progress: Option<f64>,
    pub units_done: Option<u64>,
    pub finish_at: Option<String>,
    pub deadline: Option<String>,
    pub estimated_finish_at: Option<String>,
    #[serde(default)]
    pub blocked_by: Vec<String>,
}

/// A finished task that the queue remembers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedTask {
    pub task_id: String,
    pub outcome: String,
    pub finished_at: String,
}

/// What became of one command.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    pub command_id: Option<String>,
    pub player_id: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub detail: Option<String>,
}
