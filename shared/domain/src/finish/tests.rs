//! Completion, failure, retries, cancellation, and what follows from them.

use crate::{
    MAX_AMOUNT,
    command::Command,
    finished_tasks::REMEMBERED_TASKS,
    scenario::*,
    task::{MAX_RETRY_DELAY_MS, Outcome, TaskSpec},
};

#[test]
fn completion_credits_the_rewards_once() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { rewards: amounts([("gold", 3), ("wood", 2)]), ..timed("a", 10) }]);
    assert_eq!(s.gold(), 0);
    s.advance(10);
    s.advance(500);
    assert_eq!((s.gold(), s.queue.balances.get("wood")), (3, 2));
    assert_eq!(s.queue.totals.rewards, amounts([("gold", 3), ("wood", 2)]));
    assert_eq!(s.record("a").rewards, amounts([("gold", 3), ("wood", 2)]));
}

#[test]
fn the_record_of_a_completed_task_tells_all_of_it() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(9)));
    s.enqueue(2, [timed("first", 10), TaskSpec { costs: gold(4), rewards: gold(1), ..timed("a", 20) }]);
    s.advance(100);
    let record = s.record("a");
    assert_eq!((record.enqueued_at, record.started_at, record.finished_at), (at(2), Some(at(12)), at(32)));
    assert_eq!((record.outcome, record.attempts, record.time_spent_ms), (Outcome::Completed, 0, 20));
    assert_eq!((&record.costs, &record.rewards), (&gold(4), &gold(1)));
    assert!(record.refunded.is_empty() && record.lost.is_empty() && record.reason.is_none());
    assert_eq!(record.sort_key(), format!("{}#a", at(32)));
}

#[test]
fn a_reward_beyond_the_limit_is_lost_and_said_so() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(MAX_AMOUNT - 2)));
    s.enqueue(0, [TaskSpec { rewards: amounts([("gold", 5), ("wood", 1)]), ..timed("a", 10) }]);
    s.advance(10);
    let record = s.record("a");
    assert_eq!((&record.rewards, &record.lost), (&amounts([("gold", 2), ("wood", 1)]), &gold(3)));
    assert_eq!(s.gold(), MAX_AMOUNT);
    assert_eq!(s.queue.totals.rewards, amounts([("gold", 2), ("wood", 1)]), "credited is what was credited");
}

#[test]
fn a_refund_beyond_the_limit_is_lost_and_said_so() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    s.apply(1, grant(gold(MAX_AMOUNT - 2)));
    s.apply(2, cancel("a"));
    let record = s.record("a");
    assert_eq!((&record.costs, &record.refunded, &record.lost), (&gold(5), &gold(2), &gold(3)));
    assert_eq!(s.gold(), MAX_AMOUNT);
}

#[test]
fn a_failed_task_goes_back_keeps_its_place_and_starts_from_nothing() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { retry_delay_ms: 10, ..reported("a", 100) }, timed("b", 20), timed("c", 20)]);
    s.apply(4, report("a", 60));
    s.turn_the_page();
    s.apply(5, fail("a"));
    let task = s.task("a");
    assert_eq!((task.attempts, task.units_done, task.is_active()), (1, 0, false));
    assert_eq!(s.order(), ["a", "b", "c"]);
    s.advance(25);
    assert_eq!(
        s.story(),
        ["a failed 1 times, again from 15", "5 b started", "25 b completed", "25 a started"],
        "it holds nobody up while it waits, and goes before those behind it"
    );
    assert_eq!(s.queue.totals.failed, 0);
}

#[test]
fn the_time_spent_is_that_of_the_last_attempt() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { retry_delay_ms: 3, ..timed("a", 10) }]);
    s.apply(9, fail("a"));
    s.advance(100);
    let record = s.record("a");
    assert_eq!((record.started_at, record.finished_at, record.attempts), (Some(at(12)), at(22), 1));
    assert_eq!((record.time_spent_ms, s.queue.totals.time_spent_ms), (10, 10));
}

#[test]
fn a_retry_pays_no_costs_again() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(0, [TaskSpec { costs: gold(3), retry_delay_ms: 0, ..timed("a", 10) }]);
    assert_eq!(s.gold(), 2);
    s.apply(1, fail("a"));
    assert!(s.task("a").is_active(), "without a delay, and with 2 gold instead of 3, it starts at once");
    assert_eq!(s.gold(), 2);
    s.advance(100);
    assert_eq!((s.gold(), s.record("a").costs.get("gold")), (2, 3));
}

#[test]
fn the_delay_doubles_up_to_an_hour() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { max_retries: 10, retry_delay_ms: 10_000, ..timed("a", 86_400_000) }]);
    let mut now = 0;
    for (attempt, delay) in
        (1..).zip([10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 3_600_000])
    {
        s.apply(now, fail("a"));
        assert_eq!(s.task("a").not_before, Some(at(now + delay)), "attempt {attempt}");
        now += delay;
        s.advance(now);
        assert_eq!(s.task("a").started_at(), Some(at(now)));
    }
    s.apply(now, fail("a"));
    assert_eq!((s.record("a").outcome, s.record("a").attempts), (Outcome::Failed, 11));
}

#[test]
fn a_delay_of_an_hour_stays_an_hour_and_one_of_nothing_stays_nothing() {
    let mut s = Scenario::new();
    s.apply(0, Command::PauseQueue);
    let task = |name, retry_delay_ms| TaskSpec { retry_delay_ms, ..timed(name, 1) };
    s.enqueue(0, [task("hour", 3_600_000), task("none", 0)]);
    for attempts in 1..=10 {
        assert_eq!(s.task("hour").retry_delay(attempts), MAX_RETRY_DELAY_MS);
        assert_eq!(s.task("none").retry_delay(attempts), 0);
    }
}

#[test]
fn beyond_its_retries_a_task_is_failed_without_refund() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(0, [TaskSpec { costs: gold(5), max_retries: 1, retry_delay_ms: 0, ..timed("a", 10) }]);
    s.apply(1, fail("a"));
    s.apply(2, fail("a"));
    let record = s.record("a");
    assert_eq!((record.outcome, record.reason.as_deref(), record.attempts), (Outcome::Failed, Some("broken"), 2));
    assert_eq!((record.costs.get("gold"), record.refunded.is_empty()), (5, true));
    assert_eq!((s.gold(), s.queue.totals.failed, s.queue.totals.time_spent_ms), (0, 1, 0));
}

#[test]
fn a_task_without_retries_fails_at_once_and_makes_room() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { max_retries: 0, ..timed("a", 10) }, timed("b", 10)]);
    s.turn_the_page();
    s.apply(3, fail("a"));
    assert_eq!(s.story(), ["3 a failed: broken", "3 b started"]);
}

/// `b` waits for `a`, `c` for `b`, `d` for `free` and `c`; `other` for nobody.
fn family() -> [TaskSpec; 6] {
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
fn dependants_of_a_failed_task_are_cancelled_and_theirs_in_turn() {
    let mut s = Scenario::new();
    s.enqueue(0, family());
    s.apply(1, fail("a"));
    assert_eq!(s.order().len(), 6, "a retry cancels nobody");
    s.turn_the_page();
    s.apply(2, fail("a"));
    assert_eq!(
        s.story(),
        [
            "2 a failed: broken",
            "2 b cancelled: prerequisite_failed",
            "2 c cancelled: prerequisite_failed",
            "2 d cancelled: prerequisite_failed",
            "2 free started"
        ]
    );
    assert_eq!(s.order(), ["free", "other"]);
    assert_eq!((s.queue.totals.failed, s.queue.totals.cancelled), (1, 3));
}

#[test]
fn dependants_of_a_cancelled_task_are_cancelled_and_theirs_in_turn() {
    let mut s = Scenario::new();
    s.enqueue(0, family());
    s.turn_the_page();
    s.apply(2, cancel("b"));
    assert_eq!(
        s.story(),
        ["2 b cancelled: cancelled", "2 c cancelled: prerequisite_failed", "2 d cancelled: prerequisite_failed"]
    );
    assert_eq!(s.order(), ["a", "free", "other"]);
}

#[test]
fn a_task_that_waits_for_two_ended_ones_ends_once() {
    let mut s = Scenario::new();
    let after = |name, of| TaskSpec { prerequisites: ids([of]), ..timed(name, 5) };
    let both = TaskSpec { prerequisites: ids(["b", "c"]), ..timed("both", 5) };
    s.enqueue(0, [timed("a", 10), after("b", "a"), after("c", "a"), both]);
    s.apply(1, cancel("a"));
    assert_eq!((s.queue.totals.cancelled, s.queue.recent.len(), s.queue.tasks.len()), (4, 4, 0));
}

#[test]
fn a_cancelled_active_task_gets_its_costs_back_and_a_pending_one_has_paid_none() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(9)));
    s.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }, TaskSpec { costs: gold(4), ..timed("b", 10) }]);
    s.apply(3, cancel("b"));
    assert_eq!((s.gold(), s.record("b").costs.is_empty(), s.record("b").refunded.is_empty()), (4, true, true));
    s.apply(4, cancel("a"));
    assert_eq!((s.gold(), &s.record("a").refunded), (9, &gold(5)));
    assert_eq!(s.record("a").time_spent_ms, 4);
    assert_eq!(s.queue.totals.time_spent_ms, 0, "only completed tasks count there");
}

#[test]
fn a_cancelled_task_that_waits_for_its_retry_gets_its_costs_back_too() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    s.apply(3, fail("a"));
    assert!(!s.task("a").is_active());
    s.apply(4, cancel("a"));
    assert_eq!((s.gold(), s.record("a").started_at, s.record("a").time_spent_ms), (5, None, 0));
}

#[test]
fn a_refund_starts_a_task_that_waited_for_it() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    let task = |name| TaskSpec { costs: gold(5), ..timed(name, 10) };
    s.apply(0, slots(2));
    s.enqueue(0, [task("a"), task("b")]);
    s.turn_the_page();
    s.apply(4, cancel("a"));
    assert_eq!(s.story(), ["4 a cancelled: cancelled", "4 b started"]);
}

#[test]
fn the_last_64_finished_tasks_are_remembered() {
    let mut s = Scenario::new();
    s.apply(0, max_tasks(200));
    for n in 0..70 {
        s.enqueue(0, [timed(&format!("t-{n}"), 1)]);
    }
    s.advance(70);
    let remembered: Vec<_> = s.queue.recent.iter().map(|finished| finished.task_id.as_str().to_owned()).collect();
    let last: Vec<_> = (6..70).map(|n| format!("t-{n}")).collect();
    assert_eq!((remembered, last.len()), (last, REMEMBERED_TASKS));
    assert_eq!(s.queue.recent.iter().next().unwrap().finished_at, at(7));
}

#[test]
fn an_amount_of_nothing_costs_and_rewards_nothing() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { costs: gold(0), rewards: gold(0), ..timed("a", 10) }]);
    assert!(s.task("a").is_active());
    s.advance(10);
    assert_eq!((s.gold(), s.queue.totals.completed), (0, 1));
}
