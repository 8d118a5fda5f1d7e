//! Deliveries and ticks, and how a queue takes them.

use millrace_domain::{Delivery, Event, PlayerId, Queue, RequiredWrite, Rules, Timestamp, Verdict};

/// The beginning of every run, in milliseconds since the Unix epoch.
pub const BEGINNING: u64 = 1_800_000_000_000;
/// The resources that generated commands name.
pub const RESOURCES: [&str; 2] = ["gold", "wood"];

/// The number of FIFO queues that generated commands come from: more than a queue remembers.
pub const FIFO_QUEUES: usize = 6;

pub fn player() -> PlayerId {
    PlayerId::new("p-1").unwrap()
}

/// So many milliseconds after the beginning.
pub fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGINNING + millis)
}

pub fn new_queue() -> Queue {
    Queue::new(player(), time(0))
}

/// One input of a queue.
#[derive(Debug, Clone)]
pub enum Step {
    /// A command is delivered at the server's time `now`.
    Deliver { delivery: Delivery, now: Timestamp },
    /// A tick comes at the server's time `now`.
    Tick { now: Timestamp },
}

impl Step {
    pub fn now(&self) -> Timestamp {
        match self {
            Step::Deliver { now, .. } | Step::Tick { now } => *now,
        }
    }
}

/// The result of one step.
pub struct StepResult {
    /// The verdict of a delivery.
    pub verdict: Option<Verdict>,
    pub required: RequiredWrite,
    pub events: Vec<Event>,
}

/// Takes one step under the default rules, which never pause a queue.
pub fn take(queue: &mut Queue, step: &Step) -> StepResult {
    take_under(Rules::default(), queue, step)
}

/// Takes one step under these rules.
pub fn take_under(rules: Rules, queue: &mut Queue, step: &Step) -> StepResult {
    let mut events = Vec::new();
    let (verdict, required) = match step {
        Step::Deliver { delivery, now } => {
            let (verdict, required) = queue.deliver(delivery, *now, rules, &mut events);
            (Some(verdict), required)
        }
        Step::Tick { now } => (None, queue.tick(*now, rules, &mut events)),
    };
    StepResult { verdict, required, events }
}
