//! `reportProgress`: milestones, refusals, and reports that need no commit.

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
        [
            "0 a queued",
            "0 a started",
            "25 a at 25 %",
            "50 a at 50 %",
            "75 a at 75 %",
            "100 a at 100 %",
            "100 a completed"
        ]
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
    assert_eq!(test.take_events(), ["9 a at 100 %", "9 a completed", "9 next started"]);
    assert_eq!(test.refuse(10, report("a", 100)), RejectionReason::UnknownTask);
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
fn a_report_sent_before_the_current_attempt_started_is_stale() {
    let mut test = TestQueue::new();
    test.enqueue(10, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
    let stale = |test: &mut TestQueue, name: &str, sent_at| match test
        .deliver(100, &delivery(name, sent_at, report("a", 50)))
    {
        (Verdict::Rejected(rejection), _) => Some(rejection.reason),
        _ => None,
    };
    assert_eq!(stale(&mut test, "c-9", 9), Some(RejectionReason::StaleReport));
    assert_eq!(stale(&mut test, "c-10", 10), None, "a report sent at the start is not stale");
    test.apply(20, fail("a"));
    test.advance(30);
    assert_eq!(test.task("a").started_at(), Some(at(25)));
    assert_eq!(stale(&mut test, "c-24", 24), Some(RejectionReason::StaleReport), "it belongs to the first attempt");
    assert_eq!(test.task("a").units_done, 0);
    assert_eq!(stale(&mut test, "c-25", 25), None);
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
    assert_eq!(
        test.take_events(),
        ["30 a at 100 %", "30 b at 75 %", "50 resumed after 40", "50 a completed", "50 next started"]
    );
}
