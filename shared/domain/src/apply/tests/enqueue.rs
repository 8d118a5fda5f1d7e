//! `enqueueTasks`: all or none, and the order of its refusals.

use crate::{
    queue::MAX_QUEUE_BYTES,
    rejection::RejectionReason,
    scenario::*,
    task::{MAX_DURATION_MS, TaskSpec},
};

#[test]
fn all_tasks_are_queued_in_their_order() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10)]);
    s.enqueue(1, [timed("c", 10)]);
    assert_eq!(s.order(), ["a", "b", "c"]);
    assert_eq!(s.task("c").enqueued_at, at(1));
}

#[test]
fn one_bad_task_keeps_all_out() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    let tasks = s.queue.tasks.clone();
    s.turn_the_page();
    assert_eq!(s.refuse_tasks(1, [timed("b", 10), timed("c", 10), timed("a", 10)]), RejectionReason::DuplicateTask);
    assert_eq!(s.queue.tasks, tasks);
    assert_eq!(s.story(), [""; 0]);
}

#[test]
fn a_queue_is_full_at_max_tasks() {
    let mut s = Scenario::new();
    s.apply(0, max_tasks(3));
    s.enqueue(0, [timed("a", 10)]);
    assert_eq!(s.refuse_tasks(0, [timed("b", 10), timed("c", 10), timed("d", 10)]), RejectionReason::QueueFull);
    s.enqueue(0, [timed("b", 10), timed("c", 10)]);
    assert_eq!(s.refuse_tasks(9, [timed("d", 10)]), RejectionReason::QueueFull);
    s.enqueue(10, [timed("d", 10)]);
    assert_eq!(s.order(), ["b", "c", "d"], "a finished task makes room");
}

#[test]
fn a_new_queue_takes_fifty() {
    let mut s = Scenario::new();
    for n in 0..50 {
        s.enqueue(0, [timed(&format!("t-{n}"), 1_000)]);
    }
    assert_eq!(s.refuse_tasks(0, [timed("t-50", 1_000)]), RejectionReason::QueueFull);
}

#[test]
fn a_queue_is_full_at_its_bytes_and_nothing_of_the_command_stays() {
    let mut s = Scenario::new();
    s.apply(0, max_tasks(200));
    let name = |n: usize, m: usize| format!("{n:03}-{m:03}-{}", "x".repeat(56));
    let heavy = |n: usize| {
        let rewards = (0..20).map(|m| (crate::ResourceName::new(&name(n, m)).unwrap(), 1)).collect();
        TaskSpec { rewards, ..timed(&format!("t-{n}"), 1_000) }
    };
    let fits = (0..200).take_while(|n| matches!(enqueue_one(&mut s, heavy(*n)), Ok(()))).count();
    assert!((60..100).contains(&fits), "{fits} tasks of about 1.6 KB");
    let tasks = s.queue.tasks.clone();
    assert_eq!(s.refuse_tasks(0, [heavy(fits)]), RejectionReason::QueueFull);
    assert_eq!(s.queue.tasks, tasks);
    assert!(s.queue.weight() <= MAX_QUEUE_BYTES);
    s.enqueue(0, [timed("light", 1)]);
}

fn enqueue_one(s: &mut Scenario, task: TaskSpec) -> Result<(), RejectionReason> {
    match s.send(0, crate::Command::EnqueueTasks { tasks: vec![task] }).0 {
        crate::Verdict::Applied => Ok(()),
        crate::Verdict::Rejected(rejection) => Err(rejection.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_id_is_taken_while_unfinished_remembered_or_earlier_in_the_command() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("done", 1), timed("open", 100)]);
    s.advance(1);
    assert_eq!(s.refuse_tasks(1, [timed("open", 1)]), RejectionReason::DuplicateTask);
    assert_eq!(s.refuse_tasks(1, [timed("done", 1)]), RejectionReason::DuplicateTask);
    assert_eq!(s.refuse_tasks(1, [timed("new", 1), timed("new", 1)]), RejectionReason::DuplicateTask);
}

#[test]
fn a_task_id_is_free_again_when_64_others_have_finished() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 1)]);
    for n in 0..63 {
        s.enqueue(1 + n, [timed(&format!("n-{n}"), 1)]);
    }
    s.advance(64);
    assert_eq!(s.queue.recent.len(), 64);
    assert_eq!(s.refuse_tasks(64, [timed("a", 1)]), RejectionReason::DuplicateTask);
    s.enqueue(64, [timed("n-63", 1)]);
    s.enqueue(65, [timed("a", 1)]);
    assert_eq!(s.queue.recent.len(), 64);
}

#[test]
fn a_prerequisite_is_a_task_here_one_earlier_in_the_command_or_a_remembered_one() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("done", 1)]);
    s.enqueue(1, [reported("open", 5)]);
    let after = TaskSpec { prerequisites: ids(["done", "open", "new", "open"]), ..timed("after", 1) };
    s.enqueue(1, [timed("new", 1), after]);
    assert_eq!(s.task("after").waiting_for, ids(["open", "new"]), "what has completed is not waited for");
}

#[test]
fn a_prerequisite_that_nobody_knows_is_refused() {
    let mut s = Scenario::new();
    let after = |name: &str| TaskSpec { prerequisites: ids([name]), ..timed("after", 1) };
    assert_eq!(s.refuse_tasks(0, [after("never")]), RejectionReason::UnknownPrerequisite);
    assert_eq!(s.refuse_tasks(0, [after("after")]), RejectionReason::UnknownPrerequisite, "itself");
    assert_eq!(s.refuse_tasks(0, [after("later"), timed("later", 1)]), RejectionReason::UnknownPrerequisite);
}

#[test]
fn a_prerequisite_that_failed_or_was_cancelled_is_refused() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { max_retries: 0, ..timed("failed", 10) }, timed("cancelled", 10)]);
    s.apply(1, fail("failed"));
    s.apply(1, cancel("cancelled"));
    for name in ["failed", "cancelled"] {
        let after = TaskSpec { prerequisites: ids([name]), ..timed("after", 1) };
        assert_eq!(s.refuse_tasks(2, [after]), RejectionReason::PrerequisiteFailed, "{name}");
    }
}

#[test]
fn seven_days_of_timed_work_fit_and_not_a_millisecond_more() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", MAX_DURATION_MS), timed("b", MAX_DURATION_MS), timed("c", MAX_DURATION_MS)]);
    s.enqueue(0, [timed("d", MAX_DURATION_MS), timed("e", MAX_DURATION_MS), timed("f", MAX_DURATION_MS)]);
    s.enqueue(0, [reported("units-do-not-count", 1_000_000_000)]);
    s.enqueue(0, [timed("g", MAX_DURATION_MS)]);
    assert_eq!(s.refuse_tasks(0, [timed("h", 1)]), RejectionReason::QueueTooLong);
    assert_eq!(
        s.refuse_tasks(MAX_DURATION_MS - 1, [timed("h", 1)]),
        RejectionReason::QueueTooLong,
        "full durations count, however much of them is done"
    );
    s.enqueue(MAX_DURATION_MS, [timed("h", MAX_DURATION_MS)]);
}

#[test]
fn the_first_reason_that_holds_is_given() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { max_retries: 0, ..timed("failed", 10) }]);
    s.apply(0, fail("failed"));
    s.enqueue(0, [timed("open", MAX_DURATION_MS)]);
    s.apply(0, max_tasks(8));
    let after = |name: &str, of: &[&str]| TaskSpec {
        prerequisites: of.iter().map(|name| id(name)).collect(),
        ..timed(name, MAX_DURATION_MS)
    };
    let long = |name: &str| timed(name, MAX_DURATION_MS);
    let seven =
        |first: TaskSpec, second: TaskSpec| [first, second, long("3"), long("4"), long("5"), long("6"), long("7")];
    // Too many, and everything else is wrong as well.
    let [a, b, c, d, e, f, g] = seven(long("open"), after("x", &["never"]));
    assert_eq!(s.refuse_tasks(0, [a, b, c, d, e, f, g, long("8")]), RejectionReason::QueueFull);
    // Task by task: the first bad task decides, and within a task the order of the reasons.
    assert_eq!(s.refuse_tasks(0, seven(after("open", &["never"]), long("2"))), RejectionReason::DuplicateTask);
    assert_eq!(
        s.refuse_tasks(0, seven(after("x", &["failed", "never"]), long("open"))),
        RejectionReason::UnknownPrerequisite
    );
    assert_eq!(s.refuse_tasks(0, seven(after("x", &["failed"]), long("open"))), RejectionReason::PrerequisiteFailed);
    assert_eq!(s.refuse_tasks(0, seven(long("1"), after("x", &["failed"]))), RejectionReason::PrerequisiteFailed);
    // Nothing but too long.
    assert_eq!(s.refuse_tasks(0, seven(long("1"), long("2"))), RejectionReason::QueueTooLong);
}
