//! The load of tests and of the command line.
//!
//! Each player sends the same 20 commands, one after the other. When all are applied once, the
//! balances and totals of the player are those of [`Books`], in any order of the players and with
//! any number of repetitions.
#![deny(missing_docs)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// How many commands each player sends.
pub const COMMANDS: usize = 20;

/// What must come of the commands of a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// The amounts that the player holds.
    pub balances: BTreeMap<String, u64>,
    /// The rewards of all completed tasks.
    pub rewards: BTreeMap<String, u64>,
    /// The number of completed tasks.
    pub completed: u64,
}

/// The command number `step`, from 0, of the player number `at`. It has no `commandId`.
pub fn command(player_id: &str, at: usize, step: usize) -> Value {
    let grant = |gold: u64| json!({"type": "grantResources", "resources": {"gold": gold}});
    let report = |task_id: &str, units: usize| json!({"type": "reportProgress", "taskId": task_id, "unitsDone": units});
    let timed = |task_id: &str, stone: u64| json!({"taskId": task_id, "kind": "mine.stone", "work": {"durationMs": 1}, "rewards": {"stone": stone}});
    let mut command = match step {
        0 => grant(first_grant(at)),
        1 => json!({"type": "configureQueue", "slots": 3}),
        2 => json!({"type": "enqueueTasks", "tasks": [
            {"taskId": "saw", "kind": "harvest.wood", "work": {"units": 100}, "costs": {"gold": 5}, "rewards": {"wood": 10}},
            timed("dig", 3),
        ]}),
        3..=12 => report("saw", 10 * (step - 2)),
        13 => grant(1),
        14 => json!({"type": "enqueueTasks", "tasks": [timed("cut", 2)]}),
        15 => json!({"type": "enqueueTasks", "tasks": [
            {"taskId": "duel", "kind": "fight", "work": {"units": 10}, "rewards": {"fame": 1}},
        ]}),
        16 => report("duel", 10),
        17 => json!({"type": "pauseQueue"}),
        18 => json!({"type": "resumeQueue"}),
        _ => grant(2),
    };
    command["playerId"] = player_id.into();
    command
}

/// What must come of the commands of the player number `at`.
pub fn books(at: usize) -> Books {
    let amounts =
        |amounts: &[(&str, u64)]| amounts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect();
    let rewards = [("wood", 10), ("stone", 5), ("fame", 1)];
    let gold = [("gold", first_grant(at) - 5 + 1 + 2)];
    Books { balances: amounts(&[&gold[..], &rewards].concat()), rewards: amounts(&rewards), completed: 4 }
}

/// Different players get different amounts, so that a mix-up shows.
fn first_grant(at: usize) -> u64 {
    100 + (at % 7) as u64
}
