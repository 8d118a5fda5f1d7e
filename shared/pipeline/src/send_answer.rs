//! The answer to a call that sends messages.

use crate::failure::Failure;

/// The answer to a call: one result for each message, in order. A failure of the whole call says
/// that none, some or all of the messages may have been sent.
pub type SendAnswer = Result<Vec<Result<(), Failure>>, Failure>;
