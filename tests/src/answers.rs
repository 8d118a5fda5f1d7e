//! Reads answers of `process-tasks`.

use serde_json::Value;

/// What became of the commands of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub received: u64,
    /// Those that took effect.
    pub applied: u64,
    /// Those that were decided before.
    pub duplicate: u64,
    /// Those that were refused.
    pub rejected: u64,
    /// Those that are to be delivered again.
    pub failed: u64,
    /// Those that were not understood.
    pub malformed: u64,
}

/// What became of the commands.
///
/// # Panics
/// Where the answer has no report, or its counts do not add up.
pub fn counts(answer: &Value) -> Counts {
    let of = |name: &str| {
        let number = answer["report"]["commands"][name].as_u64();
        number.unwrap_or_else(|| panic!("no count of {name} in {answer}"))
    };
    let counts = Counts {
        received: of("received"),
        applied: of("applied"),
        duplicate: of("duplicate"),
        rejected: of("rejected"),
        failed: of("failed"),
        malformed: of("malformed"),
    };
    let sum = counts.applied + counts.duplicate + counts.rejected + counts.failed + counts.malformed;
    assert_eq!(sum, counts.received, "the counts add up in {answer}");
    counts
}

/// The ids of the messages that are handed back.
pub fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array();
    let failures = failures.unwrap_or_else(|| panic!("no batchItemFailures in {answer}"));
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("a message id")).collect()
}

/// The result of one command.
pub fn result<'a>(answer: &'a Value, command_id: &str) -> &'a Value {
    let mut results = answer["results"].as_array().into_iter().flatten();
    results.find(|result| result["commandId"] == command_id).unwrap_or_else(|| panic!("no {command_id} in {answer:#}"))
}
