//! Reads the answers of `process-tasks`.

use serde_json::Value;

/// The `commands` of an invocation report: how many commands had each outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    let count = |name: &str| {
        let number = answer["report"]["commands"][name].as_u64();
        number.unwrap_or_else(|| panic!("no count of {name} in {answer}"))
    };
    let counts = Counts {
        received: count("received"),
        applied: count("applied"),
        duplicate: count("duplicate"),
        rejected: count("rejected"),
        failed: count("failed"),
        malformed: count("malformed"),
    };
    let sum = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
    assert_eq!(sum, counts.received, "the counts do not add up in {answer}");
    counts
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
