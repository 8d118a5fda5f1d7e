//! `pauseQueue` and `resumeQueue`.

use crate::{
    Command, RequiredWrite,
    task::{Outcome, TaskSpec},
    testing::*,
};

#[test]
fn a_pause_moves_the_finish_by_its_length() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10)]);
    test.apply(4, Command::PauseQueue);
    test.advance(60);
    test.apply(104, Command::ResumeQueue);
    assert_eq!(test.task("a").finish_at(), Some(at(110)));
    test.clear_events();
    test.advance(200);
    assert_eq!(test.record("a").time_spent_ms, 10);
    assert_eq!(test.take_events(), ["110 a completed", "110 b started", "120 b completed"]);
    assert_eq!(test.queue.totals.time_spent_ms, 20);
}

#[test]
fn several_pauses_add_up() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    for pause in [2, 22, 42] {
        test.apply(pause, Command::PauseQueue);
        test.apply(pause + 18, Command::ResumeQueue);
    }
    test.advance(63);
    assert_eq!(test.queue.totals.completed, 0);
    test.advance(64);
    assert_eq!((test.queue.totals.completed, test.queue.totals.time_spent_ms), (1, 10));
}

#[test]
fn a_pause_stops_a_task_only_before_its_finish() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10)]);
    test.apply(10, Command::PauseQueue);
    assert_eq!((test.queue.totals.completed, test.task("b").started_at()), (1, Some(at(10))));
    test.apply(12, Command::ResumeQueue);
    test.apply(21, Command::PauseQueue);
    test.apply(1_000, Command::ResumeQueue);
    test.clear_events();
    test.advance(2_000);
    assert_eq!(test.take_events(), ["1001 b completed"]);
}

#[test]
fn pausing_twice_or_resuming_twice_has_no_effect() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    assert_eq!(test.apply(1, Command::ResumeQueue), RequiredWrite::Commit);
    test.apply(5, Command::PauseQueue);
    test.clear_events();
    test.apply(8, Command::PauseQueue);
    assert_eq!((test.queue.paused_at, test.take_events().len()), (Some(at(5)), 0));
    test.apply(15, Command::ResumeQueue);
    test.apply(17, Command::ResumeQueue);
    assert_eq!(test.take_events(), ["15 resumed"]);
    assert_eq!(test.task("a").finish_at(), Some(at(20)));
}

#[test]
fn eligible_tasks_start_at_the_resume() {
    let mut test = TestQueue::new();
    test.apply(0, Command::PauseQueue);
    test.enqueue(5, [timed("a", 10), TaskSpec { not_before: Some(at(8)), ..timed("later", 10) }]);
    test.apply(6, slots(2));
    test.clear_events();
    test.advance(50);
    assert_eq!(test.take_events(), [""; 0]);
    test.apply(60, Command::ResumeQueue);
    assert_eq!(test.take_events(), ["60 resumed", "60 a started", "60 later started"]);
    assert_eq!(test.task("a").finish_at(), Some(at(70)), "it was not active during the pause");
}

#[test]
fn a_task_that_fails_during_a_pause_is_retried_after_it() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 7, ..timed("a", 10) }]);
    test.apply(4, Command::PauseQueue);
    test.clear_events();
    test.apply(20, fail("a"));
    test.advance(40);
    assert_eq!(test.take_events(), ["a failed 1 times, again from 27"]);
    test.apply(50, Command::ResumeQueue);
    test.advance(60);
    assert_eq!(test.take_events(), ["50 resumed", "50 a started", "60 a completed"]);
}

#[test]
fn a_task_that_fails_for_good_during_a_pause_cancels_its_dependants() {
    let mut test = TestQueue::new();
    let after = TaskSpec { prerequisites: ids(["a"]), ..timed("after", 1) };
    test.enqueue(0, [TaskSpec { max_retries: 0, ..timed("a", 10) }, after, timed("other", 5)]);
    test.apply(4, Command::PauseQueue);
    test.clear_events();
    test.apply(20, fail("a"));
    assert_eq!(test.record("a").time_spent_ms, 4, "work stands still from the beginning of the pause");
    assert_eq!(test.take_events(), ["20 a failed: broken", "20 after cancelled: prerequisite_failed"]);
    assert!(!test.task("other").is_active(), "nothing starts during a pause");
}

#[test]
fn a_cancellation_during_a_pause_refunds_at_once() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }, timed("b", 10)]);
    test.apply(4, Command::PauseQueue);
    test.clear_events();
    test.apply(9, cancel("a"));
    assert_eq!((test.gold(), test.record("a").outcome), (5, Outcome::Cancelled));
    assert_eq!(test.record("a").time_spent_ms, 4);
    test.apply(9, Command::ClearQueue);
    assert_eq!(test.take_events(), ["9 a cancelled: cancelled", "9 b cancelled: queue_cleared"]);
    assert!(test.queue.is_paused(), "an empty queue is still paused");
}
