//! `pauseQueue` and `resumeQueue`.

use crate::model::{
    event::{Event, EventData},
    queue::Queue,
    task::TaskState,
    time::Timestamp,
};

impl Queue {
    /// Pauses the queue. No effect if it is paused.
    pub(super) fn pause(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        if self.paused_at.is_none() {
            self.paused_at = Some(at);
            self.add_event(at, EventData::QueuePaused, events);
        }
    }

    /// Ends the pause and adds its length to every active task. No effect if the queue is running.
    pub(crate) fn resume(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let Some(paused_at) = self.paused_at.take() else { return };
        let length = at.millis_since(paused_at);
        for task in &mut self.tasks {
            if let TaskState::Active { paused_ms, .. } = &mut task.state {
                *paused_ms += length;
            }
        }
        self.add_event(at, EventData::QueueResumed, events);
        self.complete_full_tasks(at, events);
    }

    /// Completes the active tasks whose units were all reported during the pause.
    fn complete_full_tasks(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let mut position = 0;
        while position < self.tasks.len() {
            if self.tasks[position].is_active() && self.tasks[position].is_full() {
                self.complete(position, at, events);
            } else {
                position += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
