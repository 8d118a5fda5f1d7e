//! Traces of the functions, sent to an X-Ray daemon and to an OTLP collector.
//!
//! | module | content |
//! |---|---|
//! | `spans` | the spans of an invocation, their parents and attributes |
//! | `context` | the trace of an invocation, and the one that events and ticks get |
//! | `faults` | daemons and collectors that do not answer; traces that are off or not sampled |

mod context;
mod faults;
mod spans;

use millrace_tests::{Function, Invocation, database::Database, sqs::Message, traces::XRayDaemon};
use serde_json::{Value, json};

/// What Lambda says about a sampled trace.
const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
/// The trace of `SAMPLED`.
const TRACE_ID: &str = "5759e988bd862e3fe1be46a994272793";
/// The segment of the function in `SAMPLED`.
const FUNCTION_SEGMENT: &str = "53995c3f42cd8ad8";

/// A command that completes nothing and starts a task: two events.
fn enqueue(player: &str) -> Value {
    json!({"type": "enqueueTasks", "playerId": player, "tasks": [
        {"taskId": "t-1", "kind": "dig", "work": {"units": 4}, "payload": {"secret": "must-not-be-shown"}}]})
}

/// A message with this command of a player.
fn message(number: u64, player: &str) -> Message {
    Message::new(number, enqueue(player))
}

/// An invocation with this payload in the trace of `SAMPLED`.
fn sampled(payload: Value) -> Invocation {
    Invocation::from(payload).trace(SAMPLED)
}

/// `process-tasks` with the embedded store and this daemon.
async fn traced(database: &Database, daemon: &XRayDaemon) -> Function {
    database.process_tasks().env("AWS_XRAY_DAEMON_ADDRESS", daemon.address()).started().await
}
