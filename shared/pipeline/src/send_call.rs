//! One call that sends messages, and sends those again that were not accepted.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{context::Context, failure::Failure, send_answer::SendAnswer};

/// How often a message is sent at most, where it is refused for a passing reason.
const MAX_ATTEMPTS: u32 = 5;
/// Longest wait before the second attempt. It doubles for each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// What became of the messages of one call, over all its attempts.
#[derive(Debug)]
pub struct SendResult<T> {
    /// Round trips.
    pub calls: u64,
    /// Messages sent again.
    pub retried: u64,
    /// The messages that were accepted.
    pub sent: Vec<T>,
    /// The messages that were not, each with its last failure.
    pub failed: Vec<(T, Failure)>,
}

/// Sends `messages` by one call of `send`. Those that are refused for a passing reason are sent
/// again with jittered backoff, a bounded number of times and until the deadline.
pub async fn send_call<T, F>(ctx: &Context<'_>, messages: Vec<T>, send: impl Fn(Vec<T>) -> F) -> SendResult<T>
where
    T: Copy,
    F: Future<Output = SendAnswer>,
{
    let mut result = SendResult { calls: 0, retried: 0, sent: Vec::new(), failed: Vec::new() };
    let mut open = messages;
    for attempt in 1..=MAX_ATTEMPTS {
        if ctx.is_over() {
            result.failed.extend(open.into_iter().map(|message| (message, Failure::deadline())));
            break;
        }
        result.calls += 1;
        result.retried += if attempt > 1 { open.len() as u64 } else { 0 };
        let answer = timeout_at(ctx.deadline, send(open.clone())).await.unwrap_or(Err(Failure::deadline()));
        let results = answer.unwrap_or_else(|failure| vec![Err(failure); open.len()]);
        // An answer that leaves some messages out says nothing about them: they are sent again.
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err(Failure::unanswered())));
        let mut retries = Vec::new();
        for (message, sent) in open.into_iter().zip(results) {
            match sent {
                Ok(()) => result.sent.push(message),
                Err(failure) if failure.reason.is_passing() && attempt < MAX_ATTEMPTS => retries.push(message),
                Err(failure) => result.failed.push((message, failure)),
            }
        }
        open = retries;
        if open.is_empty() {
            break;
        }
        let ceiling = FIRST_BACKOFF * 2_u32.pow(attempt - 1);
        sleep_until((Instant::now() + ceiling.mul_f64(ctx.platform.random())).min(ctx.deadline)).await;
    }
    result
}
