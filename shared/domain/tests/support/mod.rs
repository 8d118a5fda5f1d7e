//! What the property tests share: random command sequences, and how they are run.
//!
//! Task ids are handed out by a counter. A queue that takes the same steps while they are made is
//! asked which tasks there are, so that most commands meet one that they can change; the others name
//! one by how long ago its id was handed out. What the tests expect never comes from there.

use std::collections::BTreeMap;

use millrace_domain::{
    Change, Command, CommandId, Delivery, Event, FifoPosition, MAX_AMOUNT, PlayerId, Priority, Queue, ResourceName,
    Resources, Rules, Task, TaskId, TaskKind, TaskSpec, Timestamp, Verdict, Work,
    task::{FinishedTask, Outcome as Ended},
};
use proptest::{collection::vec, option, prelude::*};

/// The beginning of every run, in milliseconds since the Unix epoch.
pub const BEGINNING: u64 = 1_800_000_000_000;
/// Every resource that a generated command names.
pub const RESOURCES: [&str; 2] = ["gold", "wood"];

/// `cases` runs of each property, or as many as `PROPTEST_CASES` says. Failing inputs are printed,
/// shrunk, and not kept in files.
pub fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

pub fn player() -> PlayerId {
    PlayerId::new("p-1").unwrap()
}

pub fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGINNING + millis)
}

pub fn new_queue() -> Queue {
    Queue::new(player(), time(0))
}

/// Something from outside.
#[derive(Debug, Clone)]
pub enum Step {
    /// A command arrives at the server's time `now`.
    Deliver { delivery: Delivery, now: Timestamp },
    /// A tick.
    Tick { now: Timestamp },
}

impl Step {
    pub fn now(&self) -> Timestamp {
        match self {
            Step::Deliver { now, .. } | Step::Tick { now } => *now,
        }
    }
}

/// What one step did.
pub struct Outcome {
    /// Only of deliveries.
    pub verdict: Option<Verdict>,
    pub change: Change,
    pub events: Vec<Event>,
}

/// Takes one step, where inactive players' queues are never paused.
pub fn take(queue: &mut Queue, step: &Step) -> Outcome {
    take_by(Rules::default(), queue, step)
}

/// Takes one step by these rules.
pub fn take_by(rules: Rules, queue: &mut Queue, step: &Step) -> Outcome {
    let mut events = Vec::new();
    let (verdict, change) = match step {
        Step::Deliver { delivery, now } => {
            let (verdict, change) = queue.deliver(delivery, *now, rules, &mut events);
            (Some(verdict), change)
        }
        Step::Tick { now } => (None, queue.tick(*now, rules, &mut events)),
    };
    Outcome { verdict, change, events }
}

/// The scale of a run: how long work takes and how far apart commands come.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Everything within a few milliseconds, as a model can step through.
    pub small: bool,
}

/// A task before its names are known.
#[derive(Debug, Clone)]
struct RawTask {
    /// Mostly a fresh id, sometimes one that was handed out before.
    id: Option<u32>,
    priority: Priority,
    work: Work,
    not_before: Option<i64>,
    prerequisites: Vec<Target>,
    costs: Vec<(usize, u64)>,
    rewards: Vec<(usize, u64)>,
    max_retries: u8,
    retry_delay_ms: u32,
}

/// Which task a command names.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// One of those that fit, if there are any.
    Fitting(prop::sample::Index),
    /// The one whose id was handed out so long ago; 0: one that is never queued.
    Ago(u32),
}

#[derive(Debug, Clone)]
enum RawCommand {
    Enqueue(Vec<RawTask>),
    /// So many thousandths of the units.
    Report(Target, u64),
    Fail(Target),
    Cancel(Target),
    SetPriority(Target, Priority),
    MoveToFront(Target),
    Pause,
    Resume,
    Clear,
    Grant(Vec<(usize, u64)>),
    Configure(Option<u8>, Option<u16>),
    Tick,
    /// The same delivery as so many commands ago.
    Again(usize),
}

#[derive(Debug, Clone)]
struct RawStep {
    gap: i64,
    /// How long before (or, negative, after) its arrival the command was sent.
    lag: i64,
    /// Through the FIFO group; `Some(true)` with a place that has passed already.
    fifo: Option<bool>,
    command: RawCommand,
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        1 => Just(Priority::Low),
        3 => Just(Priority::Normal),
        1 => Just(Priority::High),
        1 => Just(Priority::Critical)
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![9 => any::<prop::sample::Index>().prop_map(Target::Fitting), 1 => (0..9_u32).prop_map(Target::Ago)]
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![30 => 0..8_u64, 1 => (MAX_AMOUNT - 3)..=MAX_AMOUNT]
}

fn amounts() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop_oneof![1 => Just(Vec::new()), 1 => vec((0..RESOURCES.len(), amount()), 1..3)]
}

fn granted() -> impl Strategy<Value = Vec<(usize, u64)>> {
    vec((0..RESOURCES.len(), prop_oneof![3 => 0..30_u64, 1 => amount()]), 1..3)
}

fn work(scale: Scale) -> BoxedStrategy<Work> {
    let units = prop_oneof![1 => 1..12_u64, 1 => 40..200_u64].prop_map(Work::Units);
    let short = prop_oneof![1 => 1..20_u64, 1 => 10..60_u64].prop_map(Work::DurationMs);
    if scale.small {
        prop_oneof![20 => short, 10 => units].boxed()
    } else {
        let long = (1_000..86_400_000_u64).prop_map(Work::DurationMs);
        prop_oneof![10 => short, 8 => units, 4 => long].boxed()
    }
}

fn task(scale: Scale) -> impl Strategy<Value = RawTask> {
    let id = option::weighted(0.03, 1..9_u32);
    let not_before = match scale.small {
        true => (-10..30_i64).boxed(),
        false => prop_oneof![-50..200_i64, 1_000..200_000_000_i64].boxed(),
    };
    let prerequisites = prop_oneof![3 => Just(Vec::new()), 1 => vec(target(), 1..4)];
    let delay = match scale.small {
        true => (0..15_u32).boxed(),
        false => prop_oneof![0..50_u32, 1_000..3_600_001_u32].boxed(),
    };
    (
        (id, priority(), work(scale), option::weighted(0.2, not_before), prerequisites),
        (amounts(), amounts(), 0..3_u8, delay),
    )
        .prop_map(
            |((id, priority, work, not_before, prerequisites), (costs, rewards, max_retries, retry_delay_ms))| {
                RawTask { id, priority, work, not_before, prerequisites, costs, rewards, max_retries, retry_delay_ms }
            },
        )
}

/// A task that takes a day: a few of them are too long for a queue.
fn day(scale: Scale) -> impl Strategy<Value = RawTask> {
    task(scale).prop_map(|task| RawTask { work: Work::DurationMs(86_400_000), ..task })
}

fn command(scale: Scale) -> impl Strategy<Value = RawCommand> {
    let slots = option::of(1..5_u8);
    let limit = option::weighted(0.3, prop_oneof![1 => 2..12_u16, 2 => Just(50)]);
    prop_oneof![
        40 => vec(task(scale), 1..4).prop_map(RawCommand::Enqueue),
        2 => vec(task(scale), 7..12).prop_map(RawCommand::Enqueue),
        1 => vec(day(scale), 3..9).prop_map(RawCommand::Enqueue),
        35 => (target(), 0..1_100_u64).prop_map(|(task, thousandths)| RawCommand::Report(task, thousandths)),
        20 => target().prop_map(RawCommand::Fail),
        7 => target().prop_map(RawCommand::Cancel),
        5 => (target(), priority()).prop_map(|(task, priority)| RawCommand::SetPriority(task, priority)),
        5 => target().prop_map(RawCommand::MoveToFront),
        9 => Just(RawCommand::Pause),
        18 => Just(RawCommand::Resume),
        1 => Just(RawCommand::Clear),
        10 => granted().prop_map(RawCommand::Grant),
        3 => (slots, limit).prop_map(|(slots, limit)| RawCommand::Configure(slots, limit)),
        6 => Just(RawCommand::Tick),
        5 => (1..6_usize).prop_map(RawCommand::Again),
    ]
}

fn step(scale: Scale) -> impl Strategy<Value = RawStep> {
    let (gap, lag) = if scale.small {
        (
            prop_oneof![2 => Just(0_i64), 6 => 1..12_i64, 1 => -5..0_i64].boxed(),
            prop_oneof![4 => Just(0_i64), 2 => 1..10_i64, 1 => -5..0_i64].boxed(),
        )
    } else {
        (
            prop_oneof![2 => Just(0_i64), 6 => 1..20_i64, 2 => 20..100_000_i64, 1 => 0..300_000_000_i64, 1 => -60..0_i64]
                .boxed(),
            prop_oneof![4 => Just(0_i64), 2 => 1..50_i64, 1 => 0..100_000_000_i64, 1 => -1_000..0_i64].boxed(),
        )
    };
    let fifo = prop_oneof![6 => Just(None), 3 => Just(Some(false)), 1 => Just(Some(true))];
    (gap, lag, fifo, command(scale)).prop_map(|(gap, lag, fifo, command)| RawStep { gap, lag, fifo, command })
}

/// Random sequences of up to `most` steps, after a first grant and a first configuration.
pub fn steps(scale: Scale, most: usize) -> impl Strategy<Value = Vec<Step>> {
    (granted(), 1..5_u8, vec(step(scale), 1..most)).prop_map(|(granted, slots, mut raw)| {
        let first = |command| RawStep { gap: 0, lag: 0, fifo: None, command };
        let beginning = [first(RawCommand::Grant(granted)), first(RawCommand::Configure(Some(slots), None))];
        raw.splice(0..0, beginning);
        Naming::new().name(raw)
    })
}

/// Turns raw steps into real ones: names, places, absolute times.
struct Naming {
    /// Has taken all steps so far.
    queue: Queue,
    now: i64,
    tasks: u32,
    sequence: u128,
    sent: Vec<Delivery>,
}

impl Naming {
    fn new() -> Self {
        Self { queue: new_queue(), now: 0, tasks: 0, sequence: 0, sent: Vec::new() }
    }

    fn name(mut self, raw: Vec<RawStep>) -> Vec<Step> {
        let mut steps = Vec::with_capacity(raw.len());
        for raw in raw {
            let step = self.step(raw);
            take(&mut self.queue, &step);
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, raw: RawStep) -> Step {
        self.now = (self.now + raw.gap).max(0);
        let now = time(self.now as u64);
        let command = match raw.command {
            RawCommand::Tick => return Step::Tick { now },
            RawCommand::Again(ago) => match self.sent.iter().rev().nth(ago - 1) {
                Some(delivery) => return Step::Deliver { delivery: delivery.clone(), now },
                None => return Step::Tick { now },
            },
            other => self.command(other),
        };
        let position = raw.fifo.map(|passed| match passed {
            true => FifoPosition { sequence: self.sequence.saturating_sub(1), index: 0 },
            false => {
                self.sequence += 1;
                FifoPosition { sequence: self.sequence, index: 0 }
            }
        });
        let delivery = Delivery {
            player_id: player(),
            command_id: CommandId::new(&format!("c-{}", self.sent.len())).unwrap(),
            sent_at: time((self.now - raw.lag).max(0) as u64),
            position,
            command,
        };
        self.sent.push(delivery.clone());
        Step::Deliver { delivery, now }
    }

    /// The task whose id was handed out so long ago.
    fn ago(&self, ago: u32) -> TaskId {
        let name = match ago {
            0 => "t-none".to_owned(),
            ago => format!("t-{}", self.tasks.saturating_sub(ago)),
        };
        TaskId::new(&name).unwrap()
    }

    /// The task that a command names, one of those that fit, where there are any.
    fn task(&self, target: Target, fits: impl Fn(&Task) -> bool) -> TaskId {
        let fitting: Vec<_> = self.queue.tasks.iter().filter(|task| fits(task)).map(|task| &task.id).collect();
        match target {
            Target::Fitting(index) if !fitting.is_empty() => (*index.get(&fitting)).clone(),
            Target::Fitting(index) => self.ago(1 + index.index(8) as u32),
            Target::Ago(ago) => self.ago(ago),
        }
    }

    fn command(&mut self, raw: RawCommand) -> Command {
        match raw {
            RawCommand::Enqueue(tasks) => {
                let mut specs = Vec::new();
                for task in tasks {
                    let spec = self.spec(task, &specs);
                    specs.push(spec);
                }
                Command::EnqueueTasks { tasks: specs }
            }
            RawCommand::Report(target, thousandths) => {
                let reported = |task: &Task| task.is_active() && matches!(task.work, Work::Units(_));
                let task_id = self.task(target, reported);
                let units = match self.queue.position(&task_id).map(|at| self.queue.tasks[at].work) {
                    Some(Work::Units(units)) => units,
                    _ => 1_000,
                };
                Command::ReportProgress { task_id, units_done: units * thousandths / 1_000 }
            }
            RawCommand::Fail(target) => {
                Command::FailTask { task_id: self.task(target, Task::is_active), reason: "broken".to_owned() }
            }
            RawCommand::Cancel(target) => Command::CancelTask { task_id: self.task(target, |_| true) },
            RawCommand::SetPriority(target, priority) => {
                Command::SetPriority { task_id: self.task(target, |_| true), priority }
            }
            RawCommand::MoveToFront(target) => {
                Command::MoveToFront { task_id: self.task(target, |task| !task.is_active()) }
            }
            RawCommand::Pause => Command::PauseQueue,
            RawCommand::Resume => Command::ResumeQueue,
            RawCommand::Clear => Command::ClearQueue,
            RawCommand::Grant(amounts) => Command::GrantResources { resources: resources(&amounts) },
            RawCommand::Configure(slots, max_tasks) => Command::ConfigureQueue { slots, max_tasks },
            RawCommand::Tick | RawCommand::Again(_) => unreachable!("these are no commands"),
        }
    }

    fn spec(&mut self, raw: RawTask, earlier: &[TaskSpec]) -> TaskSpec {
        let completed = |ended: &FinishedTask| ended.outcome == Ended::Completed;
        let recent = self.queue.recent.newest_first().into_iter().filter(completed).take(3);
        let known: Vec<TaskId> = (self.queue.tasks.iter().map(|task| &task.id))
            .chain(earlier.iter().map(|spec| &spec.task_id))
            .cloned()
            .chain(recent.map(|ended| ended.task_id))
            .collect();
        let named = raw.prerequisites.into_iter().filter_map(|target| match target {
            Target::Fitting(_) if known.is_empty() => None,
            Target::Fitting(index) => Some(index.get(&known).clone()),
            Target::Ago(ago) => Some(self.ago(ago)),
        });
        let prerequisites = named.collect();
        let task_id = match raw.id {
            Some(ago) => self.ago(ago),
            None => {
                self.tasks += 1;
                self.ago(1)
            }
        };
        TaskSpec {
            task_id,
            kind: TaskKind::new("test").unwrap(),
            priority: raw.priority,
            work: raw.work,
            not_before: raw.not_before.map(|offset| time((self.now + offset).max(0) as u64)),
            prerequisites,
            costs: resources(&raw.costs),
            rewards: resources(&raw.rewards),
            max_retries: raw.max_retries,
            retry_delay_ms: raw.retry_delay_ms,
        }
    }
}

/// Amounts by name; a resource that is named twice keeps its last amount.
fn resources(amounts: &[(usize, u64)]) -> Resources {
    let amounts: BTreeMap<_, _> = amounts.iter().map(|(name, amount)| (RESOURCES[*name], *amount)).collect();
    amounts.into_iter().map(|(name, amount)| (ResourceName::new(name).unwrap(), amount)).collect()
}
