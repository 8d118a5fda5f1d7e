//! When inactivity pauses a queue, and what counts as activity.

use super::*;
use crate::{
    Command, RequiredWrite,
    task::{Outcome, TaskSpec},
    testing::*,
};

/// A queue whose second task runs from 10 to 5010, under the rule that 2400 ms of inactivity pause
/// it.
fn working() -> TestQueue {
    let mut test = TestQueue::pausing_after(2_400);
    test.enqueue(0, [timed("a", 10), timed("b", 5_000)]);
    test.clear_events();
    test
}

/// A timed task with a `notBefore`.
fn planned(task_id: &str, duration_ms: u64, not_before: u64) -> TaskSpec {
    TaskSpec { not_before: Some(at(not_before)), ..timed(task_id, duration_ms) }
}

#[test]
fn zero_days_and_the_default_mean_never() {
    let at = Timestamp::from_millis;
    let rules = Rules::default().pause_after_days(30);
    assert_eq!(rules.inactive_at(at(5)), Some(at(5 + 30 * DAY_MS)));
    assert!(!rules.renews_activity(at(0), at(30 * DAY_MS / 24 - 1)));
    assert!(rules.renews_activity(at(0), at(30 * DAY_MS / 24)));
    for never in [Rules::default(), rules.pause_after_days(0)] {
        assert_eq!(never.inactive_at(at(5)), None);
        assert!(!never.renews_activity(at(0), at(u64::MAX)));
    }
}

#[test]
fn an_inactive_queue_is_paused_at_the_same_moment_in_one_step_or_in_many() {
    let (mut one_step, mut many_steps) = (working(), working());
    assert_eq!(one_step.due_at(), Some(at(10)));
    one_step.tick(9_000);
    for ms in [10, 2_399, 2_400, 4_000, 9_000] {
        many_steps.advance(ms);
    }
    assert_eq!(one_step.queue, many_steps.queue);
    assert_eq!(one_step.take_events(), ["10 a completed", "10 b started", "2400 paused"]);
    assert_eq!((one_step.queue.paused_at, one_step.due_at()), (Some(at(2_400)), None), "it leaves the due index");
}

#[test]
fn the_pause_is_a_due_moment() {
    let mut test = working();
    test.tick(10);
    assert_eq!(test.due_at(), Some(at(2_400)), "the task is due later");
    assert_eq!(test.tick(2_399), RequiredWrite::Nothing);
    assert_eq!(test.tick(2_400), RequiredWrite::Commit);
    assert_eq!(test.tick(1_000_000), RequiredWrite::Nothing);
}

#[test]
fn a_resume_ends_the_pause_and_counts_as_activity() {
    let mut test = working();
    test.tick(2_500);
    test.clear_events();
    test.apply(3_000, Command::ResumeQueue);
    assert_eq!(test.take_events(), ["3000 resumed"]);
    assert_eq!(test.due_at(), Some(at(5_400)), "2400 ms after the resume");
    test.apply(5_000, grant(gold(1)));
    test.clear_events();
    test.advance(20_000);
    assert_eq!(test.take_events(), ["5610 b completed"]);
}

#[test]
fn other_commands_do_not_end_the_pause() {
    let mut test = working();
    test.enqueue(3_000, [timed("c", 10)]);
    assert_eq!(test.take_events(), ["10 a completed", "10 b started", "2400 paused", "3000 c queued"]);
    test.advance(100_000);
    assert_eq!(test.queue.tasks.len(), 2);
}

#[test]
fn tasks_due_at_the_moment_of_the_pause_complete_before_it() {
    let mut test = TestQueue::pausing_after(2_400);
    test.apply(0, slots(2));
    test.enqueue(0, [timed("a", 2_400), timed("b", 2_401), timed("c", 5)]);
    test.clear_events();
    test.advance(9_000);
    assert_eq!(test.take_events(), ["2400 a completed", "2400 c started", "2400 paused"]);
    test.apply(9_000, Command::ResumeQueue);
    test.advance(9_005);
    let finished = test.queue.finished_tasks.iter();
    let finished: Vec<_> = finished.map(|task| (task.task_id.to_string(), task.finished_at, task.outcome)).collect();
    let expected = [("a", at(2_400)), ("b", at(9_001)), ("c", at(9_005))];
    assert_eq!(finished, expected.map(|(id, at)| (id.to_owned(), at, Outcome::Completed)));
}

#[test]
fn a_queue_with_nothing_due_is_not_paused() {
    let mut test = TestQueue::pausing_after(2_400);
    test.enqueue(0, [timed("a", 10), reported("b", 4)]);
    test.advance(50_000);
    assert!(!test.queue.is_paused());
    test.clear_events();
    test.apply(60_000, report("b", 4));
    assert_eq!(test.take_events(), ["60000 b completed"]);
}

#[test]
fn a_task_that_waits_for_its_not_before_is_never_paused() {
    let mut test = TestQueue::pausing_after(2_400);
    test.enqueue(0, [timed("a", 10), planned("b", 1_000, 500_000)]);
    test.clear_events();
    assert_eq!(test.tick(10), RequiredWrite::Commit);
    assert_eq!(test.due_at(), Some(at(500_000)));
    test.advance(1_000_000);
    assert_eq!(test.take_events(), ["10 a completed", "500000 b started", "501000 b completed"]);
}

#[test]
fn while_a_task_waits_for_its_not_before_other_tasks_go_on() {
    let mut test = TestQueue::pausing_after(2_400);
    test.enqueue(0, [timed("a", 5_000), planned("b", 10, 8_000), timed("c", 5_000)]);
    test.clear_events();
    test.advance(1_000_000);
    // `b` waits for the slot from 8000 on, so its activity lasts until 10400.
    let before_the_pause = ["5000 a completed", "5000 c started", "10000 c completed", "10000 b started"];
    assert_eq!(test.take_events()[..4], before_the_pause);
    assert_eq!(test.queue.totals.completed, 3);
}

#[test]
fn inactivity_after_the_last_not_before_pauses_the_rest() {
    let mut test = TestQueue::pausing_after(2_400);
    test.enqueue(0, [planned("b", 10, 5_000), TaskSpec { not_before: Some(at(4_000)), ..timed("c", 20_000) }]);
    test.clear_events();
    let mut stepwise = test.clone();
    test.advance(1_000_000);
    let events = test.take_events();
    // `c` starts first and occupies the slot. The latest notBefore is 5000, that of `b`.
    assert_eq!(events, ["4000 c started", "7400 paused"]);
    (0..2_000).for_each(|step| stepwise.advance(step * 500));
    stepwise.advance(1_000_000);
    assert_eq!((stepwise.take_events(), stepwise.queue), (events, test.queue));
}

#[test]
fn any_command_counts_as_activity_and_a_tick_does_not() {
    for command in [grant(gold(1)), cancel("unknown"), Command::PauseQueue, report("a", 1)] {
        let mut test = TestQueue::pausing_after(2_400);
        test.send(1_000, command.clone());
        assert_eq!(test.queue.active_at, at(1_000), "{command:?}");
        test.tick(2_000);
        assert_eq!(test.queue.active_at, at(1_000), "{command:?}");
    }
}

#[test]
fn reports_between_milestones_count_as_activity_in_steps() {
    let mut test = TestQueue::pausing_after(2_400);
    test.apply(0, slots(2));
    test.enqueue(0, [reported("a", 1_000_000), timed("b", 9_000)]);
    assert_eq!(test.apply(99, report("a", 1)), RequiredWrite::Progress);
    assert_eq!((test.queue.active_at, test.due_at()), (at(0), Some(at(2_400))));
    assert_eq!(test.apply(100, report("a", 2)), RequiredWrite::Commit);
    assert_eq!((test.queue.active_at, test.due_at()), (at(100), Some(at(2_500))));
    assert_eq!(test.apply(201, report("a", 2)), RequiredWrite::Commit, "although it reports no further units");
    let mut commits = 0;
    for ms in 202..=8_999 {
        commits += u32::from(test.apply(ms, report("a", ms)) == RequiredWrite::Commit);
    }
    assert!(!test.queue.is_paused());
    assert_eq!(commits, (8_999 - 201) / 100);
}

#[test]
fn without_the_rule_no_queue_is_paused_and_reports_need_no_commit() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [reported("a", 1_000_000), timed("b", 80_000_000)]);
    assert_eq!(test.apply(70_000_000, report("a", 1)), RequiredWrite::Progress);
    test.advance(79_999_999);
    assert!(!test.queue.is_paused());
}

#[test]
fn a_moment_in_the_past_pauses_the_queue_as_of_now() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 5_000)]);
    test.advance(4_000);
    test.rules = test.rules.pause_after_millis(100);
    test.clear_events();
    test.advance(4_001);
    assert_eq!(test.take_events(), ["4000 paused"], "the rule is newer than the queue's time");
}
