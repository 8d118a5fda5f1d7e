//! When commands take effect, duplicates, ticks, and the commands without a module of their name.

use super::*;
use crate::{FifoPlace, FifoPosition, FifoQueueId, Priority, command::Sender, task::TaskSpec, testing::*};

#[test]
fn a_command_takes_effect_when_it_was_sent() {
    let mut test = TestQueue::new();
    test.deliver(50, &delivery("c", 20, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(test.take_events(), ["20 a queued", "20 a started"]);
    assert_eq!((test.queue.advanced_to, test.queue.active_at), (at(20), at(20)));
}

#[test]
fn a_command_never_takes_effect_before_advanced_to() {
    let mut test = TestQueue::new();
    test.advance(30);
    test.deliver(50, &delivery("c", 20, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(test.take_events(), ["30 a queued", "30 a started"]);
}

#[test]
fn a_command_never_takes_effect_after_now() {
    let mut test = TestQueue::new();
    test.deliver(50, &delivery("c", 90, Command::EnqueueTasks { tasks: vec![timed("a", 10)] }));
    assert_eq!(test.take_events(), ["50 a queued", "50 a started"]);
}

#[test]
fn a_queue_ahead_of_the_clock_does_not_go_back() {
    let mut test = TestQueue::new();
    test.advance(100);
    test.deliver(50, &delivery("c", 40, Command::PauseQueue));
    assert_eq!(test.take_events(), ["100 paused"]);
}

#[test]
fn due_moments_come_before_the_command_and_free_slots_after_it() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    test.clear_events();
    test.apply(20, set_priority("c", Priority::High));
    assert_eq!(test.take_events(), ["10 a completed", "10 b started", "20 b completed", "20 c started", "c is high"]);
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    test.clear_events();
    test.apply(5, cancel("a"));
    assert_eq!(
        test.take_events(),
        ["5 a cancelled: cancelled", "5 b started"],
        "the command frees the slot, then it is filled"
    );
}

#[test]
fn a_task_completes_before_a_command_of_the_same_moment() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    assert_eq!(test.refuse(10, cancel("a")), RejectionReason::UnknownTask);
    assert_eq!(test.queue.totals.completed, 1);
}

#[test]
fn a_duplicate_changes_nothing() {
    let mut test = TestQueue::new();
    let command = delivery("c", 5, grant(gold(3)));
    assert_eq!(test.deliver(5, &command), (Verdict::Applied, RequiredWrite::Commit));
    let before = test.queue.clone();
    assert_eq!(test.deliver(99, &command), (Verdict::Duplicate(None), RequiredWrite::Nothing));
    assert_eq!(test.queue, before);
}

#[test]
fn the_duplicate_of_a_refused_command_has_the_same_reason() {
    let mut test = TestQueue::new();
    let command = delivery("c", 5, cancel("a"));
    test.deliver(5, &command);
    test.enqueue(6, [timed("a", 10)]);
    assert_eq!(
        test.deliver(7, &command),
        (Verdict::Duplicate(Some(RejectionReason::UnknownTask)), RequiredWrite::Nothing)
    );
    assert_eq!(test.queue.tasks.len(), 1, "the command would succeed now, but is refused for good");
}

#[test]
fn a_refused_command_advances_the_queue() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10)]);
    test.clear_events();
    assert_eq!(test.refuse(15, cancel("x")), RejectionReason::UnknownTask);
    assert_eq!(test.take_events(), ["10 a completed", "10 b started"]);
    assert_eq!(test.queue.active_at, at(15));
}

#[test]
fn fifo_positions_detect_duplicates() {
    let mut test = TestQueue::new();
    let fifo = |name: &str, sequence, index| Delivery {
        fifo: Some(FifoPlace { queue: FifoQueueId::of("q"), position: FifoPosition { sequence, index } }),
        ..delivery(name, 0, grant(gold(1)))
    };
    assert_eq!(test.deliver(0, &fifo("a", 7, 0)).0, Verdict::Applied);
    assert_eq!(test.deliver(0, &fifo("b", 7, 1)).0, Verdict::Applied, "the next command of the same message");
    assert_eq!(test.deliver(0, &fifo("c", 7, 1)).0, Verdict::Duplicate(None), "the same position with another id");
    assert_eq!(test.deliver(0, &fifo("d", 6, 9)).0, Verdict::Duplicate(None), "an earlier position");
    assert_eq!(
        test.deliver(0, &delivery("e", 0, grant(gold(1)))).0,
        Verdict::Applied,
        "no position, so the id decides"
    );
    assert_eq!(test.deliver(0, &fifo("f", 8, 0)).0, Verdict::Applied);
    assert_eq!(test.gold(), 4);
}

#[test]
fn the_same_id_from_the_player_and_from_a_trusted_sender_names_two_commands() {
    let mut test = TestQueue::new();
    let trusted = delivery("c", 0, grant(gold(3)));
    let by_player = Delivery { sender: Sender::Player, ..delivery("c", 0, Command::PauseQueue) };
    assert_eq!(test.deliver(0, &by_player).0, Verdict::Applied);
    assert_eq!(test.deliver(0, &trusted).0, Verdict::Applied);
    assert_eq!(test.deliver(0, &by_player).0, Verdict::Duplicate(None));
    assert_eq!(test.deliver(0, &trusted).0, Verdict::Duplicate(None));
    assert_eq!(test.gold(), 3);
}

#[test]
fn commands_for_a_finished_or_unknown_task_are_refused() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("done", 1)]);
    test.advance(1);
    for task in ["done", "never"] {
        for command in [fail(task), cancel(task), set_priority(task, Priority::High), move_to_front(task)] {
            assert_eq!(test.refuse(2, command.clone()), RejectionReason::UnknownTask, "{command:?}");
        }
    }
    assert_eq!(test.refuse(2, report("never", 1)), RejectionReason::UnknownTask);
}

#[test]
fn a_report_for_a_failed_or_cancelled_task_is_refused() {
    let mut test = TestQueue::new();
    test.apply(0, slots(2));
    test.enqueue(0, [TaskSpec { max_retries: 0, ..reported("failed", 9) }, reported("cancelled", 9)]);
    test.apply(1, fail("failed"));
    test.apply(1, cancel("cancelled"));
    for task in ["failed", "cancelled"] {
        assert_eq!(test.refuse(2, report(task, 1)), RejectionReason::UnknownTask, "{task}");
    }
}

#[test]
fn an_id_that_failed_and_then_completed_counts_as_completed() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { max_retries: 0, ..reported("a", 5) }]);
    test.apply(1, fail("a"));
    test.enqueue(2, [reported("a", 5)]);
    test.apply(3, report("a", 5));
    assert_eq!(test.send(4, report("a", 5)), (Verdict::Applied, RequiredWrite::Nothing));
    assert_eq!(test.refuse_tasks(4, [timed("a", 5)]), RejectionReason::DuplicateTask);
    test.enqueue(4, [TaskSpec { prerequisites: ids(["a"]), ..timed("b", 5) }]);
    assert!(test.task("b").is_active());
}

#[test]
fn fail_task_needs_an_active_task_and_move_to_front_a_pending_one() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("active", 10), timed("pending", 10)]);
    assert_eq!(test.refuse(1, fail("pending")), RejectionReason::TaskNotActive);
    assert_eq!(test.refuse(1, move_to_front("active")), RejectionReason::TaskNotPending);
}

#[test]
fn a_higher_priority_preempts_no_active_task() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    test.clear_events();
    test.apply(2, set_priority("c", Priority::Critical));
    test.apply(3, set_priority("a", Priority::Low));
    assert!(test.task("a").is_active());
    test.advance(10);
    assert_eq!(test.take_events(), ["c is critical", "a is low", "10 a completed", "10 c started"]);
}

#[test]
fn a_new_priority_keeps_the_queue_order() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10), timed("b", 10), timed("c", 10)]);
    test.apply(1, set_priority("b", Priority::Low));
    test.apply(1, set_priority("b", Priority::Normal));
    assert_eq!(test.order(), ["a", "b", "c"]);
}

#[test]
fn move_to_front_moves_before_all_others_of_the_priority() {
    let mut test = TestQueue::new();
    let high = |name| TaskSpec { priority: Priority::High, ..timed(name, 10) };
    test.enqueue(0, [high("active")]);
    test.enqueue(0, [timed("n-1", 1), high("h-1"), timed("n-2", 1), high("h-2"), timed("n-3", 1)]);
    test.apply(1, move_to_front("n-3"));
    assert_eq!(test.order(), ["active", "n-3", "n-1", "h-1", "n-2", "h-2"]);
    test.apply(1, move_to_front("h-2"));
    assert_eq!(test.order(), ["h-2", "active", "n-3", "n-1", "h-1", "n-2"]);
    test.advance(1_000);
    let starts: Vec<_> = test.take_events().into_iter().filter(|line| line.ends_with("started")).collect();
    assert_eq!(
        starts,
        ["0 active started", "10 h-2 started", "20 h-1 started", "30 n-3 started", "31 n-1 started", "32 n-2 started"]
    );
}

#[test]
fn clear_queue_cancels_in_queue_order_and_refunds_costs() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(
        0,
        [
            TaskSpec { costs: gold(5), ..timed("paid", 10) },
            TaskSpec { costs: gold(9), ..timed("unpaid", 10) },
            TaskSpec { prerequisites: ids(["paid"]), ..timed("after", 10) },
        ],
    );
    assert_eq!(test.gold(), 0);
    test.clear_events();
    assert_eq!(test.apply(3, Command::ClearQueue), RequiredWrite::Commit);
    assert_eq!((test.gold(), test.queue.totals.cancelled, test.queue.tasks.len()), (5, 3, 0));
    assert_eq!(
        test.take_events(),
        ["3 paid cancelled: queue_cleared", "3 unpaid cancelled: queue_cleared", "3 after cancelled: queue_cleared"]
    );
}

#[test]
fn a_grant_stops_at_the_limit_and_reports_what_is_lost() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(crate::MAX_AMOUNT - 1)));
    test.clear_events();
    test.apply(0, grant(gold(4)));
    assert_eq!(test.take_events(), ["granted 1 gold, 3 lost"]);
    assert_eq!(test.gold(), crate::MAX_AMOUNT);
}

#[test]
fn a_balance_of_zero_is_not_stored() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(0)));
    assert!(test.queue.balances.is_empty());
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), rewards: amounts([("wood", 0)]), ..timed("a", 10) }]);
    assert!(test.queue.balances.is_empty(), "the costs took all");
    test.advance(10);
    assert!(test.queue.balances.is_empty() && test.queue.totals.rewards.is_empty());
}

#[test]
fn configure_queue_keeps_absent_limits() {
    let mut test = TestQueue::new();
    test.apply(0, slots(4));
    test.apply(0, max_tasks(7));
    test.apply(0, Command::ConfigureQueue { slots: None, max_tasks: None });
    assert_eq!((test.queue.slots, test.queue.max_tasks), (4, 7));
}

#[test]
fn a_tick_needs_a_commit_only_if_something_is_due() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 10)]);
    let before = test.queue.clone();
    test.clear_events();
    assert_eq!(test.tick(9), RequiredWrite::Nothing);
    assert_eq!((test.take_events().len(), &test.queue), (0, &before));
    assert_eq!(test.tick(25), RequiredWrite::Commit);
    assert_eq!((test.queue.advanced_to, test.take_events().len()), (at(25), 1));
    assert_eq!(test.queue.active_at, at(0), "a tick is no activity of the player");
}
