//! Reads the answers of `process-tasks`, and knows the schemas of all answers.

use millrace_schemas::{
    Schema,
    schema::{ADVANCE_QUEUES_ANSWER, MAINTAIN_CACHE_ANSWER, PROCESS_TASKS_ANSWER},
};
use serde::Deserialize;
use serde_json::Value;

/// The `commands` of an invocation report: how many commands had each outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Counts {
    /// All commands of the invocation.
    pub received: u64,
    /// Commands that took effect.
    pub applied: u64,
    /// Commands that were decided by an earlier delivery.
    pub duplicate: u64,
    /// Commands that were refused for good.
    pub rejected: u64,
    /// Commands that must be delivered again.
    pub failed: u64,
    /// Input that is not a valid command.
    pub malformed: u64,
}

/// The counts in the invocation report of an answer.
///
/// # Panics
/// If the answer has no report, or if its counts do not add up.
pub fn counts(answer: &Value) -> Counts {
    let counts = Counts::deserialize(&answer["report"]["commands"]);
    let counts = counts.unwrap_or_else(|error| panic!("{error} in {answer}"));
    let sum = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
    assert_eq!(sum, counts.received, "the counts do not add up in {answer}");
    counts
}

/// The number at a JSON pointer in an answer.
///
/// # Panics
/// If there is none.
pub fn number(answer: &Value, path: &str) -> u64 {
    answer.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {answer:#}"))
}

/// The ids of the messages that the answer hands back.
pub fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array();
    let failures = failures.unwrap_or_else(|| panic!("no batchItemFailures in {answer}"));
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("a message id")).collect()
}

/// The result of the command with this id.
pub fn result<'a>(answer: &'a Value, command_id: &str) -> &'a Value {
    let mut results = answer["results"].as_array().into_iter().flatten();
    results.find(|result| result["commandId"] == command_id).unwrap_or_else(|| panic!("no {command_id} in {answer:#}"))
}

/// The schema of the answers of a function. `queue-api` answers in the format of API Gateway.
pub fn schema_of(function: &str) -> Option<&'static Schema> {
    match function {
        "process-tasks" => Some(&PROCESS_TASKS_ANSWER),
        "advance-queues" => Some(&ADVANCE_QUEUES_ANSWER),
        "maintain-cache" => Some(&MAINTAIN_CACHE_ANSWER),
        _ => None,
    }
}
