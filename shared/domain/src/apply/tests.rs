//! Commands: when they take effect, what they do, and why they are refused.

mod enqueue;
mod inactivity;
mod pause;
mod reports;

use super::*;
use crate::scenario::*;

#[test]
fn a_command_takes_effect_when_it_was_sent_not_when_it_was_delivered() {
    let mut s = Scenario::new();
    s.deliver(50, &delivery("c", 20, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(s.story(), ["20 a queued", "20 a started"]);
    assert_eq!((s.queue.advanced_to, s.queue.active_at), (at(20), at(20)));
}

#[test]
fn a_command_never_takes_effect_before_advanced_to() {
    let mut s = Scenario::new();
    s.advance(30);
    s.deliver(50, &delivery("c", 20, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(s.story(), ["30 a queued", "30 a started"]);
}

#[test]
fn a_command_never_takes_effect_after_now() {
    let mut s = Scenario::new();
    s.deliver(50, &delivery("c", 90, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(s.story(), ["50 a queued", "50 a started"]);
}

#[test]
fn a_queue_ahead_of_this_servers_clock_does_not_go_back() {
    let mut s = Scenario::new();
    s.advance(100);
    s.deliver(50, &delivery("c", 40, Command::PauseQueue));
    assert_eq!(s.story(), ["100 paused"]);
}

#[test]
fn first_what_is_due_happens_then_the_command_then_slots_are_filled() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    s.turn_the_page();
    s.apply(20, set_priority("c", Priority::High));
    assert_eq!(s.story(), ["10 a completed", "10 b started", "20 b completed", "20 c started", "c is high"]);
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    s.turn_the_page();
    s.apply(5, cancel("a"));
    assert_eq!(s.story(), ["5 a cancelled: cancelled", "5 b started"], "the command makes room, then it is filled");
}

#[test]
fn a_command_that_comes_at_the_moment_a_task_ends_comes_too_late_for_it() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    assert_eq!(s.refuse(10, cancel("a")), RejectionReason::UnknownTask);
    assert_eq!(s.queue.totals.completed, 1);
}

#[test]
fn a_repeated_command_changes_nothing_not_even_the_time() {
    let mut s = Scenario::new();
    let command = delivery("c", 5, grant(gold(3)));
    assert_eq!(s.deliver(5, &command), (Verdict::Applied, Change::Decided));
    let before = s.queue.clone();
    assert_eq!(s.deliver(99, &command), (Verdict::Duplicate(None), Change::Nothing));
    assert_eq!(s.queue, before);
}

#[test]
fn a_refused_command_is_final_and_its_duplicate_carries_the_refusal() {
    let mut s = Scenario::new();
    let command = delivery("c", 5, cancel("a"));
    s.deliver(5, &command);
    s.enqueue(6, [timed("a", 10)]);
    assert_eq!(s.deliver(7, &command), (Verdict::Duplicate(Some(RejectionReason::UnknownTask)), Change::Nothing));
    assert_eq!(s.queue.tasks.len(), 1, "what would succeed now is refused for good");
}

#[test]
fn a_refused_command_still_lets_time_pass() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10)]);
    s.turn_the_page();
    assert_eq!(s.refuse(15, cancel("x")), RejectionReason::UnknownTask);
    assert_eq!(s.story(), ["10 a completed", "10 b started"]);
    assert_eq!(s.queue.active_at, at(15));
}

#[test]
fn what_is_sent_through_the_fifo_group_counts_once_and_only_forward() {
    let mut s = Scenario::new();
    let fifo = |name: &str, sequence, index| Delivery {
        position: Some(crate::FifoPosition { sequence, index }),
        ..delivery(name, 0, grant(gold(1)))
    };
    assert_eq!(s.deliver(0, &fifo("a", 7, 0)).0, Verdict::Applied);
    assert_eq!(s.deliver(0, &fifo("b", 7, 1)).0, Verdict::Applied, "the next command of the same message");
    assert_eq!(s.deliver(0, &fifo("c", 7, 1)).0, Verdict::Duplicate(None), "the same place under another name");
    assert_eq!(s.deliver(0, &fifo("d", 6, 9)).0, Verdict::Duplicate(None), "an earlier place");
    assert_eq!(s.deliver(0, &delivery("e", 0, grant(gold(1)))).0, Verdict::Applied, "no FIFO message has no place");
    assert_eq!(s.deliver(0, &fifo("f", 8, 0)).0, Verdict::Applied);
    assert_eq!(s.gold(), 4);
}

#[test]
fn the_commands_of_one_task_refuse_one_that_is_not_unfinished_here() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("done", 1)]);
    s.advance(1);
    for task in ["done", "never"] {
        for command in
            [report(task, 1), fail(task), cancel(task), set_priority(task, Priority::High), move_to_front(task)]
        {
            assert_eq!(s.refuse(2, command.clone()), RejectionReason::UnknownTask, "{command:?}");
        }
    }
}

#[test]
fn only_an_active_task_fails_and_only_a_pending_one_moves() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("active", 10), timed("pending", 10)]);
    assert_eq!(s.refuse(1, fail("pending")), RejectionReason::TaskNotActive);
    assert_eq!(s.refuse(1, move_to_front("active")), RejectionReason::TaskNotPending);
}

#[test]
fn a_higher_priority_pre_empts_nobody() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    s.turn_the_page();
    s.apply(2, set_priority("c", Priority::Critical));
    s.apply(3, set_priority("a", Priority::Low));
    assert!(s.task("a").is_active());
    s.advance(10);
    assert_eq!(s.story(), ["c is critical", "a is low", "10 a completed", "10 c started"]);
}

#[test]
fn a_priority_keeps_the_place_in_the_queue_order() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    s.apply(1, set_priority("b", Priority::Low));
    s.apply(1, set_priority("b", Priority::Normal));
    assert_eq!(s.order(), ["a", "b", "c"]);
}

#[test]
fn to_the_front_means_before_all_others_of_its_priority() {
    let mut s = Scenario::new();
    let high = |name| TaskSpec { priority: Priority::High, ..timed(name, 10) };
    s.enqueue(0, [high("active")]);
    s.enqueue(0, [timed("n-1", 1), high("h-1"), timed("n-2", 1), high("h-2"), timed("n-3", 1)]);
    s.apply(1, move_to_front("n-3"));
    assert_eq!(s.order(), ["active", "n-3", "n-1", "h-1", "n-2", "h-2"]);
    s.apply(1, move_to_front("h-2"));
    assert_eq!(s.order(), ["h-2", "active", "n-3", "n-1", "h-1", "n-2"]);
    s.advance(1_000);
    let starts: Vec<_> = s.story().into_iter().filter(|line| line.ends_with("started")).collect();
    assert_eq!(
        starts,
        ["0 active started", "10 h-2 started", "20 h-1 started", "30 n-3 started", "31 n-1 started", "32 n-2 started"]
    );
}

#[test]
fn clearing_cancels_all_in_queue_order_and_gives_costs_back() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(5)));
    s.enqueue(
        0,
        [
            TaskSpec { costs: gold(5), ..timed("paid", 10) },
            TaskSpec { costs: gold(9), ..timed("unpaid", 10) },
            TaskSpec { prerequisites: ids(["paid"]), ..timed("after", 10) },
        ],
    );
    assert_eq!(s.gold(), 0);
    s.turn_the_page();
    assert_eq!(s.apply(3, Command::ClearQueue), Change::Decided);
    assert_eq!((s.gold(), s.queue.totals.cancelled, s.queue.tasks.len()), (5, 3, 0));
    assert_eq!(
        s.story(),
        ["3 paid cancelled: queue_cleared", "3 unpaid cancelled: queue_cleared", "3 after cancelled: queue_cleared"]
    );
}

#[test]
fn a_grant_stops_at_the_limit_and_says_what_is_lost() {
    let mut s = Scenario::new();
    s.apply(0, grant(gold(crate::MAX_AMOUNT - 1)));
    s.turn_the_page();
    s.apply(0, grant(gold(4)));
    assert_eq!(s.story(), ["granted 4 gold, 3 lost"]);
    assert_eq!(s.gold(), crate::MAX_AMOUNT);
}

#[test]
fn a_grant_of_too_many_different_resources_is_refused_whole() {
    let mut s = Scenario::new();
    let names = |from: usize, to: usize| {
        (from..to).map(|n| (crate::ResourceName::new(&format!("r-{n}")).unwrap(), 1)).collect::<Resources>()
    };
    s.apply(0, grant(names(0, MAX_BALANCES)));
    let balances = s.queue.balances.clone();
    assert_eq!(s.refuse(0, grant(names(MAX_BALANCES - 1, MAX_BALANCES + 1))), RejectionReason::TooManyResources);
    assert_eq!(s.queue.balances, balances);
    s.apply(0, grant(names(0, 3)));
    assert_eq!(s.queue.balances.get("r-2"), 2);
}

#[test]
fn a_configuration_keeps_what_it_leaves_out() {
    let mut s = Scenario::new();
    s.apply(0, slots(4));
    s.apply(0, max_tasks(7));
    s.apply(0, Command::ConfigureQueue { slots: None, max_tasks: None });
    assert_eq!((s.queue.slots, s.queue.max_tasks), (4, 7));
}

#[test]
fn a_tick_does_what_is_due_and_writes_nothing_where_nothing_is() {
    let mut s = Scenario::new();
    s.enqueue(0, [timed("a", 10)]);
    let before = s.queue.clone();
    s.turn_the_page();
    assert_eq!(s.tick(9), Change::Nothing);
    assert_eq!((s.story().len(), &s.queue), (0, &before));
    assert_eq!(s.tick(25), Change::Decided);
    assert_eq!((s.queue.advanced_to, s.story().len()), (at(25), 1));
    assert_eq!(s.queue.active_at, at(0), "a tick is no sign of the player");
}
