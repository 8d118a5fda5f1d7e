//! A queue as its readers see it, as of now.

mod blocked;
mod summary;

use std::cmp::Reverse;

use serde::{Serialize, Serializer};

use self::blocked::blocked_by;
pub use self::{
    blocked::{BlockedBy, Status},
    summary::{QueueSummary, TaskCounts},
};
use crate::{
    model::{
        attempt::FailedAttempt,
        event::EventData,
        ids::{PlayerId, TaskId, TaskKind},
        json_text::JsonText,
        queue::Queue,
        resources::Resources,
        task::{FinishedTask, Priority, Task},
        time::Timestamp,
        totals::Totals,
        work::Work,
    },
    rules::deployment::Rules,
};

/// A queue as of a moment, which may be later than the last commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// The owner.
    pub player_id: PlayerId,
    /// The version of the last commit.
    pub version: u64,
    /// The moment of the view.
    pub as_of: Timestamp,
    /// Whether the queue is paused.
    pub status: Status,
    /// The largest number of active tasks.
    pub slots: u8,
    /// The largest number of unfinished tasks.
    pub max_tasks: u16,
    /// The amounts that the player holds.
    pub balances: Resources,
    /// What became of all tasks.
    pub totals: Totals,
    /// Active tasks, then pending ones in the order in which they would start.
    pub tasks: Vec<TaskView>,
    /// Remembered finished tasks, newest first.
    pub recent: Vec<FinishedTask>,
}

/// The state of an unfinished task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StateView {
    /// It occupies a slot.
    Active,
    /// It waits for its start.
    Pending,
}

/// An unfinished task as of a moment. Fields that do not apply are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// The task.
    pub task_id: TaskId,
    /// What sort of work it is.
    pub kind: TaskKind,
    /// The priority.
    pub priority: Priority,
    /// The state.
    pub state: StateView,
    /// The number of failed attempts.
    pub attempts: u8,
    /// The part of the work that is done; of active tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Fraction>,
    /// Units done; of active reported tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_done: Option<u64>,
    /// When the current attempt started; of active tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it completes; of active timed tasks of a running queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_at: Option<Timestamp>,
    /// When the attempt fails unless it is reported or completed; of active reported tasks of a
    /// running queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it completes if no further command comes and reported work never ends. Left out if that
    /// is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_finish_at: Option<Timestamp>,
    /// What keeps it from starting; of pending tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<BlockedBy>,
}

/// What only the view of a single task shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDetails {
    /// What its workers need to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<JsonText>,
    /// The last failed attempts, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedAttempt>,
}

impl TaskDetails {
    /// The details of an unfinished task; empty if there is none.
    pub fn of(queue: &Queue, id: &TaskId) -> Self {
        let Some(position) = queue.position(id) else { return Self::default() };
        let task = &queue.tasks[position];
        Self { payload: task.payload.clone(), failures: task.failures.clone() }
    }
}

/// A number from 0 to 1, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(u64);

impl Fraction {
    /// `part` of `whole`, rounded down, so that it is 1 only if all is done.
    pub fn of(part: u64, whole: u64) -> Self {
        Self(part.min(whole).saturating_mul(1000) / whole.max(1))
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl QueueView {
    /// The queue as of `now`. The queue itself does not change.
    pub fn new(queue: &Queue, now: Timestamp, rules: Rules) -> Self {
        let mut queue = queue.clone();
        queue.advance(now, rules, &mut Vec::new());
        let forecast = Forecast::of(&queue, rules);
        let order = forecast.starts_when_resumed(&queue, rules);
        let mut tasks: Vec<&Task> = queue.tasks.iter().collect();
        // The sort is stable: active tasks stay in queue order.
        tasks.sort_by_key(|task| match task.is_active() {
            true => (0, 0, Reverse(Priority::Low)),
            false => {
                let place = order.iter().position(|started| *started == task.id);
                (1, place.unwrap_or(usize::MAX), Reverse(task.priority))
            }
        });
        Self {
            player_id: queue.player_id.clone(),
            version: queue.version,
            as_of: queue.advanced_to,
            status: Status::of(&queue),
            slots: queue.slots,
            max_tasks: queue.max_tasks,
            balances: queue.balances.clone(),
            totals: queue.totals.clone(),
            tasks: tasks.into_iter().map(|task| TaskView::new(&queue, task, &forecast)).collect(),
            recent: queue.finished_tasks.newest_first(),
        }
    }
}

impl TaskView {
    fn new(queue: &Queue, task: &Task, forecast: &Forecast) -> Self {
        let now = queue.advanced_to;
        let active = task.is_active();
        let worked_until = queue.paused_at.unwrap_or(now);
        let progress = match task.work {
            Work::DurationMs(ms) => Fraction::of(task.active_ms(worked_until), ms),
            Work::Units { units, .. } => Fraction::of(task.units_done, units),
        };
        Self {
            task_id: task.id.clone(),
            kind: task.kind.clone(),
            priority: task.priority,
            state: if active { StateView::Active } else { StateView::Pending },
            attempts: task.attempts,
            progress: active.then_some(progress),
            units_done: (active && task.work.is_reported()).then_some(task.units_done),
            started_at: task.started_at(),
            finish_at: task.finish_at().filter(|_| !queue.is_paused()),
            deadline: task.deadline().map(|(at, _)| at).filter(|_| !queue.is_paused()),
            estimated_finish_at: forecast.finish_at(&task.id),
            blocked_by: if active { Vec::new() } else { blocked_by(queue, task) },
        }
    }
}

/// The queue if reported work never ends: without deadlines, at which attempts would fail.
fn without_deadlines(queue: &Queue) -> Queue {
    let mut queue = queue.clone();
    queue.tasks.iter_mut().for_each(|task| task.work = task.work.without_deadlines());
    queue
}

/// What happens if no further command comes: the queue, advanced to the end of its timed work.
struct Forecast {
    starts: Vec<TaskId>,
    finishes: Vec<(TaskId, Timestamp)>,
}

impl Forecast {
    fn of(queue: &Queue, rules: Rules) -> Self {
        let (mut queue, mut events) = (without_deadlines(queue), Vec::new());
        queue.advance(Timestamp::from_millis(u64::MAX), rules, &mut events);
        let mut forecast = Self { starts: Vec::new(), finishes: Vec::new() };
        for event in events {
            match event.data {
                EventData::TaskStarted(started) => forecast.starts.push(started.task.task_id),
                EventData::TaskFinished(record) => forecast.finishes.push((record.task_id, record.finished_at)),
                _ => {}
            }
        }
        forecast
    }

    /// The order in which pending tasks start; for a paused queue, if it is resumed now.
    fn starts_when_resumed(&self, queue: &Queue, rules: Rules) -> Vec<TaskId> {
        if !queue.is_paused() {
            return self.starts.clone();
        }
        let (mut resumed, mut events) = (without_deadlines(queue), Vec::new());
        resumed.active_at = queue.advanced_to;
        resumed.resume(queue.advanced_to, &mut events);
        resumed.start_eligible_tasks(queue.advanced_to, &mut events);
        resumed.advance(Timestamp::from_millis(u64::MAX), rules, &mut events);
        let started = events.into_iter().filter_map(|event| match event.data {
            EventData::TaskStarted(started) => Some(started.task.task_id),
            _ => None,
        });
        started.collect()
    }

    fn finish_at(&self, id: &TaskId) -> Option<Timestamp> {
        self.finishes.iter().find(|(finished, _)| finished == id).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests;
