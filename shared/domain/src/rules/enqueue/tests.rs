//! `enqueueTasks`: limits, ids, prerequisites, and the order of the refusals.

use crate::{RejectionReason, task::TaskSpec, testing::*, work::MAX_DURATION_MS};

#[test]
fn all_tasks_are_queued_in_their_order() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10)]);
    test.enqueue(1, [timed("c", 10)]);
    assert_eq!(test.order(), ["a", "b", "c"]);
    assert_eq!(test.task("c").enqueued_at, at(1));
}

#[test]
fn one_refused_task_refuses_the_whole_command() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    let tasks = test.queue.tasks.clone();
    test.clear_events();
    assert_eq!(test.refuse_tasks(1, [timed("b", 10), timed("c", 10), timed("a", 10)]), RejectionReason::DuplicateTask);
    assert_eq!(test.queue.tasks, tasks);
    assert_eq!(test.take_events(), [""; 0]);
}

#[test]
fn a_queue_takes_at_most_max_tasks() {
    let mut test = TestQueue::new();
    test.apply(0, max_tasks(3));
    test.enqueue(0, [timed("a", 10)]);
    assert_eq!(test.refuse_tasks(0, [timed("b", 10), timed("c", 10), timed("d", 10)]), RejectionReason::QueueFull);
    test.enqueue(0, [timed("b", 10), timed("c", 10)]);
    assert_eq!(test.refuse_tasks(9, [timed("d", 10)]), RejectionReason::QueueFull);
    test.enqueue(10, [timed("d", 10)]);
    assert_eq!(test.order(), ["b", "c", "d"], "a finished task frees a place");
}

#[test]
fn a_new_queue_takes_50_tasks() {
    let mut test = TestQueue::new();
    for n in 0..50 {
        test.enqueue(0, [timed(&format!("t-{n}"), 1_000)]);
    }
    assert_eq!(test.refuse_tasks(0, [timed("t-50", 1_000)]), RejectionReason::QueueFull);
}

#[test]
fn the_id_of_an_unfinished_completed_or_earlier_task_is_taken() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("done", 1), timed("open", 100)]);
    test.advance(1);
    assert_eq!(test.refuse_tasks(1, [timed("open", 1)]), RejectionReason::DuplicateTask);
    assert_eq!(test.refuse_tasks(1, [timed("done", 1)]), RejectionReason::DuplicateTask);
    assert_eq!(test.refuse_tasks(1, [timed("new", 1), timed("new", 1)]), RejectionReason::DuplicateTask);
}

#[test]
fn the_id_of_a_failed_or_cancelled_task_is_free() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..timed("a", 10) }]);
    test.apply(1, fail("a"));
    test.enqueue(2, [timed("a", 10)]);
    test.apply(3, cancel("a"));
    test.enqueue(4, [timed("a", 10)]);
    test.advance(14);
    assert_eq!(test.refuse_tasks(14, [timed("a", 10)]), RejectionReason::DuplicateTask, "it has completed");
    assert_eq!(test.queue.finished_tasks.len(), 3);
}

#[test]
fn a_task_id_is_free_again_after_64_other_tasks_have_finished() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 1)]);
    for n in 0..63 {
        test.enqueue(1 + n, [timed(&format!("n-{n}"), 1)]);
    }
    test.advance(64);
    assert_eq!(test.queue.finished_tasks.len(), 64);
    assert_eq!(test.refuse_tasks(64, [timed("a", 1)]), RejectionReason::DuplicateTask);
    test.enqueue(64, [timed("n-63", 1)]);
    test.enqueue(65, [timed("a", 1)]);
    assert_eq!(test.queue.finished_tasks.len(), 64);
}

#[test]
fn a_prerequisite_is_unfinished_remembered_or_earlier_in_the_command() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("done", 1)]);
    test.enqueue(1, [reported("open", 5)]);
    let after = TaskSpec { prerequisites: ids(["done", "open", "new", "open"]), ..timed("after", 1) };
    test.enqueue(1, [timed("new", 1), after]);
    assert_eq!(test.task("after").open_prerequisites, ids(["open", "new"]), "a completed task is no open prerequisite");
}

#[test]
fn an_unknown_prerequisite_is_refused() {
    let mut test = TestQueue::new();
    let after = |name: &str| TaskSpec { prerequisites: ids([name]), ..timed("after", 1) };
    assert_eq!(test.refuse_tasks(0, [after("never")]), RejectionReason::UnknownPrerequisite);
    assert_eq!(test.refuse_tasks(0, [after("after")]), RejectionReason::UnknownPrerequisite, "itself");
    assert_eq!(test.refuse_tasks(0, [after("later"), timed("later", 1)]), RejectionReason::UnknownPrerequisite);
}

#[test]
fn a_prerequisite_that_failed_or_was_cancelled_is_refused() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..timed("failed", 10) }, timed("cancelled", 10)]);
    test.apply(1, fail("failed"));
    test.apply(1, cancel("cancelled"));
    for name in ["failed", "cancelled"] {
        let after = TaskSpec { prerequisites: ids([name]), ..timed("after", 1) };
        assert_eq!(test.refuse_tasks(2, [after]), RejectionReason::PrerequisiteFailed, "{name}");
    }
}

#[test]
fn a_queue_takes_at_most_seven_days_of_timed_work() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", MAX_DURATION_MS), timed("b", MAX_DURATION_MS), timed("c", MAX_DURATION_MS)]);
    test.enqueue(0, [timed("d", MAX_DURATION_MS), timed("e", MAX_DURATION_MS), timed("f", MAX_DURATION_MS)]);
    test.enqueue(0, [reported("units-do-not-count", 1_000_000_000)]);
    test.enqueue(0, [timed("g", MAX_DURATION_MS)]);
    assert_eq!(test.refuse_tasks(0, [timed("h", 1)]), RejectionReason::QueueTooLong);
    assert_eq!(
        test.refuse_tasks(MAX_DURATION_MS - 1, [timed("h", 1)]),
        RejectionReason::QueueTooLong,
        "full durations count, also of active tasks"
    );
    test.enqueue(MAX_DURATION_MS, [timed("h", MAX_DURATION_MS)]);
}

#[test]
fn the_first_refusal_reason_in_order_is_given() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..timed("failed", 10) }]);
    test.apply(0, fail("failed"));
    test.enqueue(0, [timed("open", MAX_DURATION_MS)]);
    test.apply(0, max_tasks(8));
    let after = |name: &str, of: &[&str]| TaskSpec {
        prerequisites: of.iter().map(|name| id(name)).collect(),
        ..timed(name, MAX_DURATION_MS)
    };
    let long = |name: &str| timed(name, MAX_DURATION_MS);
    let seven =
        |first: TaskSpec, second: TaskSpec| [first, second, long("3"), long("4"), long("5"), long("6"), long("7")];
    // Too many tasks, and all other reasons hold too.
    let [a, b, c, d, e, f, g] = seven(long("open"), after("x", &["never"]));
    assert_eq!(test.refuse_tasks(0, [a, b, c, d, e, f, g, long("8")]), RejectionReason::QueueFull);
    // The first refused task decides, and within a task the order of the reasons.
    assert_eq!(test.refuse_tasks(0, seven(after("open", &["never"]), long("2"))), RejectionReason::DuplicateTask);
    assert_eq!(
        test.refuse_tasks(0, seven(after("x", &["failed", "never"]), long("open"))),
        RejectionReason::UnknownPrerequisite
    );
    assert_eq!(test.refuse_tasks(0, seven(after("x", &["failed"]), long("open"))), RejectionReason::PrerequisiteFailed);
    assert_eq!(test.refuse_tasks(0, seven(long("1"), after("x", &["failed"]))), RejectionReason::PrerequisiteFailed);
    // Only the durations are too long.
    assert_eq!(test.refuse_tasks(0, seven(long("1"), long("2"))), RejectionReason::QueueTooLong);
}
