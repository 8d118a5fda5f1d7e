//! Random commands. They do not name their tasks yet: which tasks there are depends on the commands
//! before.

use millrace_domain::{JsonText, MAX_AMOUNT, Priority, Work, json_text::MAX_JSON_BYTES};
use proptest::{collection::vec, option, prelude::*};

use super::{
    naming::Naming,
    steps::{FIFO_QUEUES, RESOURCES, Step},
    unnamed::{Path, Target, UnnamedAmounts, UnnamedAttempt, UnnamedCommand, UnnamedId, UnnamedStep, UnnamedTask},
};

/// The scale of a run: how long work takes, and how far apart commands come.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Everything happens within some hundred milliseconds, which a model can count one by one.
    pub small: bool,
}

/// Random sequences of up to `most` steps, after a first grant and a first configuration.
pub fn steps(scale: Scale, most: usize) -> impl Strategy<Value = Vec<Step>> {
    (granted(), 1..5_u8, vec(step(scale), 1..most)).prop_map(|(granted, slots, mut unnamed)| {
        let first = |command| UnnamedStep { gap: 0, lag: 0, path: Path::Standard, command };
        let beginning = [first(UnnamedCommand::Grant(granted)), first(UnnamedCommand::Configure(Some(slots), None))];
        unnamed.splice(0..0, beginning);
        Naming::new().name(unnamed)
    })
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

fn amounts() -> impl Strategy<Value = UnnamedAmounts> {
    prop_oneof![1 => Just(Vec::new()), 1 => vec((0..RESOURCES.len(), amount()), 1..3)]
}

fn granted() -> impl Strategy<Value = UnnamedAmounts> {
    vec((0..RESOURCES.len(), prop_oneof![3 => 0..30_u64, 1 => amount()]), 1..3)
}

fn work(scale: Scale) -> BoxedStrategy<Work> {
    let deadline = match scale.small {
        true => option::weighted(0.4, 1..40_u32).boxed(),
        false => option::weighted(0.4, prop_oneof![1..100_u32, 1_000..604_800_001_u32]).boxed(),
    };
    let units = prop_oneof![1 => 1..12_u64, 1 => 40..200_u64];
    let units = (units, deadline.clone(), deadline).prop_map(|(units, heartbeat_ms, timeout_ms)| Work::Units {
        units,
        heartbeat_ms,
        timeout_ms,
    });
    let short = prop_oneof![1 => 1..20_u64, 1 => 10..60_u64].prop_map(Work::DurationMs);
    if scale.small {
        prop_oneof![20 => short, 10 => units].boxed()
    } else {
        let long = (1_000..86_400_000_u64).prop_map(Work::DurationMs);
        prop_oneof![10 => short, 8 => units, 4 => long].boxed()
    }
}

/// A payload or a result of some bytes; at times as long as allowed.
fn json() -> impl Strategy<Value = Option<JsonText>> {
    let text = prop_oneof![12 => 0..30_usize, 1 => Just(MAX_JSON_BYTES - 2)];
    option::weighted(0.4, text.prop_map(|length| format!("\"{}\"", "x".repeat(length)).parse().unwrap()))
}

fn task(scale: Scale) -> impl Strategy<Value = UnnamedTask> {
    let id = prop_oneof![
        82 => Just(UnnamedId::New),
        3 => (1..9_u32).prop_map(UnnamedId::Ago),
        15 => any::<prop::sample::Index>().prop_map(UnnamedId::Freed),
    ];
    let not_before = match scale.small {
        true => (-10..30_i64).boxed(),
        false => prop_oneof![-50..200_i64, 1_000..200_000_000_i64].boxed(),
    };
    let prerequisites = prop_oneof![3 => Just(Vec::new()), 1 => vec(target(), 1..4)];
    let retry_delay = match scale.small {
        true => (0..15_u32).boxed(),
        false => prop_oneof![0..50_u32, 1_000..3_600_001_u32].boxed(),
    };
    let when = ((id, json()), priority(), work(scale), option::weighted(0.2, not_before), prerequisites);
    (when, (amounts(), amounts(), 0..3_u8, retry_delay)).prop_map(|(when, (costs, rewards, max_retries, retry))| {
        let ((id, payload), priority, work, not_before, prerequisites) = when;
        let retry_delay_ms = retry;
        UnnamedTask {
            id,
            priority,
            work,
            payload,
            not_before,
            prerequisites,
            costs,
            unique_costs: 0,
            unique_rewards: 0,
            rewards,
            max_retries,
            retry_delay_ms,
        }
    })
}

/// A task that takes a day. Seven of them fill a queue.
fn day(scale: Scale) -> impl Strategy<Value = UnnamedTask> {
    task(scale).prop_map(|task| UnnamedTask { work: Work::DurationMs(86_400_000), ..task })
}

/// A task of a millisecond with 20 rewards of resources that no other task rewards.
fn trophy(scale: Scale) -> impl Strategy<Value = UnnamedTask> {
    task(scale).prop_map(|task| UnnamedTask {
        work: Work::DurationMs(1),
        not_before: None,
        costs: Vec::new(),
        unique_rewards: 20,
        rewards: Vec::new(),
        ..task
    })
}

/// A task that waits for 20 resources which the player never gets.
fn bulky(scale: Scale) -> impl Strategy<Value = UnnamedTask> {
    task(scale).prop_map(|task| UnnamedTask { unique_costs: 20, ..task })
}

fn attempt() -> impl Strategy<Value = UnnamedAttempt> {
    prop_oneof![
        5 => Just(UnnamedAttempt::None),
        3 => Just(UnnamedAttempt::Current),
        1 => prop_oneof![Just(-1), Just(1), Just(9)].prop_map(UnnamedAttempt::Other),
    ]
}

/// Commands that make sequences long. They are rare, because a model takes long for them.
fn mass_command(scale: Scale) -> impl Strategy<Value = UnnamedCommand> {
    prop_oneof![
        1 => vec(bulky(scale), 10..45).prop_map(UnnamedCommand::Enqueue),
        3 => vec(trophy(scale), 10..45).prop_map(UnnamedCommand::Enqueue),
        1 => (10..60_usize).prop_map(UnnamedCommand::PauseAndResume),
    ]
}

fn command(scale: Scale) -> BoxedStrategy<UnnamedCommand> {
    // Only the model forgets commands and tasks as a queue does.
    let mass = if scale.small { 8 } else { 0 };
    prop_oneof![
        200 => single_command(scale),
        mass => mass_command(scale),
    ]
    .boxed()
}

fn single_command(scale: Scale) -> impl Strategy<Value = UnnamedCommand> {
    let slots = option::of(1..5_u8);
    let max_tasks = option::weighted(0.3, prop_oneof![1 => 2..12_u16, 2 => Just(50)]);
    prop_oneof![
        40 => vec(task(scale), 1..4).prop_map(UnnamedCommand::Enqueue),
        2 => vec(task(scale), 7..12).prop_map(UnnamedCommand::Enqueue),
        1 => vec(day(scale), 3..9).prop_map(UnnamedCommand::Enqueue),
        35 => (target(), 0..1_100_u64, attempt())
            .prop_map(|(task, thousandths, attempt)| UnnamedCommand::Report(task, thousandths, attempt)),
        8 => (target(), attempt(), json())
            .prop_map(|(task, attempt, result)| UnnamedCommand::Complete(task, attempt, result)),
        20 => (target(), attempt(), prop::bool::weighted(0.9))
            .prop_map(|(task, attempt, retry)| UnnamedCommand::Fail(task, attempt, retry)),
        5 => target().prop_map(UnnamedCommand::Cancel),
        8 => (target(), task(scale)).prop_map(|(target, task)| UnnamedCommand::Replace(target, Box::new(task))),
        5 => (target(), priority()).prop_map(|(task, priority)| UnnamedCommand::SetPriority(task, priority)),
        5 => target().prop_map(UnnamedCommand::MoveToFront),
        9 => Just(UnnamedCommand::Pause),
        18 => Just(UnnamedCommand::Resume),
        1 => Just(UnnamedCommand::Clear),
        10 => granted().prop_map(UnnamedCommand::Grant),
        3 => (slots, max_tasks).prop_map(|(slots, max_tasks)| UnnamedCommand::Configure(slots, max_tasks)),
        6 => Just(UnnamedCommand::Tick),
        5 => (1..6_usize).prop_map(UnnamedCommand::Repeat),
        3 => any::<prop::sample::Index>().prop_map(UnnamedCommand::RepeatAny),
    ]
}

/// Most commands through a FIFO queue come through the first two.
fn path() -> impl Strategy<Value = Path> {
    let queue = prop_oneof![6 => 0..2_usize, 1 => 0..FIFO_QUEUES];
    let fifo = (queue, prop::bool::weighted(0.2)).prop_map(|(queue, passed)| Path::Fifo { queue, passed });
    prop_oneof![4 => Just(Path::Standard), 2 => Just(Path::Player), 4 => fifo]
}

fn step(scale: Scale) -> impl Strategy<Value = UnnamedStep> {
    let (gap, lag) = if scale.small {
        (
            prop_oneof![2 => Just(0_i64), 6 => 1..12_i64, 1 => -5..0_i64].boxed(),
            prop_oneof![4 => Just(0_i64), 2 => 1..10_i64, 1 => 10..40_i64, 1 => -5..0_i64].boxed(),
        )
    } else {
        (
            prop_oneof![2 => Just(0_i64), 6 => 1..20_i64, 2 => 20..100_000_i64, 1 => 0..300_000_000_i64, 1 => -60..0_i64]
                .boxed(),
            prop_oneof![4 => Just(0_i64), 2 => 1..50_i64, 1 => 0..100_000_000_i64, 1 => -1_000..0_i64].boxed(),
        )
    };
    (gap, lag, path(), command(scale)).prop_map(|(gap, lag, path, command)| UnnamedStep { gap, lag, path, command })
}
