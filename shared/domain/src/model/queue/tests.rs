//! Progress rows, stats rows, and new queues.

use super::*;
use crate::{Command, Rules, task::TaskSpec, testing::*};

/// A progress row of one task in its current attempt, with other units.
fn row(test: &TestQueue, task_id: &str, units_done: u64) -> ProgressRecord {
    let task = test.task(task_id);
    let known = TaskProgress {
        task_id: task.id.clone(),
        started_at: task.started_at().unwrap_or(at(0)),
        attempts: task.attempts,
        units_done,
        reported_ms: 0,
    };
    ProgressRecord { player_id: test.queue.player_id.clone(), version: test.queue.version, tasks: vec![known] }
}

fn merged_units(test: &TestQueue, row: &ProgressRecord) -> u64 {
    let mut queue = test.queue.clone();
    queue.merge_progress(row);
    queue.tasks[0].units_done
}

#[test]
fn merged_progress_is_never_lower() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, report("a", 30));
    for (known, expected) in [(40, 40), (49, 49), (30, 30), (26, 30), (25, 30)] {
        assert_eq!(merged_units(&test, &row(&test, "a", known)), expected, "{known}");
    }
}

#[test]
fn merged_progress_never_crosses_a_milestone() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, report("a", 30));
    for known in [0, 24, 50, 75, 100, 101, 1_000_000] {
        assert_eq!(merged_units(&test, &row(&test, "a", known)), 30, "{known}");
    }
}

#[test]
fn progress_of_another_attempt_is_not_merged() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
    let first = row(&test, "a", 20);
    test.apply(1, fail("a"));
    assert_eq!(merged_units(&test, &first), 0, "it is pending");
    test.advance(6);
    assert_eq!(merged_units(&test, &first), 0, "it started again");
    let mut same_start = row(&test, "a", 20);
    assert_eq!(merged_units(&test, &same_start), 20);
    same_start.tasks[0].attempts = 0;
    assert_eq!(merged_units(&test, &same_start), 0, "started at the same time, after another number of failures");
}

#[test]
fn progress_of_timed_and_of_unknown_tasks_is_not_merged() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 100)]);
    let mut row = row(&test, "a", 1);
    assert_eq!(merged_units(&test, &row), 0);
    row.tasks[0].task_id = id("x");
    assert_eq!(merged_units(&test, &row), 0);
}

#[test]
fn merged_progress_never_exceeds_the_units() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, Command::PauseQueue);
    test.apply(2, report("a", 100));
    assert_eq!(merged_units(&test, &row(&test, "a", 110)), 100);
}

#[test]
fn the_progress_row_lists_active_reported_tasks_with_units_done() {
    let mut test = TestQueue::new();
    test.apply(0, slots(3));
    test.enqueue(3, [reported("a", 100), reported("b", 100), timed("c", 100), reported("pending", 100)]);
    assert!(test.queue.has_partial_progress());
    test.apply(4, report("a", 7));
    let progress = test.queue.progress();
    assert_eq!(progress.tasks.len(), 1);
    let known = &progress.tasks[0];
    assert_eq!((known.task_id.as_str(), known.started_at, known.units_done), ("a", at(3), 7));
    let mut other = test.queue.clone();
    other.tasks[0].units_done = 0;
    other.merge_progress(&progress);
    assert_eq!(other, test.queue, "merging the row restores the units");
}

#[test]
fn a_new_queue_has_the_defaults() {
    let queue = Queue::new(PlayerId::new("p-1").unwrap(), at(5));
    assert_eq!((queue.advanced_to, queue.active_at, queue.version), (at(5), at(5), 0));
    assert_eq!((queue.slots, queue.max_tasks, queue.is_paused()), (1, 50, false));
    assert!(queue.tasks.is_empty() && queue.balances.is_empty() && queue.due_at(Rules::default()).is_none());
}

#[test]
fn a_full_task_has_no_partial_progress() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 4)]);
    test.apply(1, Command::PauseQueue);
    test.apply(2, report("a", 4));
    assert!(!test.queue.has_partial_progress());
}

#[test]
fn the_stats_row_has_the_totals_and_the_version() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 4)]);
    test.advance(9);
    test.queue.version = 3;
    let stats = test.queue.stats();
    assert_eq!((stats.version, stats.as_of, &stats.totals), (3, at(9), &test.queue.totals));
}
