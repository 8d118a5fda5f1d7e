//! A queue for unit tests. Times are milliseconds after its beginning, and events are lines of
//! text.

use crate::{
    model::{
        command::{Command, Delivery, Sender},
        event::{Event, EventData, TaskChange},
        ids::{CommandId, PlayerId, ResourceName, TaskId, TaskKind},
        json_text::JsonText,
        queue::Queue,
        record::HistoryRecord,
        rejection::RejectionReason,
        resources::Resources,
        task::{Priority, Task, TaskSpec},
        time::Timestamp,
        work::Work,
    },
    rules::{
        deployment::Rules,
        verdict::{RequiredWrite, Verdict},
    },
};

/// The beginning of each test queue, in milliseconds since the Unix epoch.
const BEGINNING: u64 = 1_800_000_000_000;

/// So many milliseconds after the beginning.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGINNING + millis)
}

pub(crate) fn id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

pub(crate) fn ids<const N: usize>(texts: [&str; N]) -> Vec<TaskId> {
    texts.map(id).to_vec()
}

pub(crate) fn amounts<const N: usize>(amounts: [(&str, u64); N]) -> Resources {
    amounts.map(|(name, amount)| (ResourceName::new(name).unwrap(), amount)).into_iter().collect()
}

pub(crate) fn gold(amount: u64) -> Resources {
    amounts([("gold", amount)])
}

/// A timed task; all other fields have their defaults.
pub(crate) fn timed(task_id: &str, duration_ms: u64) -> TaskSpec {
    TaskSpec {
        task_id: id(task_id),
        kind: TaskKind::new("test").unwrap(),
        priority: Priority::Normal,
        work: Work::DurationMs(duration_ms),
        payload: None,
        not_before: None,
        prerequisites: Vec::new(),
        costs: Resources::new(),
        rewards: Resources::new(),
        max_retries: 3,
        retry_delay_ms: 1000,
    }
}

/// A reported task; all other fields have their defaults.
pub(crate) fn reported(task_id: &str, units: u64) -> TaskSpec {
    TaskSpec { work: Work::units(units), ..timed(task_id, 1) }
}

/// A reported task that fails after so many milliseconds without a report.
pub(crate) fn with_heartbeat(task_id: &str, units: u64, heartbeat_ms: u32) -> TaskSpec {
    let work = Work::Units { units, heartbeat_ms: Some(heartbeat_ms), timeout_ms: None };
    TaskSpec { work, ..timed(task_id, 1) }
}

pub(crate) fn json(text: &str) -> JsonText {
    text.parse().unwrap()
}

pub(crate) fn complete(task_id: &str, result: Option<&str>) -> Command {
    Command::CompleteTask { task_id: id(task_id), attempt: None, result: result.map(json) }
}

/// A failure that finishes the task at once.
pub(crate) fn fail_for_good(task_id: &str) -> Command {
    Command::FailTask { task_id: id(task_id), reason: "broken".to_owned(), attempt: None, retry: false }
}

pub(crate) fn report(task_id: &str, units_done: u64) -> Command {
    Command::ReportProgress { task_id: id(task_id), units_done, attempt: None }
}

pub(crate) fn fail(task_id: &str) -> Command {
    Command::FailTask { task_id: id(task_id), reason: "broken".to_owned(), attempt: None, retry: true }
}

/// A report that names its attempt.
pub(crate) fn report_in(attempt: u64, task_id: &str, units_done: u64) -> Command {
    Command::ReportProgress { task_id: id(task_id), units_done, attempt: Some(attempt) }
}

/// A failure that names its attempt.
pub(crate) fn fail_in(attempt: u64, task_id: &str) -> Command {
    Command::FailTask { task_id: id(task_id), reason: "broken".to_owned(), attempt: Some(attempt), retry: true }
}

pub(crate) fn cancel(task_id: &str) -> Command {
    Command::CancelTask { task_id: id(task_id) }
}

pub(crate) fn set_priority(task_id: &str, priority: Priority) -> Command {
    Command::SetPriority { task_id: id(task_id), priority }
}

pub(crate) fn move_to_front(task_id: &str) -> Command {
    Command::MoveToFront { task_id: id(task_id) }
}

pub(crate) fn grant(resources: Resources) -> Command {
    Command::GrantResources { resources }
}

pub(crate) fn slots(slots: u8) -> Command {
    Command::ConfigureQueue { slots: Some(slots), max_tasks: None }
}

pub(crate) fn max_tasks(max_tasks: u16) -> Command {
    Command::ConfigureQueue { slots: None, max_tasks: Some(max_tasks) }
}

/// The delivery of a command that was sent so many milliseconds after the beginning.
pub(crate) fn delivery(command_id: &str, sent_ms: u64, command: Command) -> Delivery {
    Delivery {
        player_id: PlayerId::new("p-1").unwrap(),
        command_id: CommandId::new(command_id).unwrap(),
        sender: Sender::Trusted,
        sent_at: at(sent_ms),
        fifo: None,
        command,
    }
}

#[derive(Clone)]
pub(crate) struct TestQueue {
    pub(crate) queue: Queue,
    pub(crate) rules: Rules,
    events: Vec<Event>,
    sent: u32,
}

impl TestQueue {
    /// A new queue that begins at 0.
    pub(crate) fn new() -> Self {
        let queue = Queue::new(PlayerId::new("p-1").unwrap(), at(0));
        Self { queue, rules: Rules::default(), events: Vec::new(), sent: 0 }
    }

    /// A new queue under the rule that inactivity pauses it.
    pub(crate) fn pausing_after(millis: u64) -> Self {
        Self { rules: Rules::default().pause_after_millis(millis), ..Self::new() }
    }

    /// Sends and delivers a command at the same moment, with a new command id.
    pub(crate) fn send(&mut self, ms: u64, command: Command) -> (Verdict, RequiredWrite) {
        self.sent += 1;
        let name = format!("c-{}", self.sent);
        self.deliver(ms, &delivery(&name, ms, command))
    }

    pub(crate) fn deliver(&mut self, now_ms: u64, delivery: &Delivery) -> (Verdict, RequiredWrite) {
        self.queue.deliver(delivery, at(now_ms), self.rules, &mut self.events)
    }

    /// Sends a command that must be applied.
    #[track_caller]
    pub(crate) fn apply(&mut self, ms: u64, command: Command) -> RequiredWrite {
        let (verdict, change) = self.send(ms, command);
        assert_eq!(verdict, Verdict::Applied);
        change
    }

    #[track_caller]
    pub(crate) fn enqueue<const N: usize>(&mut self, ms: u64, tasks: [TaskSpec; N]) {
        self.apply(ms, Command::EnqueueTasks { tasks: tasks.to_vec() });
    }

    /// Sends a command that must be refused. Returns the reason.
    #[track_caller]
    pub(crate) fn refuse(&mut self, ms: u64, command: Command) -> RejectionReason {
        match self.send(ms, command) {
            (Verdict::Rejected(rejection), RequiredWrite::Commit) => rejection.reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn refuse_tasks<const N: usize>(&mut self, ms: u64, tasks: [TaskSpec; N]) -> RejectionReason {
        self.refuse(ms, Command::EnqueueTasks { tasks: tasks.to_vec() })
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.queue.advance(at(ms), self.rules, &mut self.events);
    }

    pub(crate) fn tick(&mut self, ms: u64) -> RequiredWrite {
        self.queue.tick(at(ms), self.rules, &mut self.events)
    }

    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.queue.due_at(self.rules)
    }

    /// Removes the events so far, and returns each of them as a line of text. Emptied queues and
    /// refused commands are left out: other tests are about them.
    pub(crate) fn take_events(&mut self) -> Vec<String> {
        self.events.drain(..).filter_map(|event| event_line(&event)).collect()
    }

    /// Removes the events so far, and returns them.
    pub(crate) fn drain_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Removes the events so far.
    pub(crate) fn clear_events(&mut self) {
        self.events.clear();
    }

    pub(crate) fn gold(&self) -> u64 {
        self.queue.balances.get("gold")
    }

    #[track_caller]
    pub(crate) fn task(&self, task_id: &str) -> &Task {
        &self.queue.tasks[self.queue.position(&id(task_id)).expect("an unfinished task")]
    }

    /// The unfinished tasks in queue order.
    pub(crate) fn order(&self) -> Vec<&str> {
        self.queue.tasks.iter().map(|task| task.id.as_str()).collect()
    }

    /// The history record of a task that ended since the events were last removed.
    #[track_caller]
    pub(crate) fn record(&self, task_id: &str) -> &HistoryRecord {
        let record = self.events.iter().find_map(|event| match &event.data {
            EventData::TaskFinished(record) if record.task_id.as_str() == task_id => Some(record),
            _ => None,
        });
        record.expect("a finished task")
    }
}

fn event_line(event: &Event) -> Option<String> {
    let ms = |time: Timestamp| time.millis_since(at(0));
    let now = ms(event.at);
    Some(match &event.data {
        EventData::TaskQueued(spec) => format!("{now} {} queued", spec.task_id),
        EventData::TaskStarted(started) => format!("{now} {} started", started.task.task_id),
        EventData::TaskProgressed { task, percent } => format!("{now} {} at {percent} %", task.task_id),
        EventData::TaskRetried { task, not_before, .. } => {
            format!("{} failed {} times, again from {}", task.task_id, task.attempt, ms(*not_before))
        }
        EventData::TaskFinished(record) => {
            let reason = record.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{now} {} {}{reason}", record.task_id, record.outcome.as_str())
        }
        EventData::TaskChanged { task_id, change } => match change {
            TaskChange::Priority(priority) => format!("{task_id} is {}", priority.as_str()),
            TaskChange::MovedToFront => format!("{task_id} moved to the front"),
        },
        EventData::QueuePaused => format!("{now} paused"),
        EventData::QueueResumed => format!("{now} resumed"),
        EventData::ResourcesGranted { resources, lost } => {
            format!("granted {} gold, {} lost", resources.get("gold"), lost.get("gold"))
        }
        EventData::QueueConfigured { slots, max_tasks } => format!("{slots} slots, {max_tasks} tasks"),
        EventData::QueueEmptied | EventData::CommandRejected { .. } => return None,
    })
}
