//! The queue compared with a model of it that counts every millisecond, for random commands within
//! a few hundred milliseconds.

mod attempts;
mod limits;
mod memory;
mod reference;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{
    Event, EventData, MAX_AMOUNT, Queue, RequiredWrite, Resources, Rules, TaskId, Timestamp, Verdict,
    attempt::FailedAttempt, task::Outcome,
};
use proptest::{option, prelude::*};
use reference::{Model, ModelVerdict};
use support::{
    config,
    generators::{Scale, steps},
    steps::{BEGINNING, Step, new_queue, take_under, time},
};
use tasks::{FinishedModelTask, ModelTask, Moment};

fn moment(at: Timestamp) -> Moment {
    at.as_millis() - BEGINNING
}

/// An unfinished task in the terms of the model. What a task does not keep of its spec is taken
/// from the model.
fn in_model_terms(queue: &Queue, at: usize, expected: &ModelTask) -> ModelTask {
    let task = &queue.tasks[at];
    let worked_until = queue.paused_at.unwrap_or(queue.advanced_to);
    let mut spec = expected.spec.clone();
    spec.payload = task.payload.clone();
    (spec.task_id, spec.kind, spec.work) = (task.id.clone(), task.kind.clone(), task.work);
    (spec.costs, spec.rewards) = (task.costs.clone(), task.rewards.clone());
    ModelTask {
        number: expected.number,
        waits_for: expected.waits_for.clone(),
        spec,
        priority: task.priority,
        attempts: task.attempts,
        units_done: task.units_done,
        result: task.result.clone(),
        failures: failures_of(&task.failures),
        // In the queue a task without costs is paid from the beginning.
        paid: task.paid && (expected.paid || !task.costs.is_empty()),
        enqueued_at: moment(task.enqueued_at),
        wait_until: task.not_before.map_or(0, |at| at.as_millis().saturating_sub(BEGINNING)),
        started_at: task.started_at().map(moment),
        worked: task.active_ms(worked_until),
        reported: task.reported_ms(),
    }
}

fn failures_of(failures: &[FailedAttempt]) -> Vec<(u8, String, Moment)> {
    failures.iter().map(|failure| (failure.attempt, failure.reason.clone(), moment(failure.at))).collect()
}

fn in_plain_terms(amounts: &Resources) -> BTreeMap<String, u64> {
    amounts.iter().map(|(name, amount)| (name.to_string(), amount)).collect()
}

/// The keys of the history rows among the events.
fn history_keys(events: &[Event]) -> Vec<String> {
    let keys = events.iter().filter_map(|event| match &event.data {
        EventData::TaskFinished(record) => Some(record.sort_key()),
        _ => None,
    });
    keys.collect()
}

/// The finished tasks among the events, and the starts.
fn finished_and_started(events: &[Event]) -> (Vec<FinishedModelTask>, Vec<(TaskId, Moment)>) {
    let (mut finished, mut starts) = (Vec::new(), Vec::new());
    for event in events {
        match &event.data {
            EventData::TaskStarted(started) => starts.push((started.task.task_id.clone(), moment(event.at))),
            EventData::TaskFinished(record) => finished.push(FinishedModelTask {
                task_id: record.task_id.clone(),
                outcome: record.outcome,
                reason: record.reason.clone(),
                at: moment(record.finished_at),
                worked: record.time_spent_ms,
                attempts: record.attempts,
                units_done: record.units_done,
                started_at: record.started_at.map(moment),
                result: record.result.clone(),
                failures: failures_of(&record.failures),
            }),
            _ => {}
        }
    }
    (finished, starts)
}

fn verdict(verdict: Option<Verdict>) -> Option<ModelVerdict> {
    verdict.map(|verdict| match verdict {
        Verdict::Applied => ModelVerdict::Applied,
        Verdict::Rejected(rejection) => ModelVerdict::Rejected(rejection.reason),
        Verdict::Duplicate(reason) => ModelVerdict::Duplicate(reason),
    })
}

/// Finished tasks in the order of their moments. Within one cascade of cancellations the order is
/// not specified.
fn sorted(finished: &[FinishedModelTask]) -> Vec<FinishedModelTask> {
    let mut finished = finished.to_vec();
    finished.sort_by(|a, b| (a.at, &a.task_id).cmp(&(b.at, &b.task_id)));
    finished
}

fn compare(queue: &Queue, events: &[Event], model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(moment(queue.advanced_to), model.now);
    prop_assert_eq!((queue.is_paused(), usize::from(queue.slots)), (model.paused, model.slots));
    prop_assert_eq!(usize::from(queue.max_tasks), model.max_tasks);
    prop_assert_eq!(queue.tasks.len(), model.tasks.len());
    for (at, expected) in model.tasks.iter().enumerate() {
        prop_assert_eq!(&in_model_terms(queue, at, expected), expected);
    }
    let (finished, starts) = finished_and_started(events);
    prop_assert_eq!(starts, model.starts.clone());
    prop_assert_eq!(sorted(&finished), sorted(&model.finished));
    let completed = |finished: &[FinishedModelTask]| -> Vec<_> {
        let completed = finished.iter().filter(|task| task.outcome == Outcome::Completed);
        completed.map(|task| task.task_id.clone()).collect()
    };
    prop_assert_eq!(completed(&finished), completed(&model.finished), "completions in their order");
    let balances = model.balances.iter().filter(|(_, amount)| **amount > 0);
    prop_assert_eq!(in_plain_terms(&queue.balances), balances.map(|(name, amount)| (name.clone(), *amount)).collect());
    let rewards = model.rewards.iter().map(|(name, amount)| (name.clone(), (*amount).min(MAX_AMOUNT)));
    prop_assert_eq!(in_plain_terms(&queue.totals.rewards), rewards.collect());
    let totals = &queue.totals;
    prop_assert_eq!(
        (totals.completed, totals.failed, totals.cancelled, totals.time_spent_ms),
        (
            model.count(Outcome::Completed),
            model.count(Outcome::Failed),
            model.count(Outcome::Cancelled),
            model.time_spent
        )
    );
    Ok(())
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn the_queue_behaves_like_the_model(
        steps in steps(Scale { small: true }, 45),
        // Below 48 every report of a later millisecond renews the activity.
        pause_after in option::of(5..48_u64),
    ) {
        let rules = Rules::default().pause_after_millis(pause_after.unwrap_or_default());
        let (mut queue, mut events, mut model) = (new_queue(), Vec::new(), Model::new(pause_after));
        for step in &steps {
            let result = take_under(rules, &mut queue, step);
            if let Step::Deliver { delivery, .. } = step {
                // Each command is a batch, after which the queue forgets what is too old.
                queue.command_memory.trim(std::iter::once(delivery));
            }
            if let Step::Tick { now } = step {
                // A tick with nothing due does not move the time. The model always moves it.
                let mut more = Vec::new();
                queue.advance(*now, rules, &mut more);
                prop_assert_eq!(more, Vec::new());
            }
            prop_assert!(result.events.is_empty() || result.required == RequiredWrite::Commit);
            events.extend(result.events);
            let expected = model.take(step);
            prop_assert_eq!(verdict(result.verdict), expected, "{:?}", step);
            compare(&queue, &events, &model)?;
        }
        let end = model.now + 200;
        queue.advance(time(end), rules, &mut events);
        model.advance(end);
        compare(&queue, &events, &model)?;
        let keys = history_keys(&events);
        let different: BTreeSet<_> = keys.iter().collect();
        prop_assert_eq!(different.len(), keys.len(), "two history rows have one key");
    }
}
