//! A queue rebuilt from its events, as a consumer can do it.
//!
//! The events of a player tell everything about the tasks, balances, totals and finished tasks of
//! the queue, except units and reports between milestones. Events may come more than once. They
//! must be ordered by `sequence`, and none may be missing.

use crate::{
    events::published::{EventTask, PublishedEvent},
    model::{
        event::EventType,
        finished_tasks::FinishedTasks,
        ids::TaskId,
        queue::{DEFAULT_MAX_TASKS, DEFAULT_SLOTS, Queue},
        resources::Resources,
        task::{FinishedTask, Outcome, Task, TaskSpec, TaskState, limit_failures},
        time::Timestamp,
        totals::Totals,
        work::Work,
    },
};

/// What the events of a queue tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedQueue {
    /// The last event.
    pub event_sequence: u64,
    /// When the pause began, if the queue is paused.
    pub paused_at: Option<Timestamp>,
    /// The largest number of active tasks.
    pub slots: u8,
    /// The largest number of unfinished tasks.
    pub max_tasks: u16,
    /// The amounts that the player holds.
    pub balances: Resources,
    /// What became of all tasks.
    pub totals: Totals,
    /// The unfinished tasks in queue order.
    pub tasks: Vec<Task>,
    /// The last finished tasks.
    pub finished_tasks: FinishedTasks,
}

/// Why events do not make a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// Events are missing.
    #[error("event {found} follows event {last}: events are missing in between")]
    Gap {
        /// The last event that was added.
        last: u64,
        /// The event that follows it.
        found: u64,
    },
    /// An event lacks a field that its type has.
    #[error("event {sequence} has no `{field}`")]
    MissingField {
        /// The event.
        sequence: u64,
        /// The field.
        field: &'static str,
    },
    /// An event is about a task that the queue does not have.
    #[error("event {sequence} is about the unknown task `{task_id}`")]
    UnknownTask {
        /// The event.
        sequence: u64,
        /// The task.
        task_id: TaskId,
    },
}

/// The queue after `events`, which begin with the first event of the player.
///
/// # Errors
/// [`FoldError`] if events are missing, or are no events of Millrace.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a PublishedEvent>) -> Result<FoldedQueue, FoldError> {
    let mut queue = FoldedQueue::new();
    events.into_iter().try_for_each(|event| queue.add(event))?;
    Ok(queue)
}

impl FoldedQueue {
    /// The queue before its first event.
    pub fn new() -> Self {
        Self {
            event_sequence: 0,
            paused_at: None,
            slots: DEFAULT_SLOTS,
            max_tasks: DEFAULT_MAX_TASKS,
            balances: Resources::new(),
            totals: Totals::default(),
            tasks: Vec::new(),
            finished_tasks: FinishedTasks::default(),
        }
    }

    /// Adds an event. One that was added before changes nothing.
    ///
    /// # Errors
    /// [`FoldError`] if events before it are missing, or if it does not fit this queue.
    pub fn add(&mut self, event: &PublishedEvent) -> Result<(), FoldError> {
        let (last, found) = (self.event_sequence, event.sequence);
        if found <= last {
            return Ok(());
        }
        if found > last + 1 {
            return Err(FoldError::Gap { last, found });
        }
        match event.event_type {
            EventType::TaskQueued => self.queue_task(event)?,
            EventType::TaskStarted => {
                let task = self.task_mut(event)?;
                task.paid = true;
                task.state = TaskState::Active { started_at: event.at, paused_ms: 0, reported_ms: 0 };
                self.balances.take_all(&event.costs);
            }
            EventType::TaskProgressed => {
                let percent = field(event, event.percent, "percent")?;
                let task = self.task_mut(event)?;
                if let Work::Units { units, .. } = task.work {
                    task.units_done = (units * percent).div_ceil(100);
                }
            }
            EventType::TaskRetried => {
                let reason = field(event, event.reason.as_deref(), "reason")?;
                let not_before = field(event, event.not_before, "notBefore")?;
                let task = self.task_mut(event)?;
                task.add_failure(reason, event.at);
                task.retry_from(not_before);
                limit_failures(&mut self.tasks);
            }
            EventType::TaskCompleted => self.end_task(event, Outcome::Completed)?,
            EventType::TaskFailed => self.end_task(event, Outcome::Failed)?,
            EventType::TaskCancelled => self.end_task(event, Outcome::Cancelled)?,
            EventType::TaskChanged => self.change_task(event)?,
            EventType::QueuePaused => self.paused_at = Some(event.at),
            EventType::QueueResumed => self.resume(event.at),
            EventType::QueueConfigured => {
                self.slots = field(event, event.slots, "slots")?;
                self.max_tasks = field(event, event.max_tasks, "maxTasks")?;
            }
            EventType::ResourcesGranted => drop(self.balances.add_all(&event.resources)),
            EventType::QueueEmptied | EventType::CommandRejected => {}
        }
        self.event_sequence = found;
        Ok(())
    }

    /// The same without units, reports, and results that wait for the end of a pause. Events do not
    /// tell them between milestones.
    #[must_use]
    pub fn without_reports(mut self) -> Self {
        for task in &mut self.tasks {
            task.units_done = 0;
            task.result = None;
            if let TaskState::Active { reported_ms, .. } = &mut task.state {
                *reported_ms = 0;
            }
        }
        self
    }

    fn queue_task(&mut self, event: &PublishedEvent) -> Result<(), FoldError> {
        let task = event_task(event)?;
        let spec = TaskSpec {
            task_id: task.task_id.clone(),
            kind: field(event, task.kind.clone(), "task.kind")?,
            priority: field(event, task.priority, "task.priority")?,
            work: field(event, task.work, "task.work")?,
            payload: task.payload.clone(),
            not_before: task.not_before,
            prerequisites: task.prerequisites.clone(),
            costs: task.costs.clone(),
            rewards: task.rewards.clone(),
            max_retries: field(event, task.max_retries, "task.maxRetries")?,
            retry_delay_ms: field(event, task.retry_delay_ms, "task.retryDelayMs")?,
        };
        // The prerequisites that are no unfinished tasks have completed.
        let mut open: Vec<TaskId> = Vec::new();
        for id in &spec.prerequisites {
            if self.tasks.iter().any(|task| task.id == *id) && !open.contains(id) {
                open.push(id.clone());
            }
        }
        self.tasks.push(Task::new(&spec, open, event.at));
        Ok(())
    }

    fn end_task(&mut self, event: &PublishedEvent, outcome: Outcome) -> Result<(), FoldError> {
        let position = self.position(event)?;
        let task = self.tasks.remove(position);
        self.balances.add_all(&event.rewards);
        self.balances.add_all(&event.refunds);
        match outcome {
            Outcome::Completed => {
                self.totals.completed += 1;
                self.totals.time_spent_ms += field(event, event.time_spent_ms, "timeSpentMs")?;
                self.totals.add_rewards(&event.rewards);
                for other in &mut self.tasks {
                    other.open_prerequisites.retain(|id| *id != task.id);
                }
            }
            Outcome::Failed => self.totals.failed += 1,
            Outcome::Cancelled => self.totals.cancelled += 1,
        }
        self.finished_tasks.push(&FinishedTask { task_id: task.id, outcome, finished_at: event.at });
        Ok(())
    }

    fn change_task(&mut self, event: &PublishedEvent) -> Result<(), FoldError> {
        let position = self.position(event)?;
        if let Some(priority) = event.priority {
            self.tasks[position].priority = priority;
        }
        let priority = self.tasks[position].priority;
        let first = self.tasks[..position].iter().position(|task| task.priority == priority);
        if let Some(first) = first.filter(|_| event.moved_to_front) {
            self.tasks[first..=position].rotate_right(1);
        }
        Ok(())
    }

    fn resume(&mut self, at: Timestamp) {
        let Some(paused_at) = self.paused_at.take() else { return };
        for task in &mut self.tasks {
            if let TaskState::Active { paused_ms, .. } = &mut task.state {
                *paused_ms += at.millis_since(paused_at);
            }
        }
    }

    fn position(&self, event: &PublishedEvent) -> Result<usize, FoldError> {
        let task_id = &event_task(event)?.task_id;
        let position = self.tasks.iter().position(|task| task.id == *task_id);
        position.ok_or_else(|| FoldError::UnknownTask { sequence: event.sequence, task_id: task_id.clone() })
    }

    fn task_mut(&mut self, event: &PublishedEvent) -> Result<&mut Task, FoldError> {
        let position = self.position(event)?;
        Ok(&mut self.tasks[position])
    }
}

impl Default for FoldedQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// What the events of a queue should tell.
impl From<&Queue> for FoldedQueue {
    fn from(queue: &Queue) -> Self {
        Self {
            event_sequence: queue.event_sequence,
            paused_at: queue.paused_at,
            slots: queue.slots,
            max_tasks: queue.max_tasks,
            balances: queue.balances.clone(),
            totals: queue.totals.clone(),
            tasks: queue.tasks.clone(),
            finished_tasks: queue.finished_tasks.clone(),
        }
    }
}

fn event_task(event: &PublishedEvent) -> Result<&EventTask, FoldError> {
    field(event, event.task.as_deref(), "task")
}

fn field<T>(event: &PublishedEvent, value: Option<T>, field: &'static str) -> Result<T, FoldError> {
    value.ok_or(FoldError::MissingField { sequence: event.sequence, field })
}
