//! `queue-api` with real stores and a real Redis.
//!
//! | module | content |
//! |---|---|
//! | `access` | authentication and authorization of every route |
//! | `commands` | commands over HTTP and their results |
//! | `dry_run` | commands on trial, and that they write nothing |
//! | `errors` | the status code and type of every error |
//! | `event_list` | events of a player in order |
//! | `event_tiers` | where an answer without events comes from, and the round trips |
//! | `events` | Lambda events whose fields have other types, and other payload formats |
//! | `faults` | errors of Redis and of the store |
//! | `finished_tasks` | one finished task, with its result and its failures |
//! | `identity` | players of identity providers, and claims of any JSON type |
//! | `idempotency` | requests that are sent again with the same `Idempotency-Key` |
//! | `lists` | history and rejections |
//! | `openapi` | `docs/openapi.yaml` compared with the running function |
//! | `paths` | slashes at the end of a path, and base paths |
//! | `performance` | the performance history: spans, bad parameters, sources, depth of queues |
//! | `players` | pages of all players, and recently changed ones |
//! | `protocol` | HEAD, OPTIONS, entity tags, compression and CORS |
//! | `reads` | queues, tasks, stats, performance and health |
//! | `regressions` | the events in `events/regressions/` and the answers that they must get |
//! | `tiers` | the cache that answers a read, and the round trips of a read |
//! | `upkeep` | upkeep of the shared cache over HTTP |

mod access;
mod commands;
mod dry_run;
mod errors;
mod event_list;
mod event_tiers;
mod events;
mod faults;
mod finished_tasks;
mod idempotency;
mod identity;
mod lists;
mod openapi;
mod paths;
mod performance;
mod players;
mod protocol;
mod reads;
mod regressions;
mod tiers;
mod upkeep;

use millrace_tests::{Function, database::Database, function::FunctionBuilder, http::Request};
use serde_json::{Value, json};

/// The function and its embedded store.
struct Fixture {
    database: Database,
    api: Function,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(FunctionBuilder) -> FunctionBuilder) -> Self {
        let database = Database::new();
        let api = change(database.queue_api()).started().await;
        Self { database, api }
    }

    /// See [`apply`].
    async fn apply(&self, player: &str, commands: Value) -> Value {
        apply(&self.api, player, commands).await
    }
}

/// Sends commands to a queue and returns the answer. Panics if a command is not applied.
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

/// An `enqueueTasks` command with one task.
fn enqueue(task: &str, work: Value) -> Value {
    json!({"type": "enqueueTasks", "tasks": [{"taskId": task, "kind": "k", "work": work, "rewards": {"gold": 1}}]})
}

fn grant(gold: u64) -> Value {
    json!({"type": "grantResources", "resources": {"gold": gold}})
}
