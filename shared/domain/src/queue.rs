//! One player's queue: tasks, balances, totals, and what it remembers.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    command_memory::CommandMemory,
    finished_tasks::FinishedTasks,
    ids::{PlayerId, TaskId},
    record::{ProgressRecord, StatsRecord, TaskProgress, resources_size},
    resources::Resources,
    task::{FinishedTask, Task, Work},
    time::Timestamp,
    wire::fields,
};

/// How many tasks may be active at once in a new queue.
pub const DEFAULT_SLOTS: u8 = 1;
/// How many tasks may be unfinished at once in a new queue.
pub const DEFAULT_MAX_TASKS: u16 = 50;
/// Longest timed work of all unfinished tasks together, in milliseconds: seven days.
pub const MAX_QUEUED_MS: u64 = 7 * 86_400_000;
/// Most bytes of tasks and balances, about. A row holds them, what the queue remembers, and the
/// records of the last commit, which may be as much again; a DynamoDB row ends at 400 KB.
pub const MAX_QUEUE_BYTES: usize = 128 * 1024;
/// Most different resources that a queue may be granted.
pub const MAX_BALANCES: usize = 1_000;

/// What became of all tasks of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Tasks completed.
    #[n(0)]
    pub completed: u64,
    /// Tasks failed for good.
    #[n(1)]
    pub failed: u64,
    /// Tasks cancelled.
    #[n(2)]
    pub cancelled: u64,
    /// Milliseconds from the last start to the completion of completed tasks, pauses left out.
    #[n(3)]
    pub time_spent_ms: u64,
    /// Rewards credited.
    #[cbor(n(4), skip_if = "crate::encoding::is_default")]
    pub rewards: Resources,
}

/// One player's queue. Whole and alone: one conditional write of it decides everything at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
#[cbor(map)]
pub struct Queue {
    /// The owner.
    #[n(0)]
    pub player_id: PlayerId,
    /// Grows by one with each commit; 0 for a queue that was never committed.
    #[n(1)]
    pub version: u64,
    /// The time up to which everything due has happened.
    #[n(2)]
    pub advanced_to: Timestamp,
    /// The effective time of the last command, but for reports between milestones: those move it on only
    /// now and then, for they are not written each time.
    #[n(3)]
    pub active_at: Timestamp,
    /// Since when the queue is paused, if it is.
    #[n(4)]
    pub paused_at: Option<Timestamp>,
    /// How many tasks may be active at once.
    #[n(5)]
    pub slots: u8,
    /// How many tasks may be unfinished at once.
    #[n(6)]
    pub max_tasks: u16,
    /// What the player holds.
    #[cbor(n(7), skip_if = "crate::encoding::is_default")]
    pub balances: Resources,
    /// What became of all tasks.
    #[n(8)]
    pub totals: Totals,
    /// The unfinished tasks in queue order.
    #[cbor(n(9), with = "crate::encoding::list", skip_if = "crate::encoding::is_default")]
    pub tasks: Vec<Task>,
    /// The last finished tasks, oldest first.
    #[cbor(n(10), skip_if = "crate::encoding::is_default")]
    pub recent: FinishedTasks,
    /// The last commands.
    #[n(11)]
    pub memory: CommandMemory,
}

fields! {
    Totals { completed, failed, cancelled, time_spent_ms, rewards }
    Queue {
        player_id, version, advanced_to, active_at, paused_at, slots, max_tasks, balances, totals, tasks, recent,
        memory,
    }
}

impl Queue {
    /// An empty queue that begins at `now`.
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
            recent: FinishedTasks::default(),
            memory: CommandMemory::default(),
        }
    }

    /// Whether timed work stands still and nothing starts or completes.
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// How many tasks occupy a slot.
    pub fn active(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_active()).count()
    }

    /// The position of an unfinished task in queue order.
    pub fn position(&self, id: &TaskId) -> Option<usize> {
        self.tasks.iter().position(|task| task.id == *id)
    }

    /// A remembered finished task.
    pub fn remembered(&self, id: &TaskId) -> Option<FinishedTask> {
        self.recent.find(id)
    }

    /// About how many bytes the tasks and balances take in a row.
    pub fn weight(&self) -> usize {
        self.tasks
            .iter()
            .map(|task| {
                80 + task.id.as_str().len()
                    + task.kind.as_str().len()
                    + task.waiting_for.iter().map(|id| 2 + id.as_str().len()).sum::<usize>()
                    + resources_size(&task.costs)
                    + resources_size(&task.rewards)
            })
            .sum::<usize>()
            + resources_size(&self.balances)
            + resources_size(&self.totals.rewards)
    }

    /// The durations of all unfinished timed tasks, in milliseconds.
    pub fn queued_ms(&self) -> u64 {
        self.tasks.iter().map(|task| duration_ms(task.work)).sum()
    }

    /// The totals as a row.
    pub fn stats(&self) -> StatsRecord {
        StatsRecord {
            player_id: self.player_id.clone(),
            version: self.version,
            as_of: self.advanced_to,
            totals: self.totals.clone(),
        }
    }

    /// Whether some active task of reported work has progress that milestones do not show.
    pub fn has_partial_progress(&self) -> bool {
        self.tasks.iter().any(|task| task.is_active() && matches!(task.work, Work::Units(_)) && !task.is_full())
    }

    /// Units done of all active reported tasks, as a row.
    pub fn progress(&self) -> ProgressRecord {
        let tasks = self.tasks.iter().filter(|task| matches!(task.work, Work::Units(_)) && task.units_done > 0);
        ProgressRecord {
            player_id: self.player_id.clone(),
            version: self.version,
            tasks: tasks
                .filter_map(|task| {
                    Some(TaskProgress {
                        task_id: task.id.clone(),
                        started_at: task.started_at()?,
                        attempts: task.attempts,
                        units_done: task.units_done,
                    })
                })
                .collect(),
        }
    }

    /// Takes over what a progress row knows beyond this queue: never less than is known here, never
    /// across a milestone, and nothing of other attempts.
    pub fn merge_progress(&mut self, progress: &ProgressRecord) {
        for known in &progress.tasks {
            let Some(at) = self.position(&known.task_id) else { continue };
            let task = &mut self.tasks[at];
            let Work::Units(units) = task.work else { continue };
            let done = known.units_done.min(units);
            let same_attempt = task.started_at() == Some(known.started_at) && task.attempts == known.attempts;
            if same_attempt && task.quarter(done) == task.quarter(task.units_done) {
                task.units_done = task.units_done.max(done);
            }
        }
    }
}

/// The duration of timed work, 0 for reported work, in milliseconds.
pub(crate) fn duration_ms(work: Work) -> u64 {
    match work {
        Work::DurationMs(ms) => ms,
        Work::Units(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Rules, scenario::*, task::TaskSpec};

    /// What a progress row says of one task, as of the queue's own state but for `units_done`.
    fn row(s: &Scenario, task_id: &str, units_done: u64) -> ProgressRecord {
        let task = s.task(task_id);
        let known = TaskProgress {
            task_id: task.id.clone(),
            started_at: task.started_at().unwrap_or(at(0)),
            attempts: task.attempts,
            units_done,
        };
        ProgressRecord { player_id: s.queue.player_id.clone(), version: s.queue.version, tasks: vec![known] }
    }

    fn merged(s: &Scenario, row: &ProgressRecord) -> u64 {
        let mut queue = s.queue.clone();
        queue.merge_progress(row);
        queue.tasks[0].units_done
    }

    #[test]
    fn progress_is_taken_over_between_milestones_and_never_lowered() {
        let mut s = Scenario::new();
        s.enqueue(0, [reported("a", 100)]);
        s.apply(1, report("a", 30));
        for (known, expected) in [(40, 40), (49, 49), (30, 30), (26, 30), (25, 30)] {
            assert_eq!(merged(&s, &row(&s, "a", known)), expected, "{known}");
        }
    }

    #[test]
    fn progress_never_crosses_a_milestone() {
        let mut s = Scenario::new();
        s.enqueue(0, [reported("a", 100)]);
        s.apply(1, report("a", 30));
        for known in [0, 24, 50, 75, 100, 101, 1_000_000] {
            assert_eq!(merged(&s, &row(&s, "a", known)), 30, "{known}");
        }
    }

    #[test]
    fn progress_of_another_attempt_says_nothing() {
        let mut s = Scenario::new();
        s.enqueue(0, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
        let first = row(&s, "a", 20);
        s.apply(1, fail("a"));
        assert_eq!(merged(&s, &first), 0, "it is pending");
        s.advance(6);
        assert_eq!(merged(&s, &first), 0, "it started again");
        let mut same_moment = row(&s, "a", 20);
        assert_eq!(merged(&s, &same_moment), 20);
        same_moment.tasks[0].attempts = 0;
        assert_eq!(merged(&s, &same_moment), 0, "started at the same moment, after another number of failures");
    }

    #[test]
    fn progress_of_timed_and_of_unknown_tasks_says_nothing() {
        let mut s = Scenario::new();
        s.enqueue(0, [timed("a", 100)]);
        let mut row = row(&s, "a", 1);
        assert_eq!(merged(&s, &row), 0);
        row.tasks[0].task_id = id("x");
        assert_eq!(merged(&s, &row), 0);
    }

    #[test]
    fn progress_never_passes_the_units() {
        let mut s = Scenario::new();
        s.enqueue(0, [reported("a", 100)]);
        s.apply(1, Command::PauseQueue);
        s.apply(2, report("a", 100));
        assert_eq!(merged(&s, &row(&s, "a", 110)), 100);
    }

    #[test]
    fn the_progress_row_names_active_reported_tasks_that_have_begun() {
        let mut s = Scenario::new();
        s.apply(0, slots(3));
        s.enqueue(3, [reported("a", 100), reported("b", 100), timed("c", 100), reported("pending", 100)]);
        assert!(s.queue.has_partial_progress());
        s.apply(4, report("a", 7));
        let progress = s.queue.progress();
        assert_eq!(progress.tasks.len(), 1);
        let known = &progress.tasks[0];
        assert_eq!((known.task_id.as_str(), known.started_at, known.units_done), ("a", at(3), 7));
        let mut other = s.queue.clone();
        other.tasks[0].units_done = 0;
        other.merge_progress(&progress);
        assert_eq!(other, s.queue, "what is put into the row comes out of it");
    }

    #[test]
    fn a_new_queue_begins_at_the_commands_time_with_the_defaults() {
        let queue = Queue::new(PlayerId::new("p-1").unwrap(), at(5));
        assert_eq!((queue.advanced_to, queue.active_at, queue.version), (at(5), at(5), 0));
        assert_eq!((queue.slots, queue.max_tasks, queue.is_paused()), (1, 50, false));
        assert!(queue.tasks.is_empty() && queue.balances.is_empty() && queue.due_at(Rules::default()).is_none());
    }

    #[test]
    fn a_full_task_while_paused_has_no_partial_progress() {
        let mut s = Scenario::new();
        s.enqueue(0, [reported("a", 4)]);
        s.apply(1, Command::PauseQueue);
        s.apply(2, report("a", 4));
        assert!(!s.queue.has_partial_progress());
    }

    #[test]
    fn the_stats_row_is_the_totals_as_of_the_version() {
        let mut s = Scenario::new();
        s.enqueue(0, [timed("a", 4)]);
        s.advance(9);
        s.queue.version = 3;
        let stats = s.queue.stats();
        assert_eq!((stats.version, stats.as_of, &stats.totals), (3, at(9), &s.queue.totals));
    }
}
