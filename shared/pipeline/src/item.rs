//! An item: one command or one tick, and what became of it.

use millrace_domain::{Command, Delivery, Rejection, RejectionReason};

use crate::failure::Failure;

/// One command or one tick of a player.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The message that it came in, by its position in the batch.
    pub message: usize,
    /// Its place among all items of the payload.
    pub order: usize,
    /// What to do.
    pub action: Action,
    /// What became of it.
    pub outcome: Outcome,
}

/// What to do with a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Apply a command.
    Command(Delivery),
    /// Advance the queue to now.
    Tick,
}

impl Action {
    /// The command; none for a tick.
    pub fn delivery(&self) -> Option<&Delivery> {
        match self {
            Self::Command(delivery) => Some(delivery),
            Self::Tick => None,
        }
    }

    /// Whether it needs to know the progress between milestones.
    pub fn reports_progress(&self) -> bool {
        self.delivery().is_some_and(|delivery| matches!(delivery.command, Command::ReportProgress { .. }))
    }
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing yet.
    Undecided,
    /// It took effect.
    Applied,
    /// It was decided before; with the reason of the first refusal, if it was refused and that is
    /// known.
    Duplicate(Option<RejectionReason>),
    /// It is refused for good.
    Rejected(Rejection),
    /// It has to be delivered again.
    Failed(Failure),
}
