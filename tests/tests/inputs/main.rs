//! Inputs of real senders, and faults of real systems, that were once answered wrongly. Each test
//! says where its input comes from.
//!
//! | module | content |
//! |---|---|
//! | `envelopes` | the ways in which AWS services wrap commands |
//! | `values` | numbers, nulls and texts as senders write them |
//! | `names` | the names of commands without `commandId`, and the rows of refused ones |
//! | `reports` | reports that are late, early, or stamped by another clock |
//! | `memory` | what a queue remembers of commands and tasks |
//! | `limits` | what grows without bound: answers, balances, totals |
//! | `invokers` | sources that repeat only an invocation that fails |

mod envelopes;
mod invokers;
mod limits;
mod memory;
mod names;
mod reports;
mod values;

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_domain::Timestamp;
use millrace_tests::{Function, answers::counts};
use serde_json::{Value, json};

/// The number of milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// This many milliseconds ago.
fn ago(ms: u64) -> Timestamp {
    Timestamp::from_millis(now_ms() - ms)
}

fn grant(player: &str) -> Value {
    json!({"type": "grantResources", "playerId": player, "resources": {"gold": 1}})
}

/// One task of reported work.
fn enqueue_units(player: &str, task: &str, units: u64) -> Value {
    json!({"type": "enqueueTasks", "playerId": player, "tasks": [
        {"taskId": task, "kind": "k", "work": {"units": units}, "maxRetries": 1, "retryDelayMs": 0}]})
}

fn report(player: &str, task: &str, units_done: u64) -> Value {
    json!({"type": "reportProgress", "playerId": player, "taskId": task, "unitsDone": units_done})
}

/// Sends a payload. Panics unless all of its commands are applied.
async fn apply(function: &Function, payload: Value) {
    let answer = function.answer(payload).await;
    let counts = counts(&answer);
    assert!(counts.applied > 0 && counts.applied == counts.received, "{answer:#}");
}
