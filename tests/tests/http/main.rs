//! `queue-api` as it is shipped, on real stores and a real Redis.

mod access;
mod commands;

mod errors;
mod faults;
mod lists;
mod openapi;
mod protocol;
mod reads;
mod tiers;
mod upkeep;

use millrace_tests::{Function, function::Setup, http::Request, tables::Database};
use serde_json::{Value, json};

/// The function on an embedded store of its own.
struct Scene {
    database: Database,
    api: Function,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let database = Database::new();
        let api = started(change(database.queue_api())).await;
        Self { database, api }
    }

    /// Sends commands to a queue, which have to be applied; the answer.
    async fn apply(&self, player: &str, commands: Value) -> Value {
        apply(&self.api, player, commands).await
    }
}

async fn started(setup: Setup) -> Function {
    setup.start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends commands to a queue, which have to be applied; the answer.
async fn apply(api: &Function, player: &str, commands: Value) -> Value {
    let answer = commands_of(player, &commands).trusted().send(api).await.expect(200);
    let results = answer["results"].as_array().expect("results");
    assert!(results.iter().all(|result| result["status"] == "applied"), "{answer:#}");
    answer
}

fn commands_of(player: &str, commands: &Value) -> Request {
    Request::post(&format!("/players/{player}/commands"), commands)
}

fn queue_of(player: &str) -> Request {
    Request::get(&format!("/players/{player}/queue"))
}

/// `enqueueTasks` of one task.
fn enqueue(task: &str, work: Value) -> Value {
    json!({"type": "enqueueTasks", "tasks": [{"taskId": task, "kind": "k", "work": work, "rewards": {"gold": 1}}]})
}

fn grant(gold: u64) -> Value {
    json!({"type": "grantResources", "resources": {"gold": gold}})
}
