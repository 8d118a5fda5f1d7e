//! The context: what every step of one invocation needs beside the batch.

use std::time::Instant;

use millrace_domain::Timestamp;
use millrace_telemetry::InvocationRecord;
use tokio::time;

use crate::platform::Platform;

/// One invocation of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Names the invocation in logs and answers.
    pub request_id: String,
    /// When Lambda stops the function.
    pub times_out_at: time::Instant,
    /// Whether it is the first invocation of its process.
    pub cold_start: bool,
    /// What the invocation does, for its line of metrics.
    pub record: InvocationRecord,
}

/// What every step of one invocation needs beside the batch.
pub struct Context<'a> {
    /// What all invocations of the process share.
    pub platform: &'a Platform,
    /// The invocation.
    pub invocation: &'a Invocation,
    /// The time of the server when the invocation began. All commands take effect at or before it.
    pub now: Timestamp,
    /// When the invocation began, to measure its processing time.
    pub started: Instant,
    /// When the invocation stops taking up work, so that it can still answer.
    pub deadline: time::Instant,
}

impl<'a> Context<'a> {
    /// The context of an invocation that begins now.
    pub fn new(platform: &'a Platform, invocation: &'a Invocation) -> Self {
        let margin = platform.settings.deadline_margin;
        Self {
            platform,
            invocation,
            now: platform.clock.now(),
            started: Instant::now(),
            deadline: invocation.times_out_at.checked_sub(margin).unwrap_or(invocation.times_out_at),
        }
    }

    /// The same for a part of the invocation that takes effect at the time now.
    #[must_use]
    pub fn at_present(&self) -> Self {
        Self { now: self.platform.clock.now(), ..*self }
    }

    /// Whether the deadline has passed.
    pub fn is_over(&self) -> bool {
        time::Instant::now() >= self.deadline
    }
}
