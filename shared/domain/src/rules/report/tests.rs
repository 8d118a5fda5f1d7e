//! `reportProgress` and `completeTask`: milestones, refusals, and reports that need no commit.

use crate::{Command, RejectionReason, RequiredWrite, Verdict, task::TaskSpec, testing::*};

#[test]
fn only_milestones_need_a_commit() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    for (done, change) in [
        (1, RequiredWrite::Progress),
        (24, RequiredWrite::Progress),
        (25, RequiredWrite::Commit),
        (26, RequiredWrite::Progress),
        (49, RequiredWrite::Progress),
        (50, RequiredWrite::Commit),
        (74, RequiredWrite::Progress),
        (75, RequiredWrite::Commit),
        (99, RequiredWrite::Progress),
        (100, RequiredWrite::Commit),
    ] {
        assert_eq!(test.apply(done, report("a", done)), change, "{done}");
    }
    assert_eq!(
        test.take_events(),
        ["0 a queued", "0 a started", "25 a at 25 %", "50 a at 50 %", "75 a at 75 %", "100 a completed"]
    );
}

#[test]
fn a_report_across_several_milestones_has_one_event_for_the_last() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 3)]);
    test.clear_events();
    assert_eq!(test.apply(1, report("a", 2)), RequiredWrite::Commit);
    assert_eq!(test.take_events(), ["1 a at 50 %"]);
}

#[test]
fn a_report_of_all_units_or_more_completes_the_task_once() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { rewards: gold(7), ..reported("a", 100) }, timed("next", 5)]);
    test.clear_events();
    test.apply(9, report("a", 5_000));
    let record = test.record("a");
    assert_eq!((record.units_done, record.time_spent_ms), (100, 9));
    assert_eq!(test.take_events(), ["9 a completed", "9 next started"]);
    assert_eq!((test.gold(), test.queue.totals.completed), (7, 1));
}

#[test]
fn a_report_of_fewer_units_is_applied_and_changes_nothing() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, report("a", 60));
    test.clear_events();
    for lower in [60, 59, 10, 0] {
        assert_eq!(test.apply(2, report("a", lower)), RequiredWrite::Nothing, "{lower}");
        assert_eq!(test.task("a").units_done, 60);
    }
    assert_eq!(test.take_events(), [""; 0]);
}

#[test]
fn a_report_needs_a_commit_if_something_came_due_before_it() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [reported("a", 100), timed("b", 10)]);
    assert_eq!(test.apply(9, report("a", 1)), RequiredWrite::Progress);
    assert_eq!(test.apply(10, report("a", 2)), RequiredWrite::Commit);
    assert_eq!(test.apply(10, report("a", 1)), RequiredWrite::Nothing);
}

#[test]
fn the_first_refusal_reason_in_order_is_given() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("active", 10)]);
    test.enqueue(0, [timed("timed", 10), reported("pending", 10)]);
    assert_eq!(test.refuse(1, report("never", 1)), RejectionReason::UnknownTask);
    assert_eq!(
        test.refuse(1, report("timed", 1)),
        RejectionReason::NotReportedWork,
        "it is pending too, but that reason comes later"
    );
    assert_eq!(test.refuse(1, report("pending", 1)), RejectionReason::TaskNotActive);
}

#[test]
fn a_late_report_for_a_completed_task_is_applied_and_needs_no_write() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { rewards: gold(7), ..reported("a", 100) }]);
    test.apply(9, report("a", 100));
    test.clear_events();
    for late in [report("a", 100), report("a", 1), report_in(1, "a", 100), report_in(7, "a", 100)] {
        assert_eq!(test.apply(10, late), RequiredWrite::Nothing);
    }
    assert_eq!((test.gold(), test.queue.totals.completed), (7, 1));
    assert_eq!(test.take_events(), [""; 0]);
}

/// The reason for which a command is refused that is sent and delivered at these times.
fn refusal(test: &mut TestQueue, sent_ms: u64, now_ms: u64, command: Command) -> Option<RejectionReason> {
    let name = format!("c-{sent_ms}-{now_ms}-{command:?}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    match test.deliver(now_ms, &delivery(&name[..name.len().min(128)], sent_ms, command)).0 {
        Verdict::Rejected(rejection) => Some(rejection.reason),
        Verdict::Applied => None,
        duplicate => panic!("{duplicate:?}"),
    }
}

#[test]
fn nothing_is_stale_during_the_first_attempt() {
    let mut test = TestQueue::new();
    test.enqueue(10, [reported("a", 100)]);
    assert_eq!(refusal(&mut test, 3, 10, report("a", 10)), None, "sent before the task was queued");
    test.advance(50);
    assert_eq!(refusal(&mut test, 9, 20, report("a", 20)), None, "the clock of the process is behind the queue");
    assert_eq!(test.task("a").units_done, 20);
    assert_eq!(refusal(&mut test, 1, 60, fail("a")), None);
    assert_eq!(test.task("a").attempts, 1);
}

#[test]
fn without_an_attempt_a_command_sent_before_a_later_attempt_started_is_stale() {
    for command in [report("a", 50), fail("a")] {
        let mut test = TestQueue::new();
        test.enqueue(10, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
        test.apply(20, fail("a"));
        test.advance(30);
        assert_eq!(test.task("a").started_at(), Some(at(25)));
        let before = test.task("a").clone();
        let stale = Some(RejectionReason::StaleReport);
        assert_eq!(refusal(&mut test, 24, 100, command.clone()), stale, "it belongs to the first attempt");
        assert_eq!(test.task("a"), &before);
        assert_eq!(refusal(&mut test, 25, 100, command), None);
    }
}

#[test]
fn a_command_that_names_another_attempt_is_stale_whenever_it_was_sent() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
    for (attempt, expected) in [(2, Some(RejectionReason::StaleReport)), (1, None)] {
        assert_eq!(refusal(&mut test, 9, 9, report_in(attempt, "a", 10)), expected);
    }
    assert_eq!(refusal(&mut test, 10, 10, fail_in(2, "a")), Some(RejectionReason::StaleReport));
    assert_eq!(refusal(&mut test, 10, 10, fail_in(1, "a")), None);
    test.advance(15);
    for attempt in [1, 3, u64::MAX] {
        assert_eq!(refusal(&mut test, 99, 99, report_in(attempt, "a", 10)), Some(RejectionReason::StaleReport));
        assert_eq!(refusal(&mut test, 99, 99, fail_in(attempt, "a")), Some(RejectionReason::StaleReport));
    }
    assert_eq!(refusal(&mut test, 3, 99, report_in(2, "a", 10)), None, "the attempt decides, not the time");
}

#[test]
fn an_attempt_is_compared_after_the_other_refusals() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("active", 10)]);
    test.enqueue(0, [timed("timed", 10), reported("pending", 10)]);
    assert_eq!(test.refuse(1, report_in(7, "never", 1)), RejectionReason::UnknownTask);
    assert_eq!(test.refuse(1, report_in(7, "timed", 1)), RejectionReason::NotReportedWork);
    assert_eq!(test.refuse(1, report_in(7, "pending", 1)), RejectionReason::TaskNotActive);
    assert_eq!(test.refuse(1, fail_in(7, "pending")), RejectionReason::TaskNotActive);
    assert_eq!(test.refuse(1, report_in(7, "active", 1)), RejectionReason::StaleReport);
}

#[test]
fn a_report_during_a_retry_delay_is_refused() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(5, fail("a"));
    assert_eq!(test.refuse(6, report("a", 50)), RejectionReason::TaskNotActive);
}

#[test]
fn reports_during_a_pause_are_kept_and_full_tasks_complete_at_the_resume() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [reported("a", 100), reported("b", 100), timed("next", 5)]);
    test.apply(10, Command::PauseQueue);
    test.clear_events();
    assert_eq!(test.apply(20, report("a", 10)), RequiredWrite::Progress);
    assert_eq!(test.apply(30, report("a", 100)), RequiredWrite::Commit);
    assert_eq!(test.apply(30, report("b", 99)), RequiredWrite::Commit);
    assert!(test.task("a").is_active() && test.task("a").is_full());
    assert_eq!(test.apply(35, report("a", 100)), RequiredWrite::Nothing);
    test.apply(50, Command::ResumeQueue);
    assert_eq!(test.record("a").time_spent_ms, 10, "the pause does not count");
    assert_eq!(test.take_events(), ["30 a at 75 %", "30 b at 75 %", "50 resumed", "50 a completed", "50 next started"]);
}

#[test]
fn a_completion_completes_a_task_whatever_its_units() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { rewards: gold(7), ..reported("a", 100) }, timed("next", 5)]);
    test.apply(5, report("a", 30));
    assert_eq!(test.apply(9, complete("a", Some("{ \"score\": 7 }"))), RequiredWrite::Commit);
    let record = test.record("a");
    assert_eq!((record.units_done, record.result.clone()), (100, Some(json("{\"score\":7}"))));
    assert_eq!((test.gold(), test.queue.totals.completed), (7, 1));
    assert!(test.task("next").is_active());
}

#[test]
fn a_completion_of_a_remembered_completed_task_changes_nothing() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, complete("a", Some("1")));
    test.clear_events();
    assert_eq!(test.apply(2, complete("a", Some("2"))), RequiredWrite::Nothing);
    assert_eq!(test.take_events(), [""; 0]);
}

#[test]
fn completions_are_refused_for_the_same_reasons_as_reports() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 0, ..reported("a", 100) }, timed("b", 5), reported("c", 5)]);
    assert_eq!(test.refuse(1, complete("none", None)), RejectionReason::UnknownTask);
    assert_eq!(test.refuse(1, complete("b", None)), RejectionReason::NotReportedWork);
    assert_eq!(test.refuse(1, complete("c", None)), RejectionReason::TaskNotActive);
    let other_attempt = Command::CompleteTask { task_id: id("a"), attempt: Some(2), result: None };
    assert_eq!(test.refuse(1, other_attempt), RejectionReason::StaleReport);
    test.apply(2, fail("a"));
    let late = delivery("late", 1, complete("a", None));
    assert!(
        matches!(test.deliver(3, &late).0, Verdict::Rejected(refused) if refused.reason == RejectionReason::StaleReport)
    );
}

#[test]
fn a_completion_during_a_pause_takes_effect_on_resume() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, Command::PauseQueue);
    assert_eq!(test.apply(2, complete("a", Some("7"))), RequiredWrite::Commit);
    assert_eq!(test.queue.totals.completed, 0);
    test.apply(3, complete("a", None));
    test.apply(4, Command::ResumeQueue);
    assert_eq!((test.record("a").result.clone(), test.queue.totals.completed), (Some(json("7")), 1));
}

#[test]
fn a_result_of_a_failed_attempt_is_dropped() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..reported("a", 100) }]);
    test.apply(1, Command::PauseQueue);
    test.apply(2, complete("a", Some("7")));
    test.apply(3, fail("a"));
    assert_eq!(test.record("a").result, None);
}

#[test]
fn a_failure_that_excludes_a_retry_finishes_the_task_at_once() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 100)]);
    test.apply(1, fail_for_good("a"));
    let record = test.record("a");
    assert_eq!((record.attempts, record.reason.as_deref(), record.failures.len()), (1, Some("broken"), 1));
}

#[test]
fn the_last_three_failures_are_kept_with_clipped_reasons() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 0, max_retries: 9, ..reported("a", 100) }]);
    for attempt in 1..=5 {
        let reason = format!("{attempt}{}", "ä".repeat(100));
        test.apply(attempt, Command::FailTask { task_id: id("a"), reason, attempt: None, retry: true });
    }
    let kept: Vec<_> = test.task("a").failures.iter().map(|failure| (failure.attempt, failure.reason.len())).collect();
    assert_eq!(kept, [(3, 127), (4, 127), (5, 127)]);
}
