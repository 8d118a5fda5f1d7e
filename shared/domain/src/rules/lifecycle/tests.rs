//! Completion, failure, retries and cancellation.

use crate::{
    Command, MAX_AMOUNT,
    finished_tasks::REMEMBERED_TASKS,
    task::{MAX_RETRY_DELAY_MS, Outcome, TaskSpec},
    testing::*,
};

#[test]
fn completion_credits_the_rewards_once() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { rewards: amounts([("gold", 3), ("wood", 2)]), ..timed("a", 10) }]);
    assert_eq!(test.gold(), 0);
    test.advance(10);
    test.advance(500);
    assert_eq!((test.gold(), test.queue.balances.get("wood")), (3, 2));
    assert_eq!(test.queue.totals.rewards, amounts([("gold", 3), ("wood", 2)]));
    assert_eq!(test.record("a").rewards, amounts([("gold", 3), ("wood", 2)]));
}

#[test]
fn the_history_record_of_a_completed_task_is_complete() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(9)));
    test.enqueue(2, [timed("first", 10), TaskSpec { costs: gold(4), rewards: gold(1), ..timed("a", 20) }]);
    test.advance(100);
    let record = test.record("a");
    assert_eq!((record.enqueued_at, record.started_at, record.finished_at), (at(2), Some(at(12)), at(32)));
    assert_eq!((record.outcome, record.attempts, record.time_spent_ms), (Outcome::Completed, 0, 20));
    assert_eq!((&record.costs, &record.rewards), (&gold(4), &gold(1)));
    assert!(record.refunded.is_empty() && record.lost.is_empty() && record.reason.is_none());
    assert_eq!(record.sort_key(), format!("{}#000000000002", at(32)), "the second task that has finished");
}

#[test]
fn a_task_id_that_ends_twice_in_a_millisecond_has_two_history_rows() {
    let mut test = TestQueue::new();
    test.enqueue(5, [TaskSpec { max_retries: 0, ..timed("a", 10) }]);
    test.apply(5, fail("a"));
    let failed = test.record("a").sort_key();
    test.clear_events();
    test.enqueue(5, [timed("a", 10)]);
    test.apply(5, cancel("a"));
    let cancelled = test.record("a").sort_key();
    assert!(failed < cancelled, "{failed} and {cancelled}");
}

#[test]
fn a_reward_beyond_the_limit_is_recorded_as_lost() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(MAX_AMOUNT - 2)));
    test.enqueue(0, [TaskSpec { rewards: amounts([("gold", 5), ("wood", 1)]), ..timed("a", 10) }]);
    test.advance(10);
    let record = test.record("a");
    assert_eq!((&record.rewards, &record.lost), (&amounts([("gold", 2), ("wood", 1)]), &gold(3)));
    assert_eq!(test.gold(), MAX_AMOUNT);
    assert_eq!(
        test.queue.totals.rewards,
        amounts([("gold", 2), ("wood", 1)]),
        "the totals count only what was credited"
    );
}

#[test]
fn a_refund_beyond_the_limit_is_recorded_as_lost() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    test.apply(1, grant(gold(MAX_AMOUNT - 2)));
    test.apply(2, cancel("a"));
    let record = test.record("a");
    assert_eq!((&record.costs, &record.refunded, &record.lost), (&gold(5), &gold(2), &gold(3)));
    assert_eq!(test.gold(), MAX_AMOUNT);
}

#[test]
fn a_failed_task_keeps_its_place_and_starts_again_from_zero() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 10, ..reported("a", 100) }, timed("b", 20), timed("c", 20)]);
    test.apply(4, report("a", 60));
    test.clear_events();
    test.apply(5, fail("a"));
    let task = test.task("a");
    assert_eq!((task.attempts, task.units_done, task.is_active()), (1, 0, false));
    assert_eq!(test.order(), ["a", "b", "c"]);
    test.advance(25);
    assert_eq!(
        test.take_events(),
        ["a failed 1 times, again from 15", "5 b started", "25 b completed", "25 a started"],
        "it does not hold up others, and starts before later tasks"
    );
    assert_eq!(test.queue.totals.failed, 0);
}

#[test]
fn the_time_spent_counts_only_the_last_attempt() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { retry_delay_ms: 3, ..timed("a", 10) }]);
    test.apply(9, fail("a"));
    test.advance(100);
    let record = test.record("a");
    assert_eq!((record.started_at, record.finished_at, record.attempts), (Some(at(12)), at(22), 1));
    assert_eq!((record.time_spent_ms, test.queue.totals.time_spent_ms), (10, 10));
}

#[test]
fn a_retry_pays_no_costs_again() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(3), retry_delay_ms: 0, ..timed("a", 10) }]);
    assert_eq!(test.gold(), 2);
    test.apply(1, fail("a"));
    assert!(test.task("a").is_active(), "without a delay it starts at once, although 2 gold do not cover 3");
    assert_eq!(test.gold(), 2);
    test.advance(100);
    assert_eq!((test.gold(), test.record("a").costs.get("gold")), (2, 3));
}

#[test]
fn the_retry_delay_doubles_up_to_an_hour() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 10, retry_delay_ms: 10_000, ..timed("a", 86_400_000) }]);
    let mut now = 0;
    for (attempt, delay) in
        (1..).zip([10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 3_600_000])
    {
        test.apply(now, fail("a"));
        assert_eq!(test.task("a").not_before, Some(at(now + delay)), "attempt {attempt}");
        now += delay;
        test.advance(now);
        assert_eq!(test.task("a").started_at(), Some(at(now)));
    }
    test.apply(now, fail("a"));
    assert_eq!((test.record("a").outcome, test.record("a").attempts), (Outcome::Failed, 11));
}

#[test]
fn retry_delays_of_an_hour_and_of_zero_stay_the_same() {
    let mut test = TestQueue::new();
    test.apply(0, Command::PauseQueue);
    let task = |name, retry_delay_ms| TaskSpec { retry_delay_ms, ..timed(name, 1) };
    test.enqueue(0, [task("hour", 3_600_000), task("none", 0)]);
    for attempts in 1..=10 {
        assert_eq!(test.task("hour").retry_delay(attempts), MAX_RETRY_DELAY_MS);
        assert_eq!(test.task("none").retry_delay(attempts), 0);
    }
}

#[test]
fn a_task_without_retries_left_fails_without_a_refund() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), max_retries: 1, retry_delay_ms: 0, ..timed("a", 10) }]);
    test.apply(1, fail("a"));
    test.apply(2, fail("a"));
    let record = test.record("a");
    assert_eq!((record.outcome, record.reason.as_deref(), record.attempts), (Outcome::Failed, Some("broken"), 2));
    assert_eq!((record.costs.get("gold"), record.refunded.is_empty()), (5, true));
    assert_eq!((test.gold(), test.queue.totals.failed, test.queue.totals.time_spent_ms), (0, 1, 0));
}

#[test]
fn a_task_with_zero_retries_fails_at_once_and_frees_its_slot() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..timed("a", 10) }, timed("b", 10)]);
    test.clear_events();
    test.apply(3, fail("a"));
    assert_eq!(test.take_events(), ["3 a failed: broken", "3 b started"]);
}

/// `b` waits for `a`, `c` for `b`, `d` for `free` and `c`. `a`, `free` and `other` wait for
/// nothing.
fn dependent_tasks() -> [TaskSpec; 6] {
    let after = |name, of| TaskSpec { prerequisites: ids([of]), ..timed(name, 5) };
    [
        TaskSpec { max_retries: 1, retry_delay_ms: 0, ..timed("a", 10) },
        after("b", "a"),
        after("c", "b"),
        timed("free", 5),
        TaskSpec { prerequisites: ids(["free", "c"]), ..timed("d", 5) },
        timed("other", 5),
    ]
}

#[test]
fn dependants_of_a_failed_task_are_cancelled_recursively() {
    let mut test = TestQueue::new();
    test.enqueue(0, dependent_tasks());
    test.apply(1, fail("a"));
    assert_eq!(test.order().len(), 6, "a retry cancels no dependants");
    test.clear_events();
    test.apply(2, fail("a"));
    assert_eq!(
        test.take_events(),
        [
            "2 a failed: broken",
            "2 b cancelled: prerequisite_failed",
            "2 c cancelled: prerequisite_failed",
            "2 d cancelled: prerequisite_failed",
            "2 free started"
        ]
    );
    assert_eq!(test.order(), ["free", "other"]);
    assert_eq!((test.queue.totals.failed, test.queue.totals.cancelled), (1, 3));
}

#[test]
fn dependants_of_a_cancelled_task_are_cancelled_recursively() {
    let mut test = TestQueue::new();
    test.enqueue(0, dependent_tasks());
    test.clear_events();
    test.apply(2, cancel("b"));
    assert_eq!(
        test.take_events(),
        ["2 b cancelled: cancelled", "2 c cancelled: prerequisite_failed", "2 d cancelled: prerequisite_failed"]
    );
    assert_eq!(test.order(), ["a", "free", "other"]);
}

#[test]
fn a_task_with_two_cancelled_prerequisites_is_cancelled_once() {
    let mut test = TestQueue::new();
    let after = |name, of| TaskSpec { prerequisites: ids([of]), ..timed(name, 5) };
    let both = TaskSpec { prerequisites: ids(["b", "c"]), ..timed("both", 5) };
    test.enqueue(0, [timed("a", 10), after("b", "a"), after("c", "a"), both]);
    test.apply(1, cancel("a"));
    assert_eq!((test.queue.totals.cancelled, test.queue.finished_tasks.len(), test.queue.tasks.len()), (4, 4, 0));
}

#[test]
fn cancellation_refunds_only_costs_that_were_paid() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(9)));
    test.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }, TaskSpec { costs: gold(4), ..timed("b", 10) }]);
    test.apply(3, cancel("b"));
    assert_eq!((test.gold(), test.record("b").costs.is_empty(), test.record("b").refunded.is_empty()), (4, true, true));
    test.apply(4, cancel("a"));
    assert_eq!((test.gold(), &test.record("a").refunded), (9, &gold(5)));
    assert_eq!(test.record("a").time_spent_ms, 4);
    assert_eq!(test.queue.totals.time_spent_ms, 0, "only completed tasks count");
}

#[test]
fn cancellation_during_a_retry_delay_refunds_the_costs() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    test.apply(3, fail("a"));
    assert!(!test.task("a").is_active());
    test.apply(4, cancel("a"));
    assert_eq!((test.gold(), test.record("a").started_at, test.record("a").time_spent_ms), (5, None, 0));
}

#[test]
fn a_refund_starts_a_task_that_it_covers() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    let task = |name| TaskSpec { costs: gold(5), ..timed(name, 10) };
    test.apply(0, slots(2));
    test.enqueue(0, [task("a"), task("b")]);
    test.clear_events();
    test.apply(4, cancel("a"));
    assert_eq!(test.take_events(), ["4 a cancelled: cancelled", "4 b started"]);
}

#[test]
fn the_last_64_finished_tasks_are_remembered() {
    let mut test = TestQueue::new();
    test.apply(0, max_tasks(200));
    for n in 0..70 {
        test.enqueue(0, [timed(&format!("t-{n}"), 1)]);
    }
    test.advance(70);
    let remembered: Vec<_> =
        test.queue.finished_tasks.iter().map(|finished| finished.task_id.as_str().to_owned()).collect();
    let last: Vec<_> = (6..70).map(|n| format!("t-{n}")).collect();
    assert_eq!((remembered, last.len()), (last, REMEMBERED_TASKS));
    assert_eq!(test.queue.finished_tasks.iter().next().unwrap().finished_at, at(7));
}

#[test]
fn amounts_of_zero_cost_and_reward_nothing() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { costs: gold(0), rewards: gold(0), ..timed("a", 10) }]);
    assert!(test.task("a").is_active());
    test.advance(10);
    assert_eq!((test.gold(), test.queue.totals.completed), (0, 1));
}
