//! The limits of a queue: their reasons, how to get below them, and the sizes that they bound.

use super::*;
use crate::{
    Command, Event, EventData, JsonText, MAX_AMOUNT, Priority, ResourceName, Timestamp, Verdict, Work,
    attempt::{FailedAttempt, MAX_DEADLINE_MS, MAX_FAILURE_BYTES, MAX_KEPT_REASON},
    codec::{Outbox, encode},
    json_text::MAX_JSON_BYTES,
    queue::MAX_TOTALLED_RESOURCES,
    task::{MAX_RETRIES, MAX_RETRY_DELAY_MS, MAX_TASK_LIST, TaskState},
    testing::*,
    work::{MAX_DURATION_MS, MAX_UNITS},
};

/// Amounts of 1 of the resources `<prefix>-<from>` to `<prefix>-<to - 1>`, with names of `length`
/// characters.
fn names(prefix: &str, from: usize, to: usize, length: usize) -> Resources {
    let name = |n: usize| format!("{prefix}-{n:0width$}", width = length - prefix.len() - 1);
    (from..to).map(|n| (ResourceName::new(&name(n)).unwrap(), 1)).collect()
}

fn try_enqueue(test: &mut TestQueue, task: TaskSpec) -> Result<(), Rejection> {
    match test.send(0, Command::EnqueueTasks { tasks: vec![task] }).0 {
        Verdict::Applied => Ok(()),
        Verdict::Rejected(rejection) => Err(rejection),
        Verdict::Duplicate(_) => panic!("each command has its own id"),
    }
}

/// A task that waits for a resource which the player never gets, with 20 long names.
fn large_task(n: usize) -> TaskSpec {
    let costs = [&names("never", 0, 1, 40), &names("cost", 0, 19, 64)]
        .into_iter()
        .flat_map(|amounts| amounts.iter().map(|(name, amount)| (name.clone(), amount)))
        .collect();
    TaskSpec { costs, ..timed(&format!("t-{n}"), 1_000) }
}

/// Queues large tasks until one is refused, and returns how many fit.
fn fill_with_tasks(test: &mut TestQueue) -> (usize, Rejection) {
    test.apply(0, max_tasks(200));
    let mut fitting = 0;
    loop {
        match try_enqueue(test, large_task(fitting)) {
            Ok(()) => fitting += 1,
            Err(rejection) => return (fitting, rejection),
        }
    }
}

#[test]
fn too_many_tasks_are_a_full_queue() {
    let mut test = TestQueue::new();
    test.apply(0, max_tasks(1));
    test.enqueue(0, [timed("a", 10)]);
    let refused = try_enqueue(&mut test, timed("b", 10)).unwrap_err();
    assert_eq!(refused.reason, RejectionReason::QueueFull);
    assert!(refused.detail.contains("Finish or cancel tasks, or raise maxTasks"), "{}", refused.detail);
}

#[test]
fn tasks_of_too_many_bytes_are_too_large() {
    let mut test = TestQueue::new();
    let (fitting, refused) = fill_with_tasks(&mut test);
    assert_eq!(refused.reason, RejectionReason::QueueTooLarge);
    assert!(
        refused.detail.contains("Finish or cancel tasks, queue fewer at once, or give new ones shorter names"),
        "{}",
        refused.detail
    );
    assert!((25..100).contains(&fitting), "{fitting} tasks of 20 long names");
    assert_eq!(test.queue.tasks.len(), fitting);
    assert!(test.queue.task_bytes() <= MAX_TASK_BYTES);
    test.apply(0, cancel("t-0"));
    test.enqueue(0, [timed("small", 1)]);
    test.apply(0, cancel("small"));
    assert_eq!(try_enqueue(&mut test, large_task(fitting)), Ok(()));
}

#[test]
fn work_of_more_than_seven_days_is_too_long() {
    let mut test = TestQueue::new();
    let days = (0..8).map(|n| timed(&format!("t-{n}"), MAX_DURATION_MS)).collect();
    match test.send(0, Command::EnqueueTasks { tasks: days }).0 {
        Verdict::Rejected(refused) => {
            assert_eq!(refused.reason, RejectionReason::QueueTooLong);
            assert!(refused.detail.contains("or queue shorter ones"), "{}", refused.detail);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rewards_with_names_of_their_own_leave_a_queue_that_accepts_tasks() {
    let mut test = TestQueue::new();
    for n in 0..1_200 {
        let id = format!("t-{n}");
        let sword = names("sword", n, n + 1, 42);
        test.enqueue(n as u64, [TaskSpec { rewards: sword, ..timed(&id, 1) }]);
    }
    test.advance(1_300);
    assert_eq!((test.queue.totals.completed, test.queue.balances.len()), (1_200, 1_200));
    assert_eq!(test.queue.totals.rewards.len(), MAX_TOTALLED_RESOURCES, "only the first ones are totalled");
    test.enqueue(1_300, [TaskSpec { rewards: gold(1), ..timed("more", 1) }]);
    test.advance(1_400);
    assert_eq!((test.gold(), test.queue.totals.rewards.get("gold")), (1, 0));
    // A resource that is totalled stays so.
    test.enqueue(1_400, [TaskSpec { rewards: names("sword", 7, 8, 42), ..timed("again", 1) }]);
    test.advance(1_500);
    let (seventh, _) = names("sword", 7, 8, 42).iter().map(|(name, n)| (name.clone(), n)).next().unwrap();
    assert_eq!(test.queue.totals.rewards.get(seventh.as_str()), 2);
}

#[test]
fn a_grant_of_too_many_resources_is_refused_as_a_whole() {
    let mut test = TestQueue::new();
    let granted = |from, to| grant(names("r", from, to, 10));
    test.apply(0, granted(0, MAX_BALANCES));
    let balances = test.queue.balances.clone();
    assert_eq!(test.refuse(0, granted(MAX_BALANCES - 1, MAX_BALANCES + 1)), RejectionReason::TooManyResources);
    assert_eq!(test.queue.balances, balances);
    test.apply(0, granted(0, 3));
    assert_eq!(test.queue.balances.iter().nth(2).unwrap().1, 2);
    // Room for a new name is made by spending another one.
    test.enqueue(0, [TaskSpec { costs: names("r", 9, 10, 10), ..timed("spend", 1) }]);
    test.apply(0, grant(gold(1)));
}

#[test]
fn balances_that_take_the_room_are_too_many_resources_until_some_are_spent() {
    let mut test = TestQueue::new();
    let most = MAX_BALANCE_BYTES / (64 + 12);
    for from in (0..most).step_by(100) {
        test.apply(0, grant(names("r", from, most.min(from + 100), 64)));
    }
    let refused = match test.send(0, grant(names("s", 0, 20, 64))).0 {
        Verdict::Rejected(refused) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused.reason, RejectionReason::TooManyResources);
    assert!(refused.detail.contains("Spend some of them to 0"), "{}", refused.detail);
    let with_rewards = |name: &str, rewards| TaskSpec { rewards, ..reported(name, 1) };
    let refused = try_enqueue(&mut test, with_rewards("new", names("s", 0, 20, 64))).unwrap_err();
    assert_eq!(refused.reason, RejectionReason::TooManyResources);
    // What rewards nothing new is accepted, so that balances can be spent.
    test.enqueue(0, [with_rewards("held", names("r", 0, 20, 64))]);
    test.apply(0, slots(2));
    test.enqueue(0, [TaskSpec { costs: names("r", 20, 40, 64), max_retries: 0, ..reported("spend", 1) }]);
    let refused = try_enqueue(&mut test, with_rewards("new", names("s", 0, 20, 64))).unwrap_err();
    assert_eq!(refused.reason, RejectionReason::TooManyResources, "a cancellation would refund the costs");
    test.apply(0, report("spend", 1));
    assert_eq!(try_enqueue(&mut test, with_rewards("new", names("s", 0, 20, 64))), Ok(()));
}

/// The largest amounts of 20 resources.
fn full_amounts(prefix: &str) -> Resources {
    names(prefix, 0, MAX_TASK_LIST, 64).iter().map(|(name, _)| (name.clone(), MAX_AMOUNT)).collect()
}

fn full_json() -> JsonText {
    json(&format!("\"{}\"", "x".repeat(MAX_JSON_BYTES - 2)))
}

/// An active task whose names and numbers are as long as they can be.
fn longest_task(n: usize, work: Work) -> Task {
    let spec = TaskSpec {
        kind: "k".repeat(64).parse().unwrap(),
        priority: Priority::Critical,
        work,
        not_before: Some(Timestamp::from_millis(u64::MAX)),
        payload: Some(full_json()),
        costs: full_amounts("cost"),
        rewards: full_amounts("reward"),
        max_retries: MAX_RETRIES as u8,
        retry_delay_ms: MAX_RETRY_DELAY_MS as u32,
        ..timed(&format!("{n:0128}"), 1)
    };
    Task {
        units_done: if work.is_reported() { MAX_UNITS - 1 } else { 0 },
        attempts: MAX_RETRIES as u8,
        paid: true,
        state: TaskState::Active {
            started_at: at(0),
            paused_ms: 253_402_300_799_999,
            reported_ms: 253_402_300_799_999,
        },
        result: work.is_reported().then(full_json),
        ..Task::new(&spec, Vec::new(), at(0))
    }
}

/// Such tasks with all amounts, and with prerequisites only.
fn longest_tasks() -> Vec<Task> {
    let deadline = Some(MAX_DEADLINE_MS as u32);
    let works = [
        Work::Units { units: MAX_UNITS, heartbeat_ms: deadline, timeout_ms: deadline },
        Work::DurationMs(MAX_DURATION_MS),
    ];
    let prerequisites = || (0..MAX_TASK_LIST).map(|n| id(&format!("{n:0128}"))).collect();
    let tasks = works.map(|work| longest_task(77, work));
    let without_amounts = tasks.clone().map(|task| Task {
        costs: Resources::new(),
        rewards: Resources::new(),
        open_prerequisites: prerequisites(),
        ..task
    });
    [tasks, without_amounts].concat()
}

/// A queue of the player with the longest id, in which no amount can be credited any more.
fn full_queue() -> Queue {
    let mut queue = Queue::new("p".repeat(128).parse().unwrap(), at(0));
    queue.totals.completed = u64::from(u32::MAX);
    queue.balances.add_all(&full_amounts("cost"));
    queue.balances.add_all(&full_amounts("reward"));
    queue
}

#[test]
fn no_unfinished_task_takes_more_bytes_than_estimated() {
    for task in longest_tasks() {
        let empty = full_queue();
        let queue = Queue { tasks: vec![task.clone()], ..empty.clone() };
        let bytes = encode(&queue).len() - encode(&empty).len();
        assert!(bytes <= task.size_estimate(), "{bytes} of {}", task.size_estimate());
    }
}

#[test]
fn no_end_of_a_task_takes_more_bytes_in_the_outbox_than_estimated() {
    for task in longest_tasks() {
        for queue in [full_queue(), Queue { balances: Resources::new(), ..full_queue() }] {
            for is_completed in [true, false] {
                let first = Task { costs: Resources::new(), ..longest_task(3, task.work) };
                let waiting = Task { open_prerequisites: vec![first.id.clone()], ..task.clone() };
                let mut queue = Queue { tasks: vec![first, waiting], ..queue.clone() };
                let mut events = Vec::new();
                match is_completed {
                    true => queue.complete(1, at(u64::MAX / 2), &mut events),
                    // The longest reason is that of a task which waits for one that was cancelled.
                    false => queue.cancel(0, at(u64::MAX / 2), &mut events),
                }
                let is_end = |event: &Event| matches!(event.data, EventData::TaskFinished(_));
                let mut ended = events.into_iter().rev().find(is_end).expect("the task has ended");
                ended.sequence = u64::MAX;
                for publishes in [false, true] {
                    let mut outbox = Outbox::default();
                    let before = encode(&outbox).len();
                    outbox.add_event(ended.clone(), publishes);
                    let bytes = encode(&outbox).len() - before;
                    assert!(bytes <= task.size_estimate(), "{bytes} of {}", task.size_estimate());
                }
            }
        }
    }
}

#[test]
fn payloads_count_towards_the_bytes_of_a_queue() {
    let mut test = TestQueue::new();
    test.apply(0, max_tasks(200));
    let mut fitting = 0;
    let refused = loop {
        let task = TaskSpec { payload: Some(full_json()), ..timed(&format!("t-{fitting}"), 1_000) };
        match try_enqueue(&mut test, task) {
            Ok(()) => fitting += 1,
            Err(rejection) => break rejection,
        }
    };
    assert_eq!(refused.reason, RejectionReason::QueueTooLarge);
    assert!(refused.detail.contains("smaller payloads"), "{}", refused.detail);
    assert!((30..38).contains(&fitting), "{fitting} tasks with the largest payload");
}

#[test]
fn a_result_that_waits_for_the_end_of_a_pause_needs_room() {
    let mut test = TestQueue::new();
    test.enqueue(0, [reported("a", 1)]);
    fill_with_tasks(&mut test);
    let small = (0..).map(|n| timed(&format!("small-{n}"), 1));
    assert!(small.map(|task| try_enqueue(&mut test, task)).any(|result| result.is_err()));
    test.apply(0, Command::PauseQueue);
    let completion = || Command::CompleteTask { task_id: id("a"), attempt: None, result: Some(full_json()) };
    assert_eq!(test.refuse(0, completion()), RejectionReason::QueueTooLarge);
    assert_eq!((&test.task("a").result, test.task("a").units_done), (&None, 0));
    test.apply(0, Command::ResumeQueue);
    test.apply(0, completion());
}

#[test]
fn oldest_failures_make_room_for_new_ones() {
    let reason = "x".repeat(MAX_KEPT_REASON);
    let mut test = TestQueue::new();
    test.apply(0, max_tasks(200));
    for n in 0..200 {
        test.enqueue(0, [TaskSpec { retry_delay_ms: 3_600_000, ..reported(&format!("t-{n}"), 10) }]);
    }
    for n in 0..200 {
        let task_id = id(&format!("t-{n}"));
        test.apply(n + 1, Command::FailTask { task_id, reason: reason.clone(), attempt: None, retry: true });
    }
    let kept: Vec<bool> = test.queue.tasks.iter().map(|task| !task.failures.is_empty()).collect();
    let first_kept = kept.iter().position(|is_kept| *is_kept).unwrap();
    assert!(kept[first_kept..].iter().all(|is_kept| *is_kept), "only the oldest are removed");
    let bytes = |failures: usize| failures * FailedAttempt::new(1, &reason, at(0)).size_estimate();
    let failures = 200 - first_kept;
    assert!(bytes(failures) <= MAX_FAILURE_BYTES && bytes(failures + 1) > MAX_FAILURE_BYTES, "{failures} are kept");
    assert!(test.queue.tasks.iter().all(|task| task.attempts == 1));
}
