//! Heartbeats and time-outs of reported work.

use crate::{Command, RequiredWrite, Work, record::ProgressRecord, task::TaskSpec, testing::*};

fn with_timeout(task_id: &str, heartbeat_ms: Option<u32>, timeout_ms: u32) -> TaskSpec {
    TaskSpec { work: Work::Units { units: 100, heartbeat_ms, timeout_ms: Some(timeout_ms) }, ..reported(task_id, 1) }
}

#[test]
fn an_attempt_without_a_report_fails_when_its_heartbeat_passes() {
    let mut test = TestQueue::new();
    test.enqueue(0, [with_heartbeat("a", 100, 1_000), timed("b", 5)]);
    assert_eq!(test.due_at(), Some(at(1_000)));
    test.clear_events();
    test.advance(999);
    assert_eq!(test.take_events(), [""; 0]);
    test.advance(5_000);
    let failure = &test.task("a").failures[0];
    assert_eq!((failure.attempt, failure.reason.as_str(), failure.at), (1, "heartbeat_lost", at(1_000)));
    assert_eq!(test.take_events()[1..3], ["1000 b started", "1005 b completed"]);
    assert_eq!(test.task("a").attempts, 2, "the second attempt started at 2000 and failed at 3000");
}

#[test]
fn any_report_renews_the_heartbeat_and_only_milestones_need_a_commit() {
    let mut test = TestQueue::new();
    test.enqueue(0, [with_heartbeat("a", 100, 1_000)]);
    assert_eq!(test.apply(900, report("a", 10)), RequiredWrite::Progress);
    assert_eq!(test.due_at(), Some(at(1_900)));
    assert_eq!(test.apply(1_800, report("a", 3)), RequiredWrite::Progress, "it raises nothing");
    assert_eq!(test.due_at(), Some(at(2_800)));
    assert_eq!(test.apply(1_800, report("a", 3)), RequiredWrite::Nothing, "the heartbeat is not later");
    assert_eq!(test.apply(2_700, report("a", 30)), RequiredWrite::Commit);
    assert_eq!(test.due_at(), Some(at(3_700)));
}

#[test]
fn a_report_at_the_deadline_is_too_late() {
    let mut test = TestQueue::new();
    test.enqueue(0, [with_heartbeat("a", 100, 1_000)]);
    test.refuse(1_000, report("a", 10));
    assert_eq!(test.task("a").attempts, 1);
}

#[test]
fn reports_do_not_prolong_the_timeout() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..with_timeout("a", Some(1_000), 1_500) }]);
    test.apply(900, report("a", 10));
    assert_eq!(test.due_at(), Some(at(1_500)));
    test.advance(9_000);
    let record = test.record("a");
    assert_eq!((record.reason.as_deref(), record.finished_at), (Some("timed_out"), at(1_500)));
    assert_eq!((record.time_spent_ms, record.failures.len()), (1_500, 1));
}

#[test]
fn an_attempt_that_misses_both_deadlines_at_once_has_timed_out() {
    let mut test = TestQueue::new();
    test.enqueue(0, [with_timeout("a", Some(1_000), 1_000)]);
    test.advance(1_000);
    assert_eq!(test.task("a").failures[0].reason, "timed_out");
}

#[test]
fn deadlines_move_by_the_length_of_a_pause() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [with_heartbeat("a", 100, 1_000), with_timeout("b", None, 1_200)]);
    test.apply(400, Command::PauseQueue);
    assert_eq!(test.due_at(), None);
    test.apply(10_400, Command::ResumeQueue);
    assert_eq!((test.due_at(), test.task("b").deadline().unwrap().0), (Some(at(11_000)), at(11_200)));
}

#[test]
fn a_report_during_a_pause_renews_the_heartbeat_as_of_its_beginning() {
    let mut test = TestQueue::new();
    test.enqueue(0, [with_heartbeat("a", 100, 1_000)]);
    test.apply(400, Command::PauseQueue);
    assert_eq!(test.apply(5_000, report("a", 10)), RequiredWrite::Progress);
    test.apply(10_400, Command::ResumeQueue);
    assert_eq!(test.due_at(), Some(at(11_400)));
}

#[test]
fn a_failed_attempt_cancels_earlier_tasks_that_wait_for_it() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    let hopeless = TaskSpec { max_retries: 0, ..with_heartbeat("a", 100, 1_000) };
    test.enqueue(0, [timed("first", 1_000), hopeless, TaskSpec { prerequisites: ids(["a"]), ..timed("b", 5) }]);
    test.apply(0, move_to_front("b"));
    test.clear_events();
    test.advance(1_000);
    assert_eq!(
        test.take_events(),
        ["1000 first completed", "1000 a failed: heartbeat_lost", "1000 b cancelled: prerequisite_failed"]
    );
}

#[test]
fn a_progress_row_renews_the_heartbeat_of_its_attempt_only() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 0, ..with_heartbeat("a", 100, 1_000) }]);
    let mut behind = test.clone();
    test.apply(900, report("a", 10));
    let progress = test.queue.progress();
    assert_eq!(progress.tasks[0].reported_ms, 900);

    // The row in the table does not have the report.
    assert_eq!((behind.queue.needs_progress_to_advance(at(999)), behind.due_at()), (false, Some(at(1_000))));
    assert!(behind.queue.needs_progress_to_advance(at(1_000)));
    behind.queue.merge_progress(&progress);
    assert_eq!((behind.queue.needs_progress_to_advance(at(1_000)), behind.due_at()), (false, Some(at(1_900))));
    assert_eq!(behind.queue.tasks, test.queue.tasks);

    behind.advance(1_900);
    let ProgressRecord { tasks, .. } = behind.queue.progress();
    assert_eq!((behind.task("a").attempts, tasks.len()), (1, 0), "the next attempt begins without a report");
    behind.queue.merge_progress(&progress);
    assert_eq!(behind.due_at(), Some(at(2_900)));
}
