//! The function binary on real back ends: DynamoDB (MiniStack) and Redis, each behind a proxy.
//!
//! | module | what it shows |
//! |---|---|
//! | `counts` | how many round trips an invocation makes, exactly |
//! | `redis_faults` | Redis killed, emptied, paused, demoted, full, locked; its wire slow, cut, half-open |
//! | `dynamodb_faults` | DynamoDB throttling, refusing, slow, losing answers |
//! | `stale` | old copies in either tier, and many processes on one player |
//! | `switches` | all features off: the same work, slower |
//! | `thousand` | 1,000 players on 8 processes |

mod counts;
mod dynamodb_faults;
mod redis_faults;
mod stale;
mod switches;
mod thousand;

use millrace_domain::{PlayerId, Timestamp};
use millrace_tests::{
    Function,
    answers::{counts, failures},
    function::Setup,
    sqs::{self, Message},
    stored::player,
};
use serde_json::{Value, json};

/// Starts a function that has to start.
async fn started(setup: Setup) -> Function {
    setup.start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// The players `p-0` to `p-<count - 1>`.
fn players(count: usize) -> Vec<PlayerId> {
    (0..count).map(|at| player(&format!("p-{at}"))).collect()
}

/// One message a player that grants it one gold. `round` tells the messages of several rounds apart.
fn grants(players: &[PlayerId], round: usize) -> Vec<Message> {
    messages(players, round, |_| json!({"type": "grantResources", "resources": {"gold": 1}}))
}

/// One message a player, each with the command that `command` makes.
fn messages(players: &[PlayerId], round: usize, command: impl Fn(&PlayerId) -> Value) -> Vec<Message> {
    let message = |(at, player): (usize, &PlayerId)| {
        let mut command = command(player);
        command["playerId"] = player.as_str().into();
        let number = (round * players.len() + at) as u64;
        // A second a round, so that what a round starts is over in the next one.
        let sent_at = Timestamp::from_millis(sqs::START_MS + 1_000 * round as u64);
        Message::new(number, command).group(player.as_str()).sent_at(sent_at)
    };
    players.iter().enumerate().map(message).collect()
}

/// Sends a standard batch.
async fn send(function: &Function, messages: &[Message]) -> Value {
    function.invoke(&sqs::standard(messages)).await.unwrap_or_else(|error| panic!("{error}\n{}", function.stderr()))
}

/// Sends a standard batch whose every command has to be applied.
async fn apply(function: &Function, messages: &[Message]) -> Value {
    let answer = send(function, messages).await;
    assert_eq!(counts(&answer).applied, messages.len() as u64, "{answer:#}");
    assert!(failures(&answer).is_empty(), "{answer:#}");
    answer
}

/// Sends a batch of which some messages have to fail; their ids. Nothing may be refused.
async fn fail(function: &Function, messages: &[Message]) -> Vec<String> {
    let answer = send(function, messages).await;
    let counts = counts(&answer);
    assert_eq!((counts.rejected, counts.malformed), (0, 0), "{answer:#}");
    assert!(counts.failed > 0, "something has to fail: {answer:#}");
    failures(&answer).into_iter().map(str::to_owned).collect()
}

/// The reasons of what failed, each once.
fn reasons(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().into_iter().flatten();
    let mut reasons: Vec<&str> =
        results.filter(|result| result["status"] == "failed").filter_map(|result| result["reason"].as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// A whole number of the report.
fn figure(answer: &Value, path: &str) -> u64 {
    answer["report"].pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {answer:#}"))
}

/// How long a step took, in milliseconds.
fn step_ms(answer: &Value, step: &str) -> f64 {
    answer["report"]["stepsMs"][step].as_f64().unwrap_or_else(|| panic!("no step {step} in {answer:#}"))
}
