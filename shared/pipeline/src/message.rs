//! A message: what SQS, EventBridge or a caller delivers as a whole.

use millrace_telemetry::trace::TraceContext;

/// A message of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that a batch item failure names.
    pub id: String,
    /// The message group, for a message of a FIFO queue.
    pub fifo_group: Option<String>,
    /// The trace that it is part of, if it names one.
    pub trace: Option<TraceContext>,
    /// Whether it has to be delivered again.
    pub is_handed_back: bool,
}
