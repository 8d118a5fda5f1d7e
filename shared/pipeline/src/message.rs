//! A message: what SQS, EventBridge or a caller delivers as a whole.

/// A message of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that a batch item failure names.
    pub id: String,
    /// The message group, for a message of a FIFO queue.
    pub fifo_group: Option<String>,
    /// Whether it has to be delivered again.
    pub is_handed_back: bool,
}
