//! `reportProgress`: milestones, refusals, and what is not worth a write.

use crate::{Verdict, apply::Change, command::Command, rejection::RejectionReason, scenario::*, task::TaskSpec};

#[test]
fn crossing_a_quarter_is_decided_and_what_lies_between_is_progress() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("a", 100)]);
    for (done, change) in [
        (1, Change::Progress),
        (24, Change::Progress),
        (25, Change::Decided),
        (26, Change::Progress),
        (49, Change::Progress),
        (50, Change::Decided),
        (74, Change::Progress),
        (75, Change::Decided),
        (99, Change::Progress),
        (100, Change::Decided),
    ] {
        assert_eq!(s.apply(done, report("a", done)), change, "{done}");
    }
    assert_eq!(
        s.story(),
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
fn a_report_that_crosses_several_milestones_names_the_last() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("a", 3)]);
    s.turn_the_page();
    assert_eq!(s.apply(1, report("a", 2)), Change::Decided);
    assert_eq!(s.story(), ["1 a at 50 %"]);
}

#[test]
fn a_report_of_all_units_or_more_completes_and_rewards_once() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { rewards: gold(7), ..reported("a", 100) }, timed("next", 5)]);
    s.turn_the_page();
    s.apply(9, report("a", 5_000));
    let record = s.record("a");
    assert_eq!((record.units_done, record.time_spent_ms), (100, 9));
    assert_eq!(s.story(), ["9 a at 100 %", "9 a completed", "9 next started"]);
    assert_eq!(s.refuse(10, report("a", 100)), RejectionReason::UnknownTask);
    assert_eq!((s.gold(), s.queue.totals.completed), (7, 1));
}

#[test]
fn a_report_of_no_more_than_is_done_is_applied_and_changes_nothing() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("a", 100)]);
    s.apply(1, report("a", 60));
    s.turn_the_page();
    for lower in [60, 59, 10, 0] {
        assert_eq!(s.apply(2, report("a", lower)), Change::Nothing, "{lower}");
        assert_eq!(s.task("a").units_done, 60);
    }
    assert_eq!(s.story(), [""; 0]);
}

#[test]
fn what_came_due_before_a_report_is_written_with_it() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.enqueue(0, [reported("a", 100), timed("b", 10)]);
    assert_eq!(s.apply(9, report("a", 1)), Change::Progress);
    assert_eq!(s.apply(10, report("a", 2)), Change::Decided);
    assert_eq!(s.apply(10, report("a", 1)), Change::Nothing);
}

#[test]
fn refusals_come_in_their_order() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("active", 10)]);
    s.enqueue(0, [timed("timed", 10), reported("pending", 10)]);
    assert_eq!(s.refuse(1, report("never", 1)), RejectionReason::UnknownTask);
    assert_eq!(
        s.refuse(1, report("timed", 1)),
        RejectionReason::NotReportedWork,
        "pending, and that is not said first"
    );
    assert_eq!(s.refuse(1, report("pending", 1)), RejectionReason::TaskNotActive);
}

#[test]
fn a_report_sent_before_the_current_attempt_started_is_stale() {
    let mut s = Scenario::new();
    s.enqueue(10, [TaskSpec { retry_delay_ms: 5, ..reported("a", 100) }]);
    let stale = |s: &mut Scenario, name: &str, sent_at| match s.deliver(100, &delivery(name, sent_at, report("a", 50)))
    {
        (Verdict::Rejected(rejection), _) => Some(rejection.reason),
        _ => None,
    };
    assert_eq!(stale(&mut s, "c-9", 9), Some(RejectionReason::StaleReport));
    assert_eq!(stale(&mut s, "c-10", 10), None, "the moment of the start is not before it");
    s.apply(20, fail("a"));
    s.advance(30);
    assert_eq!(s.task("a").started_at(), Some(at(25)));
    assert_eq!(stale(&mut s, "c-24", 24), Some(RejectionReason::StaleReport), "it speaks of the first attempt");
    assert_eq!(s.task("a").units_done, 0);
    assert_eq!(stale(&mut s, "c-25", 25), None);
}

#[test]
fn a_report_of_a_task_that_waits_for_its_retry_is_refused() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("a", 100)]);
    s.apply(5, fail("a"));
    assert_eq!(s.refuse(6, report("a", 50)), RejectionReason::TaskNotActive);
}

#[test]
fn reports_are_recorded_while_paused_and_a_full_task_completes_at_the_resume() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.enqueue(0, [reported("a", 100), reported("b", 100), timed("next", 5)]);
    s.apply(10, Command::PauseQueue);
    s.turn_the_page();
    assert_eq!(s.apply(20, report("a", 10)), Change::Progress);
    assert_eq!(s.apply(30, report("a", 100)), Change::Decided);
    assert_eq!(s.apply(30, report("b", 99)), Change::Decided);
    assert!(s.task("a").is_active() && s.task("a").is_full());
    assert_eq!(s.apply(35, report("a", 100)), Change::Nothing);
    s.apply(50, Command::ResumeQueue);
    assert_eq!(s.record("a").time_spent_ms, 10, "the pause is left out");
    assert_eq!(
        s.story(),
        ["30 a at 100 %", "30 b at 75 %", "50 resumed after 40", "50 a completed", "50 next started"]
    );
}
