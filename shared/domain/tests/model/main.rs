//! The queue against a model of it that lives millisecond by millisecond, for random commands
//! within a few hundred milliseconds.

mod reference;
#[path = "../support/mod.rs"]
mod support;

use millrace_domain::{Change, Event, MAX_AMOUNT, Queue, Rules, Verdict, task::Outcome};
use proptest::{option, prelude::*};
use reference::{Model, ModelEnd, ModelTask, ModelVerdict, Moment, held};
use support::{BEGINNING, RESOURCES, Scale, Step, config, new_queue, steps, take_by, time};

fn moment(at: millrace_domain::Timestamp) -> Moment {
    at.as_millis() - BEGINNING
}

/// An unfinished task in the terms of the model; what only the spec says is taken from the model.
fn in_model_terms(queue: &Queue, at: usize, modelled: &ModelTask) -> ModelTask {
    let task = &queue.tasks[at];
    let standing = queue.paused_at.unwrap_or(queue.advanced_to);
    let mut spec = modelled.spec.clone();
    (spec.task_id, spec.kind, spec.work) = (task.id.clone(), task.kind.clone(), task.work);
    (spec.costs, spec.rewards) = (task.costs.clone(), task.rewards.clone());
    ModelTask {
        spec,
        priority: task.priority,
        attempts: task.attempts,
        units_done: task.units_done,
        // The queue counts a task without costs as paid from the beginning.
        paid: task.paid && (modelled.paid || !task.costs.is_empty()),
        enqueued_at: moment(task.enqueued_at),
        wait_until: task.not_before.map_or(0, |at| at.as_millis().saturating_sub(BEGINNING)),
        started_at: task.started_at().map(moment),
        worked: task.active_ms(standing),
    }
}

/// The ends among the events, and the starts.
fn told(events: &[Event]) -> (Vec<ModelEnd>, Vec<(millrace_domain::TaskId, Moment)>) {
    let (mut ends, mut starts) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::TaskStarted { task_id, at } => starts.push((task_id.clone(), moment(*at))),
            Event::TaskFinished(record) => ends.push(ModelEnd {
                task_id: record.task_id.clone(),
                outcome: record.outcome,
                reason: record.reason.clone(),
                at: moment(record.finished_at),
                worked: record.time_spent_ms,
                attempts: record.attempts,
                units_done: record.units_done,
                started_at: record.started_at.map(moment),
            }),
            _ => {}
        }
    }
    (ends, starts)
}

fn verdict(verdict: Option<Verdict>) -> Option<ModelVerdict> {
    verdict.map(|verdict| match verdict {
        Verdict::Applied => ModelVerdict::Applied,
        Verdict::Rejected(rejection) => ModelVerdict::Rejected(rejection.reason),
        Verdict::Duplicate(reason) => ModelVerdict::Duplicate(reason),
    })
}

/// Ends in the order of their moments; within one cascade the order is nobody's promise.
fn sorted(ends: &[ModelEnd]) -> Vec<ModelEnd> {
    let mut ends = ends.to_vec();
    ends.sort_by(|a, b| (a.at, &a.task_id).cmp(&(b.at, &b.task_id)));
    ends
}

fn compare(queue: &Queue, events: &[Event], model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(moment(queue.advanced_to), model.now);
    prop_assert_eq!((queue.is_paused(), usize::from(queue.slots)), (model.paused, model.slots));
    prop_assert_eq!(usize::from(queue.max_tasks), model.max_tasks);
    prop_assert_eq!(queue.tasks.len(), model.tasks.len());
    for (at, modelled) in model.tasks.iter().enumerate() {
        prop_assert_eq!(&in_model_terms(queue, at, modelled), modelled);
    }
    let (ends, starts) = told(events);
    prop_assert_eq!(starts, model.starts.clone());
    prop_assert_eq!(sorted(&ends), sorted(&model.ended));
    let completed = |ends: &[ModelEnd]| -> Vec<_> {
        ends.iter().filter(|end| end.outcome == Outcome::Completed).map(|end| end.task_id.clone()).collect()
    };
    prop_assert_eq!(completed(&ends), completed(&model.ended), "completions in their order");
    for name in RESOURCES {
        prop_assert_eq!(queue.balances.get(name), held(&model.balances, name), "{}", name);
        prop_assert_eq!(queue.totals.rewards.get(name), held(&model.rewards, name).min(MAX_AMOUNT), "{}", name);
    }
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
    fn the_queue_does_what_the_model_does(
        steps in steps(Scale { small: true }, 45),
        // Below 48 every report of a later millisecond shows that the player is active.
        pause_after in option::of(5..48_u64),
    ) {
        let rules = Rules::default().pause_after_millis(pause_after.unwrap_or_default());
        let (mut queue, mut events, mut model) = (new_queue(), Vec::new(), Model::new(pause_after));
        for step in &steps {
            let outcome = take_by(rules, &mut queue, step);
            if let Step::Tick { now } = step {
                // A tick with nothing due leaves the time alone; the model always lives on.
                let mut more = Vec::new();
                queue.advance(*now, rules, &mut more);
                prop_assert_eq!(more, Vec::new());
            }
            prop_assert!(outcome.events.is_empty() || outcome.change == Change::Decided);
            events.extend(outcome.events);
            let expected = model.take(step);
            prop_assert_eq!(verdict(outcome.verdict), expected, "{:?}", step);
            compare(&queue, &events, &model)?;
        }
        let end = model.now + 200;
        queue.advance(time(end), rules, &mut events);
        model.live_until(end);
        compare(&queue, &events, &model)?;
    }
}
