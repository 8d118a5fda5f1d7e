//! `process-tasks` with DynamoDB (MiniStack) and Redis, each behind a proxy.
//!
//! | module | content |
//! |---|---|
//! | `counts` | the exact number of round trips of an invocation |
//! | `publishing` | events on an event bus, in a FIFO queue and in the events table, and their faults |
//! | `redis_faults` | Redis killed, emptied, paused, demoted, full, locked, and broken connections to it |
//! | `dynamodb_faults` | DynamoDB throttling, refusing, slow, and losing answers |
//! | `refused_writes` | Redis answers reads and refuses writes |
//! | `stale` | stale copies in either cache, and many processes that change one player |
//! | `switches` | features switched off or on for some players |
//! | `thresholds` | changes of thresholds of the performance history |
//! | `thousand` | 1,000 players on 8 processes |

mod counts;
mod dynamodb_faults;
mod publishing;
mod redis_faults;
mod refused_writes;
mod stale;
mod switches;
mod thousand;
mod thresholds;

use millrace_domain::{PlayerId, Timestamp};
use millrace_tests::{
    Function,
    answers::{counts, failures},
    sqs::{self, Message},
    store_contents::player,
};
use serde_json::{Value, json};

/// The players `p-0` to `p-<count - 1>`.
fn players(count: usize) -> Vec<PlayerId> {
    (0..count).map(|at| player(&format!("p-{at}"))).collect()
}

/// A message for each player that grants one gold. Messages of different rounds are different.
fn grants(players: &[PlayerId], round: usize) -> Vec<Message> {
    messages(players, round, |_| json!({"type": "grantResources", "resources": {"gold": 1}}))
}

/// A message for each player with the command that `command` returns.
fn messages(players: &[PlayerId], round: usize, command: impl Fn(&PlayerId) -> Value) -> Vec<Message> {
    let message = |(at, player): (usize, &PlayerId)| {
        let mut command = command(player);
        command["playerId"] = player.as_str().into();
        let number = (round * players.len() + at) as u64;
        // Rounds are a second apart, so that a short task of one round completes in the next.
        let sent_at = Timestamp::from_millis(sqs::START_MS + 1_000 * round as u64);
        Message::new(number, command).group(player.as_str()).sent_at(sent_at)
    };
    players.iter().enumerate().map(message).collect()
}

/// Sends a standard batch.
async fn send(function: &Function, messages: &[Message]) -> Value {
    function.answer(&sqs::standard(messages)).await
}

/// Sends a standard batch. Panics if not all its commands are applied.
async fn apply(function: &Function, messages: &[Message]) -> Value {
    let answer = send(function, messages).await;
    assert_eq!(counts(&answer).applied, messages.len() as u64, "{answer:#}");
    assert!(failures(&answer).is_empty(), "{answer:#}");
    answer
}

/// Sends a standard batch and returns the ids of the messages that are handed back. Panics if there
/// are none, or if a command is refused.
async fn send_with_failures(function: &Function, messages: &[Message]) -> Vec<String> {
    let answer = send(function, messages).await;
    let counts = counts(&answer);
    assert_eq!((counts.rejected, counts.malformed), (0, 0), "{answer:#}");
    assert!(counts.failed > 0, "no command failed: {answer:#}");
    failures(&answer).into_iter().map(str::to_owned).collect()
}

/// The failure reasons in an answer, each once.
fn failure_reasons(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().into_iter().flatten();
    let mut reasons: Vec<&str> =
        results.filter(|result| result["status"] == "failed").filter_map(|result| result["reason"].as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// The number at a JSON pointer in the report.
fn number(answer: &Value, path: &str) -> u64 {
    answer["report"].pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {answer:#}"))
}

/// The duration of a step in milliseconds.
fn step_ms(answer: &Value, step: &str) -> f64 {
    answer["report"]["stepsMs"][step].as_f64().unwrap_or_else(|| panic!("no step {step} in {answer:#}"))
}
