//! The views of queues and tasks.

use serde_json::json;

use super::*;
use crate::{
    Command,
    task::{Outcome, TaskSpec},
    testing::*,
};

fn view_at(test: &TestQueue, ms: u64) -> QueueView {
    QueueView::new(&test.queue, at(ms), test.rules)
}

fn names(view: &QueueView) -> Vec<&str> {
    view.tasks.iter().map(|task| task.task_id.as_str()).collect()
}

fn task(test: &TestQueue, ms: u64, name: &str) -> TaskView {
    view_at(test, ms).tasks.into_iter().find(|task| task.task_id.as_str() == name).expect("an unfinished task")
}

#[test]
fn the_json_of_a_queue_leaves_out_what_does_not_apply() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.apply(0, grant(gold(3)));
    test.enqueue(0, [TaskSpec { rewards: gold(8), ..timed("t-0", 10) }, reported("t-1", 100)]);
    test.advance(10);
    test.enqueue(20, [timed("t-2", 100), timed("t-3", 50)]);
    test.apply(30, report("t-1", 42));
    test.queue.version = 12;
    let json = serde_json::to_value(view_at(&test, 62)).unwrap();
    assert_eq!(
        json,
        json!({
            "playerId": "p-1", "version": 12, "asOf": at(62), "status": "running", "slots": 2, "maxTasks": 50,
            "balances": {"gold": 11},
            "totals": {"completed": 1, "failed": 0, "cancelled": 0, "timeSpentMs": 10, "rewards": {"gold": 8}},
            "tasks": [
                {"taskId": "t-1", "kind": "test", "priority": "normal", "state": "active", "attempts": 0,
                 "progress": 0.42, "unitsDone": 42, "startedAt": at(0)},
                {"taskId": "t-2", "kind": "test", "priority": "normal", "state": "active", "attempts": 0,
                 "progress": 0.42, "startedAt": at(20), "finishAt": at(120), "estimatedFinishAt": at(120)},
                {"taskId": "t-3", "kind": "test", "priority": "normal", "state": "pending", "attempts": 0,
                 "estimatedFinishAt": at(170), "blockedBy": ["slot"]},
            ],
            "recent": [{"taskId": "t-0", "outcome": "completed", "finishedAt": at(10)}],
        })
    );
}

#[test]
fn a_view_shows_what_has_come_due_and_leaves_the_queue_unchanged() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10)]);
    let before = test.queue.clone();
    let view = view_at(&test, 15);
    assert_eq!((names(&view), view.totals.completed, view.as_of), (vec!["b"], 1, at(15)));
    assert_eq!(test.queue, before);
    test.advance(40);
    assert_eq!(view_at(&test, 15).as_of, at(40), "a view never goes back");
}

#[test]
fn active_tasks_come_before_pending_ones_in_their_order_of_start() {
    let mut test = TestQueue::new();
    test.enqueue(
        0,
        [
            reported("never-1", 5),
            TaskSpec { prerequisites: ids(["never-1"]), priority: Priority::Critical, ..timed("never-2", 5) },
        ],
    );
    test.apply(0, slots(2));
    let with = |name, priority| TaskSpec { priority, ..timed(name, 10) };
    test.enqueue(1, [timed("active", 20)]);
    test.enqueue(
        1,
        [
            with("low", Priority::Low),
            TaskSpec { not_before: Some(at(45)), ..with("late", Priority::Critical) },
            with("high", Priority::High),
            TaskSpec { prerequisites: ids(["low"]), ..with("after-low", Priority::High) },
        ],
    );
    assert_eq!(names(&view_at(&test, 2)), ["never-1", "active", "high", "low", "after-low", "late", "never-2"]);
}

#[test]
fn estimates_assume_that_reported_work_never_ends() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(
        0,
        [
            reported("open", 5),
            timed("a", 10),
            timed("b", 10),
            TaskSpec { prerequisites: ids(["open"]), ..timed("waits", 1) },
            TaskSpec { costs: gold(1), ..timed("poor", 1) },
        ],
    );
    let estimate = |name| task(&test, 3, name).estimated_finish_at;
    assert_eq!((estimate("a"), estimate("b")), (Some(at(10)), Some(at(20))));
    assert_eq!((estimate("open"), estimate("waits"), estimate("poor")), (None, None, None));
}

#[test]
fn a_pending_task_lists_everything_that_blocks_it() {
    use BlockedBy::{Costs, NotBefore, Paused, Prerequisites, Slot};
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    let all = TaskSpec { not_before: Some(at(90)), prerequisites: ids(["a"]), costs: gold(1), ..timed("all", 1) };
    test.enqueue(0, [timed("a", 50), timed("b", 60), timed("next", 1), all]);
    let blocked = |test: &TestQueue, ms, name| task(test, ms, name).blocked_by;
    assert_eq!(blocked(&test, 1, "a"), []);
    assert_eq!(blocked(&test, 1, "next"), [Slot]);
    assert_eq!(blocked(&test, 1, "all"), [NotBefore, Prerequisites, Costs, Slot]);
    assert_eq!(blocked(&test, 55, "all"), [NotBefore, Costs]);
    assert_eq!(blocked(&test, 95, "all"), [Costs]);
    test.apply(55, Command::PauseQueue);
    assert_eq!(blocked(&test, 55, "all"), [Paused, NotBefore, Costs]);
    assert_eq!(
        serde_json::to_value([Slot, NotBefore, Prerequisites, Costs, Paused]).unwrap(),
        json!(["slot", "notBefore", "prerequisites", "costs", "paused"])
    );
}

#[test]
fn a_retried_task_is_blocked_by_its_delay_and_not_by_paid_costs() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(1)));
    test.enqueue(0, [TaskSpec { costs: gold(1), retry_delay_ms: 20, ..reported("a", 4) }]);
    test.apply(1, report("a", 2));
    test.apply(5, fail("a"));
    let view = task(&test, 6, "a");
    assert_eq!((view.blocked_by, view.attempts), (vec![BlockedBy::NotBefore], 1));
    assert_eq!((view.progress, view.units_done, view.started_at), (None, None, None), "a pending task has none");
}

#[test]
fn progress_is_the_part_of_the_work_that_is_done() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [timed("timed", 3_000), reported("reported", 3)]);
    test.apply(0, report("reported", 2));
    assert_eq!(task(&test, 0, "timed").progress, Some(Fraction(0)));
    assert_eq!(task(&test, 1_000, "timed").progress, Some(Fraction(333)));
    assert_eq!(task(&test, 2_999, "timed").progress, Some(Fraction(999)), "1 only if all is done");
    assert_eq!(task(&test, 0, "reported").progress, Some(Fraction(666)));
    assert_eq!(Fraction::of(7, 7), Fraction(1000));
    assert_eq!(Fraction::of(9, 7), Fraction(1000));
    assert_eq!(Fraction::of(0, 0), Fraction(0));
}

#[test]
fn a_paused_queue_shows_no_further_progress() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 100), timed("b", 100)]);
    test.apply(30, Command::PauseQueue);
    let view = view_at(&test, 500);
    assert_eq!((view.status, view.as_of), (Status::Paused, at(500)));
    assert_eq!(view.tasks[0].progress, Some(Fraction(300)));
    assert_eq!(
        (view.tasks[0].finish_at, view.tasks[0].estimated_finish_at),
        (None, None),
        "the end of the pause is unknown"
    );
    assert_eq!(serde_json::to_value(&view).unwrap()["status"], "paused");
    test.apply(500, Command::ResumeQueue);
    let view = task(&test, 510, "a");
    assert_eq!((view.progress, view.finish_at), (Some(Fraction(400)), Some(at(570))));
}

#[test]
fn recent_tasks_come_newest_first() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    test.advance(10);
    test.apply(12, cancel("c"));
    let view = view_at(&test, 30);
    let recent: Vec<_> = view.recent.iter().map(|ended| (ended.task_id.as_str(), ended.outcome)).collect();
    assert_eq!(recent, [("b", Outcome::Completed), ("c", Outcome::Cancelled), ("a", Outcome::Completed)]);
}

#[test]
fn pending_tasks_of_a_paused_queue_are_in_their_order_of_start_after_it() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 100)]);
    test.apply(10, Command::PauseQueue);
    test.enqueue(
        20,
        [TaskSpec { not_before: Some(at(5_000)), priority: Priority::High, ..timed("late", 10) }, timed("b", 10)],
    );
    let names: Vec<_> = view_at(&test, 30).tasks.iter().map(|task| task.task_id.to_string()).collect();
    assert_eq!(names, ["a", "b", "late"], "a task with a later notBefore starts later despite its priority");
}
