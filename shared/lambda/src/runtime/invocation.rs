//! One invocation, and why one fails.

use std::time::Duration;

use bytes::Bytes;
use lambda_runtime::Diagnostic;
use millrace_domain::Timestamp;
use tokio::time::Instant;

use crate::clock;

/// One invocation of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The payload as received.
    pub payload: Bytes,
    /// The id of the invocation in logs and answers.
    pub request_id: String,
    /// When the function times out.
    pub deadline: Timestamp,
    /// Whether it is the first invocation of this process.
    pub cold_start: bool,
}

impl Invocation {
    /// The invocation as the pipeline takes it: with its time-out on a clock that never jumps.
    pub fn for_pipeline(&self) -> millrace_pipeline::Invocation {
        let left = Duration::from_millis(self.deadline.millis_since(clock::now()));
        millrace_pipeline::Invocation {
            request_id: self.request_id.clone(),
            times_out_at: Instant::now() + left,
            cold_start: self.cold_start,
        }
    }
}

/// When the function times out. Lambda sends a moment. `cargo lambda watch` sends the time until
/// it, which as a moment would lie in 1970.
pub(super) fn deadline(millis: u64, now: Timestamp) -> Timestamp {
    const DAY_MS: u64 = 24 * 3_600_000;
    if millis < DAY_MS { now + millis } else { Timestamp::from_millis(millis) }
}

/// An invocation that failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// The stable code, `errorType` in the answer.
    pub error_type: &'static str,
    /// The explanation for people.
    pub message: String,
}

impl FunctionError {
    /// An error with a stable code.
    pub fn new(error_type: &'static str, message: impl ToString) -> Self {
        Self { error_type, message: message.to_string() }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.to_owned(), error_message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_moment_or_the_time_until_it() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(deadline(1_800_000_003_000, now).as_millis(), 1_800_000_003_000, "as Lambda sends it");
        assert_eq!(deadline(600_000, now).as_millis(), 1_800_000_600_000, "as `cargo lambda watch` sends it");
        assert_eq!(deadline(1_799_999_999_000, now).as_millis(), 1_799_999_999_000, "it has passed");
    }

    #[test]
    fn the_pipeline_gets_the_time_left_until_the_deadline() {
        let deadline = clock::now() + 30_000_u64;
        let invocation = Invocation { payload: "{}".into(), request_id: "r-1".to_owned(), deadline, cold_start: true };
        let before = Instant::now();
        let for_pipeline = invocation.for_pipeline();
        let left = for_pipeline.times_out_at - before;
        assert!(left <= Duration::from_secs(30) + before.elapsed() && left > Duration::from_secs(29), "{left:?}");
        assert_eq!((for_pipeline.request_id.as_str(), for_pipeline.cold_start), ("r-1", true));
        let passed = Invocation { deadline: Timestamp::from_millis(1), ..invocation };
        assert!(passed.for_pipeline().times_out_at <= Instant::now(), "a passed deadline is now");
    }
}
