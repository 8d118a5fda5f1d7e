//! How time passes, and what that costs.

use millrace_domain::{
    Command, EventData, Queue, Rules, Timestamp, Verdict,
    codec::encode,
    view::{QueueView, StateView},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    CENTURY, any_rules, any_steps, effective_time, is_new,
    support::{
        config,
        steps::{Step, new_queue, take, take_under, time},
    },
};

/// Whether a command is a report that leaves its task in its quarter of the units, or is about a
/// task that has completed.
fn decides_nothing(before: &Queue, at: Timestamp, after: &Queue, command: &Command) -> bool {
    let mut advanced = before.clone();
    advanced.advance(at, Rules::default(), &mut Vec::new());
    let quarter = |queue: &Queue, id| {
        queue.position(id).map(|position| queue.tasks[position].quarter(queue.tasks[position].units_done))
    };
    match command {
        Command::ReportProgress { task_id, .. } => quarter(&advanced, task_id) == quarter(after, task_id),
        Command::CompleteTask { task_id, .. } => advanced.position(task_id).is_none(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn advancing_in_one_step_or_in_many_gives_the_same_queue(
        steps in any_steps(),
        rules in any_rules(),
        cuts in vec(vec(0..=1_000_u64, 0..4), 1..20),
    ) {
        let (mut one_step, mut many_steps) = (new_queue(), new_queue());
        for (step, cuts) in steps.iter().zip(cuts.iter().cycle()) {
            let mut events = Vec::new();
            if is_new(&many_steps, step) && matches!(step, Step::Deliver { .. }) {
                let (from, to) = (many_steps.advanced_to, effective_time(&many_steps, step));
                for cut in cuts {
                    many_steps.advance(from + to.millis_since(from) * cut / 1_000, rules, &mut events);
                }
            }
            let expected = take_under(rules, &mut one_step, step);
            let result = take_under(rules, &mut many_steps, step);
            events.extend(result.events);
            prop_assert_eq!(encode(&one_step), encode(&many_steps));
            prop_assert_eq!(expected.events, events);
            prop_assert_eq!(expected.verdict, result.verdict);
        }
        let (mut at_once, mut events) = (one_step.clone(), Vec::new());
        at_once.advance(one_step.advanced_to + CENTURY, rules, &mut events);
        let (mut many, mut others) = (one_step.clone(), Vec::new());
        for gap in cuts.iter().flatten() {
            let next = many.advanced_to + gap * gap;
            many.advance(next, rules, &mut others);
        }
        many.advance(one_step.advanced_to + CENTURY, rules, &mut others);
        prop_assert_eq!(encode(&at_once), encode(&many));
        prop_assert_eq!(events, others);
    }

    #[test]
    fn times_never_go_backwards(steps in any_steps(), rules in any_rules()) {
        let mut queue = new_queue();
        let mut last = time(0);
        for step in &steps {
            let before = queue.advanced_to;
            let result = take_under(rules, &mut queue, step);
            prop_assert!(queue.advanced_to >= before);
            for at in result.events.iter().map(|event| event.at) {
                prop_assert!(at >= last && at <= queue.advanced_to, "{} after {}", at, last);
                last = at;
            }
            let ends: Vec<_> = queue.finished_tasks.iter().map(|finished| finished.finished_at).collect();
            prop_assert!(ends.is_sorted());
            prop_assert!(queue.due_at(rules).is_none_or(|due| due > queue.advanced_to), "everything due has happened");
        }
    }

    #[test]
    fn a_command_takes_effect_at_its_effective_time(steps in any_steps()) {
        let mut queue = new_queue();
        for step in &steps {
            let Step::Deliver { delivery, .. } = step else { take(&mut queue, step); continue };
            let (at, new) = (effective_time(&queue, step), is_new(&queue, step));
            let before = queue.clone();
            let result = take(&mut queue, step);
            if !new {
                prop_assert_eq!(&before, &queue);
                continue;
            }
            let applied = result.verdict == Some(Verdict::Applied);
            let progress_only = applied && decides_nothing(&before, at, &queue, &delivery.command);
            let active_at = if progress_only { before.active_at } else { at };
            prop_assert_eq!((queue.advanced_to, queue.active_at), (at, active_at));
            for event in &result.events {
                let by_the_command = match &event.data {
                    EventData::TaskStarted(_) | EventData::TaskRetried { .. } | EventData::QueueEmptied => false,
                    EventData::TaskFinished(record) => {
                        matches!(record.reason.as_deref(), Some("broken" | "cancelled" | "queue_cleared"))
                    }
                    _ => true,
                };
                prop_assert!(!by_the_command || event.at == at, "{:?} by {:?}", event, delivery.command);
            }
        }
    }

    #[test]
    fn the_cost_of_advancing_grows_with_due_moments_only(
        steps in any_steps(),
        rules in any_rules(),
    ) {
        let mut queue = new_queue();
        for step in &steps {
            take_under(rules, &mut queue, step);
            let (mut near, mut far) = (queue.clone(), queue.clone());
            let (mut moments, mut events, mut far_events) = (0, Vec::new(), Vec::new());
            while let Some(due) = near.due_at(rules) {
                near.advance(due, rules, &mut events);
                moments += 1;
                prop_assert!(moments <= events.len(), "something happens at each due moment");
            }
            far.advance(near.advanced_to + CENTURY, rules, &mut far_events);
            prop_assert_eq!(&events, &far_events);
            let attempts: usize = queue.tasks.iter().map(|task| 1 + usize::from(task.max_retries - task.attempts)).sum();
            prop_assert!(
                events.len() <= 2 * attempts + 2,
                "each attempt starts and ends at most once, and there is one pause, or the queue empties"
            );
            near.advanced_to = far.advanced_to;
            prop_assert_eq!(near, far);
        }
    }

    #[test]
    fn a_view_predicts_what_happens_without_further_commands(steps in any_steps(), rules in any_rules()) {
        let mut queue = new_queue();
        for step in &steps {
            take_under(rules, &mut queue, step);
        }
        let before = encode(&queue);
        let view = QueueView::new(&queue, queue.advanced_to, rules);
        prop_assert_eq!(encode(&queue), before, "a view changes nothing");
        // The view assumes that reported work never ends.
        queue.tasks.iter_mut().for_each(|task| task.work = task.work.without_deadlines());
        let mut events = Vec::new();
        queue.advance(queue.advanced_to + CENTURY, rules, &mut events);
        let starts: Vec<_> = events.iter().filter_map(|event| match &event.data {
            EventData::TaskStarted(started) => Some(&started.task.task_id),
            _ => None,
        }).collect();
        let pending: Vec<_> = view.tasks.iter().filter(|task| task.state == StateView::Pending).collect();
        prop_assert!(view.tasks.iter().map(|task| task.state == StateView::Pending).is_sorted(), "active tasks first");
        let predicted: Vec<_> = pending.iter().take(starts.len()).map(|task| &task.task_id).collect();
        prop_assert_eq!(starts, predicted);
        prop_assert!(pending.iter().all(|task| !task.blocked_by.is_empty()), "a pending task names what blocks it");
        for task in &view.tasks {
            let finished = events.iter().find_map(|event| match &event.data {
                EventData::TaskFinished(record) if record.task_id == task.task_id => Some(record.finished_at),
                _ => None,
            });
            prop_assert_eq!(task.estimated_finish_at, finished);
        }
    }
}
