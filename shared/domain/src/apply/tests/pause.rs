//! `pauseQueue` and `resumeQueue`: timed work stands still, nothing starts or completes.

use crate::{
    apply::Change,
    command::Command,
    scenario::*,
    task::{Outcome, TaskSpec},
};

#[test]
fn a_pause_moves_the_finish_by_its_length() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10)]);
    s.apply(4, Command::PauseQueue);
    s.advance(60);
    s.apply(104, Command::ResumeQueue);
    assert_eq!(s.task("a").finish_at(), Some(at(110)));
    s.turn_the_page();
    s.advance(200);
    assert_eq!(s.record("a").time_spent_ms, 10);
    assert_eq!(s.story(), ["110 a completed", "110 b started", "120 b completed"]);
    assert_eq!(s.queue.totals.time_spent_ms, 20);
}

#[test]
fn several_pauses_add_up() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    for pause in [2, 22, 42] {
        s.apply(pause, Command::PauseQueue);
        s.apply(pause + 18, Command::ResumeQueue);
    }
    s.advance(63);
    assert_eq!(s.queue.totals.completed, 0);
    s.advance(64);
    assert_eq!((s.queue.totals.completed, s.queue.totals.time_spent_ms), (1, 10));
}

#[test]
fn a_pause_at_the_finish_comes_too_late_and_one_just_before_does_not() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10)]);
    s.apply(10, Command::PauseQueue);
    assert_eq!((s.queue.totals.completed, s.task("b").started_at()), (1, Some(at(10))));
    s.apply(12, Command::ResumeQueue);
    s.apply(21, Command::PauseQueue);
    s.apply(1_000, Command::ResumeQueue);
    s.turn_the_page();
    s.advance(2_000);
    assert_eq!(s.story(), ["1001 b completed"]);
}

#[test]
fn pausing_twice_or_resuming_twice_has_no_effect() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    assert_eq!(s.apply(1, Command::ResumeQueue), Change::Decided);
    s.apply(5, Command::PauseQueue);
    s.turn_the_page();
    s.apply(8, Command::PauseQueue);
    assert_eq!((s.queue.paused_at, s.story().len()), (Some(at(5)), 0));
    s.apply(15, Command::ResumeQueue);
    s.apply(17, Command::ResumeQueue);
    assert_eq!(s.story(), ["15 resumed after 10"]);
    assert_eq!(s.task("a").finish_at(), Some(at(20)));
}

#[test]
fn nothing_starts_while_paused_and_everything_that_may_starts_at_the_resume() {
    let mut s = Scenario::new();
    s.apply(0, Command::PauseQueue);
    s.enqueue(5, [timed("a", 10), TaskSpec { not_before: Some(at(8)), ..timed("later", 10) }]);
    s.apply(6, slots(2));
    s.turn_the_page();
    s.advance(50);
    assert_eq!(s.story(), [""; 0]);
    s.apply(60, Command::ResumeQueue);
    assert_eq!(s.story(), ["60 resumed after 60", "60 a started", "60 later started"]);
    assert_eq!(s.task("a").finish_at(), Some(at(70)), "it was not active in the pause");
}

#[test]
fn an_active_task_fails_while_paused_and_is_retried_after_the_resume() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { retry_delay_ms: 7, ..timed("a", 10) }]);
    s.apply(4, Command::PauseQueue);
    s.turn_the_page();
    s.apply(20, fail("a"));
    s.advance(40);
    assert_eq!(s.story(), ["a failed 1 times, again from 27"]);
    s.apply(50, Command::ResumeQueue);
    s.advance(60);
    assert_eq!(s.story(), ["50 resumed after 46", "50 a started", "60 a completed"]);
}

#[test]
fn a_task_that_fails_for_good_while_paused_takes_its_dependants_along() {
    let mut s = Scenario::new();
    let after = TaskSpec { prerequisites: ids(["a"]), ..timed("after", 1) };
    s.enqueue(0, [TaskSpec { max_retries: 0, ..timed("a", 10) }, after, timed("other", 5)]);
    s.apply(4, Command::PauseQueue);
    s.turn_the_page();
    s.apply(20, fail("a"));
    assert_eq!(s.record("a").time_spent_ms, 4, "the work stood still since the pause began");
    assert_eq!(s.story(), ["20 a failed: broken", "20 after cancelled: prerequisite_failed"]);
    assert!(!s.task("other").is_active(), "a free slot stays free");
}

#[test]
fn a_task_is_cancelled_while_paused_and_its_costs_come_back_at_once() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }, timed("b", 10)]);
    s.apply(4, Command::PauseQueue);
    s.turn_the_page();
    s.apply(9, cancel("a"));
    assert_eq!((s.gold(), s.record("a").outcome), (5, Outcome::Cancelled));
    assert_eq!(s.record("a").time_spent_ms, 4);
    s.apply(9, Command::ClearQueue);
    assert_eq!(s.story(), ["9 a cancelled: cancelled", "9 b cancelled: queue_cleared"]);
    assert!(s.queue.is_paused(), "an empty queue is still paused");
}
