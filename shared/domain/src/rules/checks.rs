//! Checks that several commands share.

use crate::model::{
    ids::TaskId,
    queue::Queue,
    rejection::{Rejection, RejectionReason},
    time::Timestamp,
};

/// What a report or a failure says about the attempt that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptClaim {
    /// The attempt that it names, from 1.
    pub(super) named: Option<u64>,
    pub(super) sent_at: Timestamp,
}

impl Queue {
    /// The position of an unfinished task, which the command must name.
    pub(super) fn require_unfinished(&self, id: &TaskId) -> Result<usize, Rejection> {
        self.position(id).ok_or_else(|| {
            Rejection::new(RejectionReason::UnknownTask, format!("taskId: no unfinished task `{id}` is in this queue"))
        })
    }

    /// Refuses a report or failure that is about another attempt of a task, which must be active.
    ///
    /// An attempt that is named decides. Otherwise the time of sending does, but not during the
    /// first attempt: it has none before it, and the clocks of senders differ.
    pub(super) fn require_current_attempt(&self, position: usize, claim: AttemptClaim) -> Result<(), Rejection> {
        let AttemptClaim { named, sent_at } = claim;
        let started_at = self.require_active(position)?;
        let task = &self.tasks[position];
        let current = task.attempt();
        let detail = match named {
            Some(named) if named != current => {
                format!("attempt: `{}` is in attempt {current}; sent: {named}", task.id)
            }
            None if current > 1 && sent_at < started_at => format!(
                "sent at {sent_at}, before attempt {current} of `{}` started at {started_at}; a command that names its \
                 attempt does not depend on clocks",
                task.id
            ),
            _ => return Ok(()),
        };
        Err(Rejection::new(RejectionReason::StaleReport, detail))
    }

    /// The start of the current attempt of a task, which must be active.
    pub(super) fn require_active(&self, position: usize) -> Result<Timestamp, Rejection> {
        let task = &self.tasks[position];
        task.started_at().ok_or_else(|| {
            Rejection::new(
                RejectionReason::TaskNotActive,
                format!("taskId: `{}` is pending; allowed: an active task", task.id),
            )
        })
    }
}
