//! Steps, commands and tasks without their names. See [`naming`](super::naming).

use millrace_domain::{JsonText, Priority, Work};
use proptest::prelude::prop;

/// Amounts by index of `RESOURCES`.
pub type UnnamedAmounts = Vec<(usize, u64)>;

/// The id of a task.
#[derive(Debug, Clone, Copy)]
pub enum UnnamedId {
    New,
    /// The id that was given so many tasks ago.
    Ago(u32),
    /// The id of a remembered task that failed or was cancelled, if there is one.
    Freed(prop::sample::Index),
}

/// A task without its names.
#[derive(Debug, Clone)]
pub struct UnnamedTask {
    pub id: UnnamedId,
    pub priority: Priority,
    pub work: Work,
    pub payload: Option<JsonText>,
    /// Milliseconds from now.
    pub not_before: Option<i64>,
    pub prerequisites: Vec<Target>,
    pub costs: UnnamedAmounts,
    /// So many further costs, each of a resource that nothing else names.
    pub unique_costs: u32,
    /// So many further rewards, likewise.
    pub unique_rewards: u32,
    pub rewards: UnnamedAmounts,
    pub max_retries: u8,
    pub retry_delay_ms: u32,
}

/// The task that a command names.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// One of the tasks that the command can change, if there are any.
    Fitting(prop::sample::Index),
    /// The task whose id was given so many tasks ago. 0 is an id that is never given.
    Ago(u32),
}

/// The attempt that a report or a failure names.
#[derive(Debug, Clone, Copy)]
pub enum UnnamedAttempt {
    None,
    /// The current attempt of the task.
    Current,
    /// So many attempts after the current one, or before it.
    Other(i64),
}

/// How a command comes.
#[derive(Debug, Clone, Copy)]
pub enum Path {
    /// From a trusted sender, not through a FIFO queue.
    Standard,
    /// From the player itself.
    Player,
    /// Through the player's group of one of the FIFO queues, and whether its position has passed.
    Fifo { queue: usize, passed: bool },
}

/// A command without its names.
#[derive(Debug, Clone)]
pub enum UnnamedCommand {
    Enqueue(Vec<UnnamedTask>),
    /// Reports so many thousandths of the units.
    Report(Target, u64, UnnamedAttempt),
    /// Completes a task with a result.
    Complete(Target, UnnamedAttempt, Option<JsonText>),
    /// Fails an attempt; the task may be retried or not.
    Fail(Target, UnnamedAttempt, bool),
    Cancel(Target),
    /// Cancels a task, then queues another one under its id at the same moment.
    Replace(Target, Box<UnnamedTask>),
    SetPriority(Target, Priority),
    MoveToFront(Target),
    Pause,
    Resume,
    Clear,
    Grant(UnnamedAmounts),
    Configure(Option<u8>, Option<u16>),
    Tick,
    /// Repeats the delivery of so many commands ago.
    Repeat(usize),
    /// Repeats one of all deliveries so far.
    RepeatAny(prop::sample::Index),
    /// Pauses and resumes the queue so many times.
    PauseAndResume(usize),
}

/// A step without its names and times.
#[derive(Debug, Clone)]
pub struct UnnamedStep {
    /// Milliseconds since the step before. Negative if the clock goes back.
    pub gap: i64,
    /// Milliseconds from the sending to the arrival. Negative if the sender's clock is ahead.
    pub lag: i64,
    pub path: Path,
    pub command: UnnamedCommand,
}
