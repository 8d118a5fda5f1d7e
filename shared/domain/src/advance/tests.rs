//! Time, slots, and who starts next.

use crate::{
    command::Command,
    scenario::*,
    task::{Priority, TaskSpec},
};

#[test]
fn the_next_task_starts_when_the_one_before_it_ended_not_when_somebody_looked() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 20), timed("c", 30)]);
    s.turn_the_page();
    s.advance(1_000_000);
    assert_eq!(s.story(), ["10 a completed", "10 b started", "30 b completed", "30 c started", "60 c completed"]);
    assert_eq!(s.queue.advanced_to, at(1_000_000));
    assert_eq!(s.queue.totals.time_spent_ms, 60);
}

#[test]
fn a_task_completes_at_its_finish_and_not_a_millisecond_before() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    assert_eq!(s.due_at(), Some(at(10)));
    s.turn_the_page();
    s.advance(9);
    assert_eq!(s.story(), [""; 0]);
    s.advance(10);
    assert_eq!(s.story(), ["10 a completed"]);
    assert_eq!(s.due_at(), None);
}

#[test]
fn advancing_to_an_earlier_time_changes_nothing() {
    let mut s = Scenario::new();
    s.enqueue(50, [timed("a", 10)]);
    let before = s.queue.clone();
    s.advance(20);
    s.advance(50);
    assert_eq!(s.queue, before);
}

#[test]
fn tasks_due_at_one_moment_complete_in_queue_order_and_then_free_slots_are_filled() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 5), timed("d", 5)]);
    s.apply(0, move_to_front("d"));
    s.turn_the_page();
    s.advance(10);
    assert_eq!(s.story(), ["10 a completed", "10 b completed", "10 d started", "10 c started"]);
}

#[test]
fn as_many_tasks_are_active_as_there_are_slots() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10), timed("d", 10)]);
    assert_eq!(s.queue.active(), 1, "one slot where nothing else is configured");
    s.turn_the_page();
    s.apply(4, slots(3));
    assert_eq!(s.story(), ["3 slots, 50 tasks", "4 b started", "4 c started"]);
    s.apply(5, slots(1));
    assert_eq!(s.queue.active(), 3, "fewer slots pre-empt nobody");
    s.turn_the_page();
    s.advance(14);
    assert_eq!(s.story(), ["10 a completed", "14 b completed", "14 c completed", "14 d started"]);
}

#[test]
fn the_highest_priority_starts_first_and_equals_start_in_queue_order() {
    let mut s = Scenario::new();
    let with = |name, priority| TaskSpec { priority, ..timed(name, 1) };
    s.enqueue(0, [timed("first", 1)]);
    s.enqueue(
        0,
        [
            with("low", Priority::Low),
            with("normal-1", Priority::Normal),
            with("high", Priority::High),
            with("normal-2", Priority::Normal),
            with("critical", Priority::Critical),
        ],
    );
    s.advance(100);
    let starts: Vec<_> = s.story().into_iter().filter(|line| line.contains("started")).collect();
    assert_eq!(
        starts,
        [
            "0 first started",
            "1 critical started",
            "2 high started",
            "3 normal-1 started",
            "4 normal-2 started",
            "5 low started"
        ]
    );
}

#[test]
fn the_best_of_one_command_starts_first() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 5), TaskSpec { priority: Priority::High, ..timed("b", 5) }]);
    assert_eq!(s.story(), ["0 a queued", "0 b queued", "0 b started"]);
}

#[test]
fn not_before_holds_the_task_and_nobody_else() {
    let mut s = Scenario::new();
    let later = TaskSpec { not_before: Some(at(7)), priority: Priority::Critical, ..timed("later", 5) };
    s.enqueue(0, [later, timed("now", 3)]);
    s.turn_the_page();
    s.advance(100);
    assert_eq!(s.story(), ["3 now completed", "7 later started", "12 later completed"]);
}

#[test]
fn a_not_before_that_has_passed_holds_nobody() {
    let mut s = Scenario::new();
    s.enqueue(9, [TaskSpec { not_before: Some(at(9)), ..timed("a", 5) }]);
    assert_eq!(s.story(), ["9 a queued", "9 a started"]);
}

#[test]
fn a_not_before_that_passes_while_no_slot_is_free_is_not_due() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("long", 20), TaskSpec { not_before: Some(at(7)), ..timed("later", 5) }]);
    assert_eq!(s.due_at(), Some(at(20)));
    s.turn_the_page();
    s.advance(30);
    assert_eq!(s.story(), ["20 long completed", "20 later started", "25 later completed"]);
}

#[test]
fn a_not_before_of_a_task_that_waits_for_something_else_is_not_due() {
    let mut s = Scenario::new();
    s.apply(0, slots(3));
    s.enqueue(
        0,
        [
            reported("open", 4),
            TaskSpec { not_before: Some(at(7)), prerequisites: ids(["open"]), ..timed("dependant", 1) },
            TaskSpec { not_before: Some(at(8)), costs: gold(1), ..timed("poor", 1) },
        ],
    );
    assert_eq!(s.due_at(), None);
    s.apply(3, grant(gold(1)));
    assert_eq!(s.due_at(), Some(at(8)));
}

#[test]
fn costs_are_deducted_at_the_start_and_what_is_not_covered_holds_nobody_up() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    let dear = TaskSpec { costs: gold(6), priority: Priority::Critical, ..timed("dear", 10) };
    let cheap = TaskSpec { costs: gold(5), rewards: gold(8), ..timed("cheap", 10) };
    s.enqueue(0, [dear, cheap]);
    assert_eq!(s.gold(), 0);
    s.turn_the_page();
    s.advance(100);
    assert_eq!(s.story(), ["10 cheap completed", "10 dear started", "20 dear completed"]);
    assert_eq!(s.gold(), 2);
}

#[test]
fn a_grant_starts_a_task_that_waited_for_it_at_the_grants_time() {
    let mut s = Scenario::new();
    s.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    s.apply(3, grant(gold(4)));
    assert!(!s.task("a").is_active());
    s.turn_the_page();
    s.apply(4, grant(gold(1)));
    assert_eq!(s.story(), ["granted 1 gold, 0 lost", "4 a started"]);
}

#[test]
fn two_tasks_do_not_spend_the_same_gold() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    s.apply(0, grant(gold(5)));
    let task = |name| TaskSpec { costs: gold(3), ..timed(name, 10) };
    s.enqueue(0, [task("a"), task("b")]);
    assert_eq!((s.queue.active(), s.gold()), (1, 2));
}

#[test]
fn a_task_starts_when_the_last_of_its_prerequisites_has_completed() {
    let mut s = Scenario::new();
    s.apply(0, slots(3));
    let after = TaskSpec { prerequisites: ids(["a", "b"]), priority: Priority::Critical, ..timed("after", 1) };
    s.enqueue(0, [timed("a", 10), timed("b", 20), after]);
    s.turn_the_page();
    s.advance(100);
    assert_eq!(s.story(), ["10 a completed", "20 b completed", "20 after started", "21 after completed"]);
}

#[test]
fn a_prerequisite_that_completed_and_was_forgotten_still_counts_as_completed() {
    let mut s = Scenario::new();
    s.apply(0, slots(2));
    let after = TaskSpec { prerequisites: ids(["a", "open"]), ..timed("after", 1) };
    s.enqueue(0, [reported("open", 1), timed("a", 1), after]);
    for n in 0..70 {
        s.enqueue(2 + n, [timed(&format!("n-{n}"), 1)]);
    }
    s.advance(99);
    assert!(s.queue.remembered(&id("a")).is_none(), "64 others have finished since");
    s.turn_the_page();
    s.apply(100, report("open", 1));
    assert_eq!(s.story(), ["100 open at 100 %", "100 open completed", "100 after started"]);
}

#[test]
fn nothing_is_due_while_only_reported_work_is_active() {
    let mut s = Scenario::new();
    s.enqueue(0, [reported("open", 10), timed("behind", 5)]);
    assert_eq!(s.due_at(), None);
    s.turn_the_page();
    s.advance(1_000_000);
    assert_eq!(s.story(), [""; 0]);
}

#[test]
fn nothing_is_due_while_paused_and_the_time_moves_on() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    s.apply(4, Command::PauseQueue);
    assert_eq!(s.due_at(), None);
    s.turn_the_page();
    s.advance(500);
    assert_eq!((s.story(), s.queue.advanced_to), (Vec::new(), at(500)));
}

#[test]
fn a_century_costs_no_more_than_what_is_due_in_it() {
    let century = 100 * 365 * 86_400_000;
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 86_400_000), TaskSpec { not_before: Some(at(century)), ..timed("b", 1) }]);
    s.turn_the_page();
    s.advance(2 * century);
    assert_eq!(s.story().len(), 3);
    assert_eq!(s.queue.advanced_to, at(2 * century));
}

#[test]
fn the_end_of_time_is_reached_once_and_left_by_nobody() {
    let mut s = Scenario::new();
    s.enqueue(u64::MAX / 2, [timed("a", 10), timed("b", 10)]);
    s.advance(u64::MAX / 2);
    assert_eq!(s.queue.totals.completed, 2, "the clock cannot go on, and yet nothing hangs");
}
