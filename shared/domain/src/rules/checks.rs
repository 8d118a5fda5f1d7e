//! Checks that several commands share.

use crate::model::{
    ids::TaskId,
    queue::Queue,
    rejection::{Rejection, RejectionReason},
    time::Timestamp,
};

impl Queue {
    /// The position of an unfinished task, which the command must name.
    pub(super) fn require_unfinished(&self, id: &TaskId) -> Result<usize, Rejection> {
        self.position(id).ok_or_else(|| {
            Rejection::new(RejectionReason::UnknownTask, format!("taskId: no unfinished task `{id}` is in this queue"))
        })
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
