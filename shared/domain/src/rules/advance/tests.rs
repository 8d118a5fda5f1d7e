//! Due moments, slots, and which task starts next.

use crate::{Command, Priority, task::TaskSpec, testing::*};

#[test]
fn the_next_task_starts_when_the_one_before_it_ended() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 20), timed("c", 30)]);
    test.clear_events();
    test.advance(1_000_000);
    assert_eq!(
        test.take_events(),
        ["10 a completed", "10 b started", "30 b completed", "30 c started", "60 c completed"]
    );
    assert_eq!(test.queue.advanced_to, at(1_000_000));
    assert_eq!(test.queue.totals.time_spent_ms, 60);
}

#[test]
fn a_task_completes_exactly_at_its_finish() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    assert_eq!(test.due_at(), Some(at(10)));
    test.clear_events();
    test.advance(9);
    assert_eq!(test.take_events(), [""; 0]);
    test.advance(10);
    assert_eq!(test.take_events(), ["10 a completed"]);
    assert_eq!(test.due_at(), None);
}

#[test]
fn advancing_to_an_earlier_time_changes_nothing() {
    let mut test = TestQueue::new();
    test.enqueue(50, [timed("a", 10)]);
    let before = test.queue.clone();
    test.advance(20);
    test.advance(50);
    assert_eq!(test.queue, before);
}

#[test]
fn tasks_due_at_the_same_moment_complete_in_queue_order() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 5), timed("d", 5)]);
    test.apply(0, move_to_front("d"));
    test.clear_events();
    test.advance(10);
    assert_eq!(test.take_events(), ["10 a completed", "10 b completed", "10 d started", "10 c started"]);
}

#[test]
fn the_slots_limit_the_active_tasks() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10), timed("d", 10)]);
    assert_eq!(test.queue.active_tasks(), 1, "one slot by default");
    test.clear_events();
    test.apply(4, slots(3));
    assert_eq!(test.take_events(), ["3 slots, 50 tasks", "4 b started", "4 c started"]);
    test.apply(5, slots(1));
    assert_eq!(test.queue.active_tasks(), 3, "fewer slots preempt no active task");
    test.clear_events();
    test.advance(14);
    assert_eq!(test.take_events(), ["10 a completed", "14 b completed", "14 c completed", "14 d started"]);
}

#[test]
fn tasks_start_by_priority_and_then_in_queue_order() {
    let mut test = TestQueue::new();
    let with = |name, priority| TaskSpec { priority, ..timed(name, 1) };
    test.enqueue(0, [timed("first", 1)]);
    test.enqueue(
        0,
        [
            with("low", Priority::Low),
            with("normal-1", Priority::Normal),
            with("high", Priority::High),
            with("normal-2", Priority::Normal),
            with("critical", Priority::Critical),
        ],
    );
    test.advance(100);
    let starts: Vec<_> = test.take_events().into_iter().filter(|line| line.contains("started")).collect();
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
fn the_best_task_of_one_command_starts_first() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 5), TaskSpec { priority: Priority::High, ..timed("b", 5) }]);
    assert_eq!(test.take_events(), ["0 a queued", "0 b queued", "0 b started"]);
}

#[test]
fn not_before_delays_only_its_own_task() {
    let mut test = TestQueue::new();
    let later = TaskSpec { not_before: Some(at(7)), priority: Priority::Critical, ..timed("later", 5) };
    test.enqueue(0, [later, timed("now", 3)]);
    test.clear_events();
    test.advance(100);
    assert_eq!(test.take_events(), ["3 now completed", "7 later started", "12 later completed"]);
}

#[test]
fn a_not_before_that_has_passed_delays_nothing() {
    let mut test = TestQueue::new();
    test.enqueue(9, [TaskSpec { not_before: Some(at(9)), ..timed("a", 5) }]);
    assert_eq!(test.take_events(), ["9 a queued", "9 a started"]);
}

#[test]
fn not_before_is_not_due_without_a_free_slot() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("long", 20), TaskSpec { not_before: Some(at(7)), ..timed("later", 5) }]);
    assert_eq!(test.due_at(), Some(at(20)));
    test.clear_events();
    test.advance(30);
    assert_eq!(test.take_events(), ["20 long completed", "20 later started", "25 later completed"]);
}

#[test]
fn not_before_is_not_due_if_the_task_also_waits_for_something_else() {
    let mut test = TestQueue::new();
    test.apply(0, slots(3));
    test.enqueue(
        0,
        [
            reported("open", 4),
            TaskSpec { not_before: Some(at(7)), prerequisites: ids(["open"]), ..timed("dependant", 1) },
            TaskSpec { not_before: Some(at(8)), costs: gold(1), ..timed("poor", 1) },
        ],
    );
    assert_eq!(test.due_at(), None);
    test.apply(3, grant(gold(1)));
    assert_eq!(test.due_at(), Some(at(8)));
}

#[test]
fn costs_are_deducted_at_the_start_and_uncovered_costs_hold_up_no_other_task() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    let dear = TaskSpec { costs: gold(6), priority: Priority::Critical, ..timed("dear", 10) };
    let cheap = TaskSpec { costs: gold(5), rewards: gold(8), ..timed("cheap", 10) };
    test.enqueue(0, [dear, cheap]);
    assert_eq!(test.gold(), 0);
    test.clear_events();
    test.advance(100);
    assert_eq!(test.take_events(), ["10 cheap completed", "10 dear started", "20 dear completed"]);
    assert_eq!(test.gold(), 2);
}

#[test]
fn a_grant_starts_a_task_at_the_time_of_the_grant() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { costs: gold(5), ..timed("a", 10) }]);
    test.apply(3, grant(gold(4)));
    assert!(!test.task("a").is_active());
    test.clear_events();
    test.apply(4, grant(gold(1)));
    assert_eq!(test.take_events(), ["granted 1 gold, 0 lost", "4 a started"]);
}

#[test]
fn two_tasks_do_not_spend_the_same_resources() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.apply(0, grant(gold(5)));
    let task = |name| TaskSpec { costs: gold(3), ..timed(name, 10) };
    test.enqueue(0, [task("a"), task("b")]);
    assert_eq!((test.queue.active_tasks(), test.gold()), (1, 2));
}

#[test]
fn a_task_starts_when_the_last_of_its_prerequisites_has_completed() {
    let mut test = TestQueue::new();
    test.apply(0, slots(3));
    let after = TaskSpec { prerequisites: ids(["a", "b"]), priority: Priority::Critical, ..timed("after", 1) };
    test.enqueue(0, [timed("a", 10), timed("b", 20), after]);
    test.clear_events();
    test.advance(100);
    assert_eq!(test.take_events(), ["10 a completed", "20 b completed", "20 after started", "21 after completed"]);
}

#[test]
fn a_forgotten_prerequisite_still_counts_as_completed() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    let after = TaskSpec { prerequisites: ids(["a", "open"]), ..timed("after", 1) };
    test.enqueue(0, [reported("open", 1), timed("a", 1), after]);
    for n in 0..70 {
        test.enqueue(2 + n, [timed(&format!("n-{n}"), 1)]);
    }
    test.advance(99);
    assert!(test.queue.finished_task(&id("a")).is_none(), "64 other tasks have finished since");
    test.clear_events();
    test.apply(100, report("open", 1));
    assert_eq!(test.take_events(), ["100 open completed", "100 after started"]);
}

#[test]
fn nothing_is_due_while_only_reported_work_is_active() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("open", 10), timed("behind", 5)]);
    assert_eq!(test.due_at(), None);
    test.clear_events();
    test.advance(1_000_000);
    assert_eq!(test.take_events(), [""; 0]);
}

#[test]
fn a_pause_has_no_due_moment_and_time_moves_on() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    test.apply(4, Command::PauseQueue);
    assert_eq!(test.due_at(), None);
    test.clear_events();
    test.advance(500);
    assert_eq!((test.take_events(), test.queue.advanced_to), (Vec::new(), at(500)));
}

#[test]
fn advancing_a_century_processes_only_due_moments() {
    let century = 100 * 365 * 86_400_000;
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 86_400_000), TaskSpec { not_before: Some(at(century)), ..timed("b", 1) }]);
    test.clear_events();
    test.advance(2 * century);
    assert_eq!(test.take_events().len(), 3);
    assert_eq!(test.queue.advanced_to, at(2 * century));
}

#[test]
fn advancing_ends_at_the_latest_time() {
    let mut test = TestQueue::new();
    test.enqueue(u64::MAX / 2, [timed("a", 10), timed("b", 10)]);
    test.advance(u64::MAX / 2);
    assert_eq!(test.queue.totals.completed, 2, "tasks complete although time cannot go on");
}
