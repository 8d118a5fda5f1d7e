//! The values of the sample rows, and how the files are read.

use std::{fs, path::Path};

use millrace_domain::{
    CommandId, Delivery, Event, EventData, FifoPlace, FifoPosition, FifoQueueId, PlayerId, Priority, Queue, Record,
    RejectionReason, Resources, Sender, Task, TaskId, TaskKind, Timestamp, Work,
    attempt::{FailedAttempt, TaskAttempt},
    codec::{CachedQueue, Outbox},
    command::Command,
    event::{StartedTask, TaskChange},
    queue::Totals,
    record::{HistoryRecord, ProgressRecord, RejectionRecord, TaskProgress},
    task::{FinishedTask, Outcome, TaskSpec, TaskState},
};

/// The beginning of the samples, in milliseconds since the Unix epoch.
pub const BEGIN: u64 = 1_800_000_000_000;

/// The bytes of a sample file: hexadecimal digits, and comments in lines that begin with `#`.
pub fn read_sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u32> = lines.flat_map(str::chars).map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (16 * pair[0] + pair[1]) as u8).collect()
}

pub fn at(after_ms: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN + after_ms)
}

pub fn id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

pub fn amounts(amounts: &[(&str, u64)]) -> Resources {
    amounts.iter().map(|(name, amount)| (name.parse().unwrap(), *amount)).collect()
}

pub fn task(task_id: &str, work: Work) -> Task {
    Task {
        id: id(task_id),
        kind: TaskKind::new("harvest.wood").unwrap(),
        priority: Priority::Normal,
        work,
        units_done: 0,
        not_before: None,
        open_prerequisites: Vec::new(),
        costs: Resources::new(),
        rewards: Resources::new(),
        max_retries: 3,
        retry_delay_ms: 1_000,
        attempts: 0,
        paid: true,
        enqueued_at: at(0),
        state: TaskState::Pending,
        payload: None,
        result: None,
        failures: Vec::new(),
    }
}

pub fn delivery(command_id: &str, sender: Sender, fifo: Option<FifoPlace>) -> Delivery {
    Delivery {
        player_id: PlayerId::new("p-1").unwrap(),
        command_id: CommandId::new(command_id).unwrap(),
        sender,
        sent_at: at(0),
        fifo,
        command: Command::PauseQueue,
    }
}

/// A queue with a value in every field, and with every variant of every enum.
pub fn queue() -> Queue {
    let mut queue = Queue::new(PlayerId::new("p-1").unwrap(), at(0));
    queue.version = 41;
    queue.advanced_to = at(5_000);
    queue.active_at = at(4_000);
    queue.event_sequence = 77;
    queue.paused_at = Some(at(4_500));
    (queue.slots, queue.max_tasks) = (2, 200);
    queue.balances = amounts(&[("gold", 9_007_199_254_740_991), ("wood", 3)]);
    queue.totals =
        Totals { completed: 7, failed: 1, cancelled: 2, time_spent_ms: 90_000, rewards: amounts(&[("gold", 8)]) };
    queue.tasks = vec![
        Task {
            units_done: 42,
            attempts: 1,
            state: TaskState::Active { started_at: at(1_000), paused_ms: 250, reported_ms: 300 },
            payload: Some("{\"cell\":[1,2]}".parse().unwrap()),
            result: Some("\"done\"".parse().unwrap()),
            failures: vec![FailedAttempt::new(1, "heartbeat_lost", at(900))],
            ..task("reported", Work::Units { units: 100, heartbeat_ms: Some(60_000), timeout_ms: Some(3_600_000) })
        },
        Task {
            priority: Priority::High,
            not_before: Some(at(60_000)),
            open_prerequisites: vec![id("reported")],
            costs: amounts(&[("gold", 5), ("stone", 6), ("wood", 7)]),
            rewards: amounts(&[("wood", 10)]),
            max_retries: 0,
            retry_delay_ms: 0,
            paid: false,
            ..task("timed", Work::DurationMs(30_000))
        },
        Task { priority: Priority::Low, ..task("low", Work::units(1)) },
        Task { priority: Priority::Critical, ..task("critical", Work::units(1)) },
    ];
    for (task_id, outcome) in
        [("done", Outcome::Completed), ("broken", Outcome::Failed), ("dropped", Outcome::Cancelled)]
    {
        queue.finished_tasks.push(&FinishedTask { task_id: id(task_id), outcome, finished_at: at(3_000) });
    }
    let fifo = FifoPlace {
        queue: FifoQueueId::of("arn:aws:sqs:eu-central-1:123456789012:commands.fifo"),
        position: FifoPosition { sequence: u128::MAX, index: 3 },
    };
    let memory = &mut queue.command_memory;
    memory.remember(&delivery("c-1", Sender::Trusted, None), None);
    memory.remember(&delivery("c-2", Sender::Trusted, Some(fifo)), Some(RejectionReason::QueueTooLarge));
    memory.remember(&delivery("c-2", Sender::Player, None), Some(RejectionReason::UnknownTask));
    queue
}

/// An outbox with every kind of record and of event.
pub fn outbox() -> Outbox {
    let queue = queue();
    let history = HistoryRecord {
        player_id: queue.player_id.clone(),
        task_id: id("done"),
        sequence: 8,
        kind: TaskKind::new("harvest.wood").unwrap(),
        priority: Priority::Normal,
        outcome: Outcome::Cancelled,
        reason: Some("cancelled".to_owned()),
        attempts: 2,
        work: Work::units(100),
        units_done: 50,
        enqueued_at: at(0),
        started_at: Some(at(1_000)),
        finished_at: at(3_000),
        time_spent_ms: 2_000,
        costs: amounts(&[("gold", 5)]),
        refunded: amounts(&[("gold", 4)]),
        rewards: amounts(&[("wood", 1)]),
        lost: amounts(&[("gold", 1)]),
        result: Some("[1]".parse().unwrap()),
        failures: vec![FailedAttempt::new(2, "heartbeat_lost", at(2_500))],
    };
    let rejection = RejectionRecord {
        partition: "p-1".to_owned(),
        received_at: at(2_000),
        command_id: CommandId::new("c-2").unwrap(),
        reason: RejectionReason::DuplicateTask,
        detail: "taskId: `done` is taken".to_owned(),
        command_type: Some("enqueueTasks".to_owned()),
        task_id: Some(id("done")),
        body: Some("{}".to_owned()),
        entry: "42.1".to_owned(),
    };
    let progress =
        TaskProgress { task_id: id("reported"), started_at: at(1_000), attempts: 1, units_done: 42, reported_ms: 300 };
    let records = vec![
        Record::History(Box::new(history.clone())),
        Record::Rejection(rejection),
        Record::Stats(queue.stats()),
        Record::Progress(ProgressRecord { player_id: queue.player_id, version: 41, tasks: vec![progress] }),
    ];
    Outbox { records, events: events(history) }
}

fn events(history: HistoryRecord) -> Vec<Event> {
    let kind = TaskKind::new("harvest.wood").unwrap();
    let attempt = TaskAttempt { task_id: id("reported"), kind: kind.clone(), attempt: 2 };
    let payload = Some(r#"{"x":1}"#.parse().unwrap());
    let queued = TaskSpec {
        task_id: id("reported"),
        kind,
        priority: Priority::High,
        work: Work::Units { units: 100, heartbeat_ms: Some(60_000), timeout_ms: None },
        payload: payload.clone(),
        not_before: Some(at(500)),
        prerequisites: vec![id("done")],
        costs: amounts(&[("gold", 5)]),
        rewards: amounts(&[("wood", 1)]),
        max_retries: 3,
        retry_delay_ms: 1_000,
    };
    let started = StartedTask {
        task: attempt.clone(),
        payload,
        finish_at: None,
        units: Some(100),
        deadline: Some(at(61_000)),
        costs: amounts(&[("gold", 5)]),
    };
    let task_id = || id("reported");
    let data = [
        EventData::TaskQueued(Box::new(queued)),
        EventData::TaskStarted(Box::new(started)),
        EventData::TaskProgressed { task: attempt.clone(), percent: 25 },
        EventData::TaskRetried { task: attempt, reason: "heartbeat_lost".to_owned(), not_before: at(2_000) },
        EventData::TaskFinished(Box::new(history)),
        EventData::TaskChanged { task_id: task_id(), change: TaskChange::Priority(Priority::Low) },
        EventData::TaskChanged { task_id: task_id(), change: TaskChange::MovedToFront },
        EventData::QueuePaused,
        EventData::QueueResumed,
        EventData::QueueEmptied,
        EventData::QueueConfigured { slots: 2, max_tasks: 60 },
        EventData::ResourcesGranted { resources: amounts(&[("gold", 1)]), lost: amounts(&[("gold", 2)]) },
        EventData::CommandRejected {
            command_id: CommandId::new("c-2").unwrap(),
            reason: RejectionReason::DuplicateTask,
            detail: "taskId: `done` is taken".into(),
        },
    ];
    (7..).zip(data).map(|(sequence, data)| Event::new(sequence, at(1_000), data)).collect()
}

pub fn cached_queue() -> CachedQueue {
    CachedQueue { queue: queue(), progress_known: true }
}
