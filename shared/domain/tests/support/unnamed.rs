//! Steps, commands and tasks without their names. See [`naming`](super::naming).

use millrace_domain::{Priority, Work};
use proptest::prelude::prop;

/// Amounts by index of `RESOURCES`.
pub type UnnamedAmounts = Vec<(usize, u64)>;

/// A task without its names.
#[derive(Debug, Clone)]
pub struct UnnamedTask {
    /// Usually a new id. Otherwise the id that was given so many tasks ago.
    pub reused_id: Option<u32>,
    pub priority: Priority,
    pub work: Work,
    /// Milliseconds from now.
    pub not_before: Option<i64>,
    pub prerequisites: Vec<Target>,
    pub costs: UnnamedAmounts,
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

/// A command without its names.
#[derive(Debug, Clone)]
pub enum UnnamedCommand {
    Enqueue(Vec<UnnamedTask>),
    /// Reports so many thousandths of the units.
    Report(Target, u64),
    Fail(Target),
    Cancel(Target),
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
}

/// A step without its names and times.
#[derive(Debug, Clone)]
pub struct UnnamedStep {
    /// Milliseconds since the step before. Negative if the clock goes back.
    pub gap: i64,
    /// Milliseconds from the sending to the arrival. Negative if the sender's clock is ahead.
    pub lag: i64,
    /// Whether the command comes through the FIFO group, and whether its position has passed.
    pub fifo: Option<bool>,
    pub command: UnnamedCommand,
}
