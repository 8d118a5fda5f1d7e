//! What a delivery leads to: the verdict, and what must be written.

use crate::model::rejection::{Rejection, RejectionReason};

/// The result of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The command took effect.
    Applied,
    /// The command was decided by an earlier delivery, with this reason if it was refused and the
    /// reason is still remembered.
    Duplicate(Option<RejectionReason>),
    /// The command is refused for good.
    Rejected(Rejection),
}

/// What must be written after a change of a queue. Later variants include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredWrite {
    /// Nothing.
    Nothing,
    /// The progress row and the caches: units were done between milestones.
    Progress,
    /// The queue row, by a conditional write: something was decided.
    Commit,
}
