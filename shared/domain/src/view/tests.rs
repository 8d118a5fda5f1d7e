//! What readers see.

use serde_json::json;

use super::*;
use crate::{
    command::Command,
    scenario::*,
    task::{Outcome, TaskSpec},
};

fn view(s: &Scenario, ms: u64) -> QueueView {
    QueueView::new(&s.queue, at(ms), s.rules)
}

fn names(view: &QueueView) -> Vec<&str> {
    view.tasks.iter().map(|task| task.task_id.as_str()).collect()
}

fn task(s: &Scenario, ms: u64, name: &str) -> TaskView {
    view(s, ms).tasks.into_iter().find(|task| task.task_id.as_str() == name).expect("an unfinished task")
}

#[test]
fn a_queue_in_json_has_the_names_of_the_contract_and_leaves_out_what_does_not_apply() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.apply(0, grant(gold(3)));
    s.enqueue(0, [TaskSpec { rewards: gold(8), ..timed("t-0", 10) }, reported("t-1", 100)]);
    s.advance(10);
    s.enqueue(20, [timed("t-2", 100), timed("t-3", 50)]);
    s.apply(30, report("t-1", 42));
    s.queue.version = 12;
    let json = serde_json::to_value(view(&s, 62)).unwrap();
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
fn a_view_shows_what_has_come_due_and_writes_nothing() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10)]);
    let before = s.queue.clone();
    let seen = view(&s, 15);
    assert_eq!((names(&seen), seen.totals.completed, seen.as_of), (vec!["b"], 1, at(15)));
    assert_eq!(s.queue, before);
    s.advance(40);
    assert_eq!(view(&s, 15).as_of, at(40), "a view never goes back");
}

#[test]
fn active_tasks_come_first_then_pending_ones_in_the_order_in_which_they_would_start() {
    let mut s = Scenario::new();
    s.enqueue(
        0,
        [
            reported("never-1", 5),
            TaskSpec { prerequisites: ids(["never-1"]), priority: Priority::Critical, ..timed("never-2", 5) },
        ],
    );
    s.apply(0, slots(2));
    let with = |name, priority| TaskSpec { priority, ..timed(name, 10) };
    s.enqueue(1, [timed("active", 20)]);
    s.enqueue(
        1,
        [
            with("low", Priority::Low),
            TaskSpec { not_before: Some(at(45)), ..with("late", Priority::Critical) },
            with("high", Priority::High),
            TaskSpec { prerequisites: ids(["low"]), ..with("after-low", Priority::High) },
        ],
    );
    assert_eq!(names(&view(&s, 2)), ["never-1", "active", "high", "low", "after-low", "late", "never-2"]);
}

#[test]
fn estimates_tell_when_tasks_would_finish_if_reported_work_never_ended() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.enqueue(
        0,
        [
            reported("open", 5),
            timed("a", 10),
            timed("b", 10),
            TaskSpec { prerequisites: ids(["open"]), ..timed("waits", 1) },
            TaskSpec { costs: gold(1), ..timed("poor", 1) },
        ],
    );
    let estimate = |name| task(&s, 3, name).estimated_finish_at;
    assert_eq!((estimate("a"), estimate("b")), (Some(at(10)), Some(at(20))));
    assert_eq!((estimate("open"), estimate("waits"), estimate("poor")), (None, None, None));
}

#[test]
fn a_pending_task_says_all_that_it_waits_for() {
    use BlockedBy::{Costs, NotBefore, Paused, Prerequisites, Slot};
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    let all = TaskSpec { not_before: Some(at(90)), prerequisites: ids(["a"]), costs: gold(1), ..timed("all", 1) };
    s.enqueue(0, [timed("a", 50), timed("b", 60), timed("next", 1), all]);
    let blocked = |s: &Scenario, ms, name| task(s, ms, name).blocked_by;
    assert_eq!(blocked(&s, 1, "a"), []);
    assert_eq!(blocked(&s, 1, "next"), [Slot]);
    assert_eq!(blocked(&s, 1, "all"), [NotBefore, Prerequisites, Costs, Slot]);
    assert_eq!(blocked(&s, 55, "all"), [NotBefore, Costs]);
    assert_eq!(blocked(&s, 95, "all"), [Costs]);
    s.apply(55, Command::PauseQueue);
    assert_eq!(blocked(&s, 55, "all"), [Paused, NotBefore, Costs]);
    assert_eq!(
        serde_json::to_value([Slot, NotBefore, Prerequisites, Costs, Paused]).unwrap(),
        json!(["slot", "notBefore", "prerequisites", "costs", "paused"])
    );
}

#[test]
fn a_retried_task_waits_for_its_delay_and_not_for_costs_it_has_paid() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(1)));
    s.enqueue(0, [TaskSpec { costs: gold(1), retry_delay_ms: 20, ..reported("a", 4) }]);
    s.apply(1, report("a", 2));
    s.apply(5, fail("a"));
    let seen = task(&s, 6, "a");
    assert_eq!((seen.blocked_by, seen.attempts), (vec![BlockedBy::NotBefore], 1));
    assert_eq!((seen.progress, seen.units_done, seen.started_at), (None, None, None), "a pending task has none");
}

#[test]
fn progress_is_the_part_of_the_work_that_is_done() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.enqueue(0, [timed("timed", 3_000), reported("reported", 3)]);
    s.apply(0, report("reported", 2));
    assert_eq!(task(&s, 0, "timed").progress, Some(Fraction(0)));
    assert_eq!(task(&s, 1_000, "timed").progress, Some(Fraction(333)));
    assert_eq!(task(&s, 2_999, "timed").progress, Some(Fraction(999)), "only all of it is 1");
    assert_eq!(task(&s, 0, "reported").progress, Some(Fraction(666)));
    assert_eq!(Fraction::of(7, 7), Fraction(1000));
    assert_eq!(Fraction::of(9, 7), Fraction(1000));
    assert_eq!(Fraction::of(0, 0), Fraction(0));
}

#[test]
fn a_paused_queue_shows_that_time_stands_still() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 100), timed("b", 100)]);
    s.apply(30, Command::PauseQueue);
    let seen = view(&s, 500);
    assert_eq!((seen.status, seen.as_of), (Status::Paused, at(500)));
    assert_eq!(seen.tasks[0].progress, Some(Fraction(300)));
    assert_eq!((seen.tasks[0].finish_at, seen.tasks[0].estimated_finish_at), (None, None), "nobody knows");
    assert_eq!(serde_json::to_value(&seen).unwrap()["status"], "paused");
    s.apply(500, Command::ResumeQueue);
    let seen = task(&s, 510, "a");
    assert_eq!((seen.progress, seen.finish_at), (Some(Fraction(400)), Some(at(570))));
}

#[test]
fn recent_tasks_come_newest_first() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    s.advance(10);
    s.apply(12, cancel("c"));
    let seen = view(&s, 30);
    let recent: Vec<_> = seen.recent.iter().map(|ended| (ended.task_id.as_str(), ended.outcome)).collect();
    assert_eq!(recent, [("b", Outcome::Completed), ("c", Outcome::Cancelled), ("a", Outcome::Completed)]);
}

#[test]
fn pending_tasks_of_a_paused_queue_stand_as_they_would_start_after_it() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 100)]);
    s.apply(10, Command::PauseQueue);
    s.enqueue(
        20,
        [TaskSpec { not_before: Some(at(5_000)), priority: Priority::High, ..timed("late", 10) }, timed("b", 10)],
    );
    let names: Vec<_> = view(&s, 30).tasks.iter().map(|task| task.task_id.to_string()).collect();
    assert_eq!(names, ["a", "b", "late"], "what is more urgent, but not before later, comes later");
}
