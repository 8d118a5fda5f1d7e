//! One player's queue: tasks, balances, totals, and what it remembers.

use minicbor::{Decode, Encode};

pub use crate::model::totals::{MAX_TOTALLED_RESOURCES, Totals};
use crate::model::{
    attempt::MissedDeadline,
    command_memory::CommandMemory,
    event::{Event, EventData},
    finished_tasks::FinishedTasks,
    ids::{PlayerId, TaskId},
    record::{ProgressRecord, StatsRecord, TaskProgress},
    resources::Resources,
    task::{FinishedTask, Outcome, Task, TaskState},
    time::Timestamp,
    work::Work,
};

/// The largest number of active tasks that a queue can be configured for.
pub const MAX_SLOTS: u64 = 10;
/// The largest number of active tasks of a new queue.
pub const DEFAULT_SLOTS: u8 = 1;
/// The largest number of unfinished tasks of a new queue.
pub const DEFAULT_MAX_TASKS: u16 = 50;
/// The largest sum of the durations of all unfinished timed tasks, in milliseconds: seven days.
pub const MAX_QUEUED_MS: u64 = 7 * 86_400_000;
/// The largest size of the unfinished tasks, in bytes as by [`Task::size_estimate`]. New tasks
/// count twice, because the outbox of the commit has them as events too.
///
/// A DynamoDB row has at most 400 KB. The pipeline checks that this limit and the others leave room
/// for what a queue remembers and for the outbox.
pub const MAX_TASK_BYTES: usize = 148 * 1024;
/// The largest size of the balances, in bytes as by [`Resources::size_estimate`]: about 1,300
/// resources with names of 42 characters. Rewards and refunds of unfinished tasks are included,
/// because they are credited without a further check.
pub const MAX_BALANCE_BYTES: usize = 72 * 1024;
/// The largest number of different resources that a queue may be granted.
pub const MAX_BALANCES: usize = 1_000;

/// One player's queue. It is stored as one row, so one conditional write decides about all of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Queue {
    /// The owner.
    #[n(0)]
    pub player_id: PlayerId,
    /// The number of commits. 0 for a queue that was never committed.
    #[n(1)]
    pub version: u64,
    /// The time up to which everything due has happened.
    #[n(2)]
    pub advanced_to: Timestamp,
    /// The effective time of the last command. Reports between milestones move it only now and
    /// then, because not each of them is written.
    #[n(3)]
    pub active_at: Timestamp,
    /// When the pause began, if the queue is paused.
    #[n(4)]
    pub paused_at: Option<Timestamp>,
    /// The largest number of active tasks.
    #[n(5)]
    pub slots: u8,
    /// The largest number of unfinished tasks.
    #[n(6)]
    pub max_tasks: u16,
    /// The amounts that the player holds.
    #[cbor(n(7), skip_if = "Resources::is_empty")]
    pub balances: Resources,
    /// What became of all tasks.
    #[n(8)]
    pub totals: Totals,
    /// The unfinished tasks in queue order.
    #[cbor(n(9), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// The last finished tasks.
    #[cbor(n(10), skip_if = "FinishedTasks::is_empty")]
    pub finished_tasks: FinishedTasks,
    /// The last commands, and the last positions in FIFO queues.
    #[n(11)]
    pub command_memory: CommandMemory,
    /// The number of events so far, which is the sequence of the last one.
    #[n(12)]
    pub event_sequence: u64,
}

impl Queue {
    /// An empty queue whose time begins at `now`.
    pub fn new(player_id: PlayerId, now: Timestamp) -> Self {
        Self {
            player_id,
            version: 0,
            advanced_to: now,
            active_at: now,
            paused_at: None,
            slots: DEFAULT_SLOTS,
            max_tasks: DEFAULT_MAX_TASKS,
            balances: Resources::new(),
            totals: Totals::default(),
            tasks: Vec::new(),
            finished_tasks: FinishedTasks::default(),
            command_memory: CommandMemory::default(),
            event_sequence: 0,
        }
    }

    /// Whether the queue is paused: timed work stands still, and nothing starts or completes.
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// The number of active tasks.
    pub fn active_tasks(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_active()).count()
    }

    /// The position of an unfinished task in queue order.
    pub fn position(&self, id: &TaskId) -> Option<usize> {
        self.tasks.iter().position(|task| task.id == *id)
    }

    /// A remembered finished task.
    pub fn finished_task(&self, id: &TaskId) -> Option<FinishedTask> {
        self.finished_tasks.find(id)
    }

    /// Whether the newest remembered finished task of this id has completed.
    pub fn has_completed(&self, id: &TaskId) -> bool {
        self.finished_task(id).is_some_and(|finished| finished.outcome == Outcome::Completed)
    }

    /// The size of the unfinished tasks in bytes, as by [`Task::size_estimate`].
    pub fn task_bytes(&self) -> usize {
        self.tasks.iter().map(Task::size_estimate).sum()
    }

    /// The sum of the durations of all unfinished timed tasks, in milliseconds.
    pub fn queued_ms(&self) -> u64 {
        self.tasks.iter().map(|task| task.work.duration_ms()).sum()
    }

    /// Counts an event, and appends it to `events`.
    pub(crate) fn add_event(&mut self, at: Timestamp, data: EventData, events: &mut Vec<Event>) {
        self.event_sequence += 1;
        events.push(Event::new(self.event_sequence, at, data));
    }

    /// The totals as a record.
    pub fn stats(&self) -> StatsRecord {
        StatsRecord {
            player_id: self.player_id.clone(),
            version: self.version,
            as_of: self.advanced_to,
            totals: self.totals.clone(),
            published: false,
        }
    }

    /// Whether an active task of reported work may have progress that only the progress row knows.
    pub fn has_partial_progress(&self) -> bool {
        self.tasks.iter().any(|task| task.is_active() && task.work.is_reported() && !task.is_full())
    }

    /// Whether the progress row must be read and merged before the queue is advanced to `now`. A
    /// heartbeat deadline passes by then, as far as this queue knows, but only the progress row has
    /// the last report between milestones.
    ///
    /// Progress that a cached copy knows is not enough: another process may have taken a report
    /// since. A pause only moves deadlines to later, so it is not considered.
    pub fn needs_progress_to_advance(&self, now: Timestamp) -> bool {
        let is_missed = |task: &Task| {
            matches!(task.deadline(), Some((at, MissedDeadline::HeartbeatLost)) if at <= now) && !task.is_full()
        };
        self.tasks.iter().any(is_missed)
    }

    /// The units done and the last report of all active reported tasks, as a record.
    pub fn progress(&self) -> ProgressRecord {
        let tasks = self.tasks.iter().filter_map(|task| {
            let TaskState::Active { started_at, reported_ms, .. } = task.state else { return None };
            let is_reported = task.units_done > 0 || reported_ms > 0;
            is_reported.then(|| TaskProgress {
                task_id: task.id.clone(),
                started_at,
                attempts: task.attempts,
                units_done: task.units_done,
                reported_ms,
            })
        });
        ProgressRecord { player_id: self.player_id.clone(), version: self.version, tasks: tasks.collect() }
    }

    /// Takes over the units and reports of a progress row, as far as they are of the current
    /// attempts. Units are never lowered, a milestone is never crossed, and a heartbeat is only
    /// renewed.
    pub fn merge_progress(&mut self, progress: &ProgressRecord) {
        for known in &progress.tasks {
            let Some(at) = self.position(&known.task_id) else { continue };
            let task = &mut self.tasks[at];
            let Work::Units { units, .. } = task.work else { continue };
            if task.started_at() != Some(known.started_at) || task.attempts != known.attempts {
                continue;
            }
            task.renew_heartbeat(known.reported_ms);
            let done = known.units_done.min(units);
            if task.quarter(done) == task.quarter(task.units_done) {
                task.units_done = task.units_done.max(done);
            }
        }
    }
}

#[cfg(test)]
mod tests;
