//! What holds of every queue, whatever is sent to it and whenever. One property a test.
//!
//! | module | what its properties are about |
//! |---|---|
//! | [`balances`] | what is held, to the last unit |
//! | [`tasks`] | who starts and who ends |
//! | [`time`] | how time passes, and what that costs |
//! | [`commands`] | repeated and refused commands, reports between milestones |
//! | [`bytes`] | the way through bytes and back |
//! | [`mirror`] | the queue as its events tell it, by which the properties judge |

mod balances;
mod bytes;
mod commands;
mod mirror;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod time;

use millrace_domain::{Command, Event, Queue, Rules, TaskSpec, Timestamp, Verdict, command_memory::Recall};
use mirror::Mirror;
use proptest::prelude::*;
use support::{Outcome, Scale, Step, new_queue, steps, take};

/// A century, in milliseconds: longer than anything in a queue can take.
const CENTURY: u64 = 100 * 365 * 86_400_000;

/// Sequences on the scale of real queues: milliseconds to days.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    steps(Scale { small: false }, 40)
}

/// The tasks that a step has queued. An id may be queued again once it is forgotten, but these
/// sequences are too short for that: the only accepted spec of an id is its task's.
fn accepted_specs(step: &Step, outcome: &Outcome) -> Vec<TaskSpec> {
    match (step, &outcome.verdict) {
        (Step::Deliver { delivery, .. }, Some(Verdict::Applied)) => match &delivery.command {
            Command::EnqueueTasks { tasks } => tasks.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Takes all steps, and at last lets a century pass; shows each event to `check` together with what
/// the events before it have told.
fn watch(
    steps: &[Step],
    mut check: impl FnMut(&Mirror, &Event) -> Result<(), TestCaseError>,
) -> Result<(Queue, Mirror), TestCaseError> {
    let mut queue = new_queue();
    let mut mirror = Mirror::new();
    for step in steps {
        let outcome = take(&mut queue, step);
        mirror.learn(accepted_specs(step, &outcome));
        for event in &outcome.events {
            check(&mirror, event)?;
            mirror.observe(event);
        }
    }
    let mut events = Vec::new();
    queue.advance(queue.advanced_to + CENTURY, Rules::default(), &mut events);
    for event in &events {
        check(&mirror, event)?;
        mirror.observe(event);
    }
    Ok((queue, mirror))
}

/// The effective time of a step by the contract: when it was sent, never after now, never before
/// the time to which the queue has advanced.
fn effective(queue: &Queue, step: &Step) -> Timestamp {
    let wanted = match step {
        Step::Deliver { delivery, now } if delivery.sent_at < *now => delivery.sent_at,
        other => other.now(),
    };
    if wanted < queue.advanced_to { queue.advanced_to } else { wanted }
}

/// Inactive players' queues are never paused, or after some milliseconds up to some days.
fn any_rules() -> impl Strategy<Value = Rules> {
    let pause_after = prop_oneof![Just(0_u64), 1..2_000_u64, 1_000..600_000_000_u64];
    pause_after.prop_map(|millis| Rules::default().pause_after_millis(millis))
}

fn is_new(queue: &Queue, step: &Step) -> bool {
    match step {
        Step::Deliver { delivery, .. } => queue.memory.recall(delivery) == Recall::New,
        Step::Tick { .. } => true,
    }
}
