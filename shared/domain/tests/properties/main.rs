//! Properties that hold for every queue and every sequence of commands. Each test is one property.
//!
//! | module | its properties |
//! |---|---|
//! | [`balances`] | grants, rewards, refunds and costs add up |
//! | [`tasks`] | which tasks start and finish |
//! | [`time`] | how time passes, and what that costs |
//! | [`commands`] | duplicates, refusals, reports between milestones |
//! | [`encoding`] | encoding and decoding |
//! | [`events`] | events are complete, numbered without a gap, and never without a change |
//! | [`observed_queue`] | the queue as its events describe it, which the properties compare with |

mod balances;
mod commands;
mod encoding;
mod events;
mod observed_queue;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod time;

use millrace_domain::{Command, Event, Queue, Rules, TaskSpec, Timestamp, Verdict};
use observed_queue::ObservedQueue;
use proptest::prelude::*;
use support::{
    generators::{Scale, steps},
    steps::{Step, StepResult, new_queue, take},
};

/// A century in milliseconds. Nothing in a queue takes longer.
const CENTURY: u64 = 100 * 365 * 86_400_000;

/// Sequences on the scale of real queues: milliseconds to days.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    steps(Scale { small: false }, 40)
}

/// The rules of a deployment: no pause for inactivity, or after milliseconds to days.
fn any_rules() -> impl Strategy<Value = Rules> {
    let pause_after = prop_oneof![Just(0_u64), 1..2_000_u64, 1_000..600_000_000_u64];
    pause_after.prop_map(|millis| Rules::default().pause_after_millis(millis))
}

/// The tasks that a step has queued. These sequences are too short for a queue to forget a task, so
/// an id has another accepted spec only after the task before it failed or was cancelled.
fn accepted_specs(step: &Step, result: &StepResult) -> Vec<TaskSpec> {
    match (step, &result.verdict) {
        (Step::Deliver { delivery, .. }, Some(Verdict::Applied)) => match &delivery.command {
            Command::EnqueueTasks { tasks } => tasks.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Takes all steps and then lets a century pass. Passes each event to `check`, together with the
/// queue as the events before it describe it.
fn check_events(
    steps: &[Step],
    mut check: impl FnMut(&ObservedQueue, &Event) -> Result<(), TestCaseError>,
) -> Result<(Queue, ObservedQueue), TestCaseError> {
    let mut queue = new_queue();
    let mut observed = ObservedQueue::new();
    for step in steps {
        let result = take(&mut queue, step);
        observed.add_specs(accepted_specs(step, &result));
        for event in &result.events {
            check(&observed, event)?;
            observed.observe(event);
        }
    }
    let mut events = Vec::new();
    queue.advance(queue.advanced_to + CENTURY, Rules::default(), &mut events);
    for event in &events {
        check(&observed, event)?;
        observed.observe(event);
    }
    Ok((queue, observed))
}

/// The effective time of a step by the contract: when it was sent, but never after now and never
/// before the time to which the queue has advanced.
fn effective_time(queue: &Queue, step: &Step) -> Timestamp {
    let sent_at = match step {
        Step::Deliver { delivery, now } if delivery.sent_at < *now => delivery.sent_at,
        other => other.now(),
    };
    if sent_at < queue.advanced_to { queue.advanced_to } else { sent_at }
}

/// Whether the step is no duplicate.
fn is_new(queue: &Queue, step: &Step) -> bool {
    match step {
        Step::Deliver { delivery, .. } => queue.command_memory.find(delivery).is_none(),
        Step::Tick { .. } => true,
    }
}
