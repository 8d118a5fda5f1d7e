//! Queues of inactive players: paused where something would still be due, and not for the rest.

use crate::{
    apply::Change,
    command::Command,
    scenario::*,
    task::{Outcome, TaskSpec},
};

/// A queue whose task waits for 5000, where queues are paused after 2400 ms without a command.
fn waiting() -> Scenario {
    let mut s = Scenario::pausing_after(2_400);
    s.enqueue(0, [timed("a", 10), TaskSpec { not_before: Some(at(5_000)), ..timed("b", 10) }]);
    s.turn_the_page();
    s
}

#[test]
fn an_inactive_queue_is_paused_at_its_moment_whenever_somebody_looks() {
    let (mut late, mut often) = (waiting(), waiting());
    assert_eq!(late.due_at(), Some(at(10)));
    late.tick(9_000);
    for ms in [10, 2_399, 2_400, 4_000, 9_000] {
        often.advance(ms);
    }
    assert_eq!(late.queue, often.queue);
    assert_eq!(late.story(), ["10 a completed", "2400 paused"]);
    assert_eq!((late.queue.paused_at, late.due_at()), (Some(at(2_400)), None), "and it leaves the due index");
}

#[test]
fn the_pause_is_due_itself() {
    let mut s = waiting();
    s.tick(10);
    assert_eq!(s.due_at(), Some(at(2_400)), "the task is due later");
    assert_eq!(s.tick(2_399), Change::Nothing);
    assert_eq!(s.tick(2_400), Change::Decided);
    assert_eq!(s.tick(1_000_000), Change::Nothing);
}

#[test]
fn a_resume_ends_it_and_begins_the_time_anew() {
    let mut s = waiting();
    s.tick(2_500);
    s.turn_the_page();
    s.apply(3_000, Command::ResumeQueue);
    assert_eq!((s.story(), s.due_at()), (vec!["3000 resumed after 600".to_owned()], Some(at(5_000))));
    s.advance(20_000);
    assert_eq!(s.story(), ["5000 b started", "5010 b completed"]);
}

#[test]
fn a_command_meets_the_queue_paused_and_other_commands_leave_it_so() {
    let mut s = waiting();
    s.enqueue(3_000, [timed("c", 10)]);
    assert_eq!(s.story(), ["10 a completed", "2400 paused", "3000 c queued"]);
    s.advance(100_000);
    assert_eq!(s.queue.tasks.len(), 2);
}

#[test]
fn what_is_due_at_the_moment_itself_still_happens() {
    let mut s = Scenario::pausing_after(2_400);
    s.apply(0, slots(2));
    s.enqueue(0, [timed("a", 2_400), timed("b", 2_401), timed("c", 5)]);
    s.turn_the_page();
    s.advance(9_000);
    assert_eq!(s.story(), ["2400 a completed", "2400 c started", "2400 paused"]);
    s.apply(9_000, Command::ResumeQueue);
    s.advance(9_005);
    let last = s.queue.recent.iter().map(|task| (task.task_id.to_string(), task.finished_at, task.outcome));
    let completed = Outcome::Completed;
    assert_eq!(
        last.collect::<Vec<_>>(),
        [("a", at(2_400)), ("b", at(9_001)), ("c", at(9_005))].map(|(id, at)| (id.to_owned(), at, completed))
    );
}

#[test]
fn a_queue_with_nothing_due_is_left_alone() {
    let mut s = Scenario::pausing_after(2_400);
    s.enqueue(0, [timed("a", 10), reported("b", 4)]);
    s.advance(50_000);
    assert!(!s.queue.is_paused(), "nothing is due, so nothing has to stand still");
    s.turn_the_page();
    s.apply(60_000, report("b", 4));
    assert_eq!(s.story(), ["60000 b at 100 %", "60000 b completed"]);
}

#[test]
fn any_command_shows_that_the_player_is_active_and_a_tick_does_not() {
    for command in [grant(gold(1)), cancel("unknown"), Command::PauseQueue, report("a", 1)] {
        let mut s = Scenario::pausing_after(2_400);
        s.send(1_000, command.clone());
        assert_eq!(s.queue.active_at, at(1_000), "{command:?}");
        s.tick(2_000);
        assert_eq!(s.queue.active_at, at(1_000), "{command:?}");
    }
}

#[test]
fn mere_reports_show_it_too_and_are_written_for_it_now_and_then() {
    let mut s = Scenario::pausing_after(2_400);
    s.apply(0, slots(2));
    s.enqueue(0, [reported("a", 1_000_000), TaskSpec { not_before: Some(at(9_000)), ..timed("b", 10) }]);
    assert_eq!(s.apply(99, report("a", 1)), Change::Progress, "that says nothing new yet");
    assert_eq!((s.queue.active_at, s.due_at()), (at(0), Some(at(2_400))));
    assert_eq!(s.apply(100, report("a", 2)), Change::Decided);
    assert_eq!((s.queue.active_at, s.due_at()), (at(100), Some(at(2_500))));
    assert_eq!(s.apply(201, report("a", 2)), Change::Decided, "even where it reports nothing new");
    let mut written = 0;
    for ms in 202..=8_999 {
        written += u32::from(s.apply(ms, report("a", ms)) == Change::Decided);
    }
    assert!(!s.queue.is_paused());
    assert_eq!(written, (8_999 - 201) / 100);
}

#[test]
fn without_the_rule_nothing_is_paused_and_no_report_is_written() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("a", 1_000_000), TaskSpec { not_before: Some(at(9_000_000_000)), ..timed("b", 10) }]);
    assert_eq!(s.apply(8_000_000_000, report("a", 1)), Change::Progress);
    s.advance(8_999_999_999);
    assert!(!s.queue.is_paused());
}

#[test]
fn a_moment_before_the_queues_time_does_not_take_it_back() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), TaskSpec { not_before: Some(at(5_000)), ..timed("b", 10) }]);
    s.advance(4_000);
    s.rules = s.rules.pause_after_millis(100);
    s.turn_the_page();
    s.advance(4_001);
    assert_eq!(s.story(), ["4000 paused"], "the rule is newer than what has happened");
}
