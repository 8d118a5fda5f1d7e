//! Duplicates, refusals, and reports between milestones.

use millrace_domain::{
    Command, EventData, RequiredWrite, Rules, Task, Verdict, Work,
    codec::encode,
    record::{ProgressRecord, TaskProgress},
    task::TaskState,
};
use proptest::{collection::vec, prelude::*};

use crate::{
    CENTURY, any_steps, effective_time,
    support::{
        config,
        steps::{Step, new_queue, player, take, time},
    },
};

/// Takes back what reports between milestones may change.
fn restore_report(task: &mut Task, before: &Task) {
    task.units_done = before.units_done;
    if let (TaskState::Active { reported_ms, .. }, TaskState::Active { reported_ms: old, .. }) =
        (&mut task.state, before.state)
    {
        *reported_ms = old;
    }
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn a_duplicate_changes_nothing(steps in any_steps()) {
        let mut queue = new_queue();
        let mut verdicts = Vec::new();
        for step in &steps {
            let result = take(&mut queue, step);
            let (Step::Deliver { delivery, now }, Some(verdict)) = (step, result.verdict) else { continue };
            let reason = match &verdict {
                Verdict::Applied => None,
                Verdict::Rejected(rejection) => Some(rejection.reason),
                Verdict::Duplicate(reason) => *reason,
            };
            // What is a duplicate by its position alone is one only while its queue is remembered.
            if !matches!(verdict, Verdict::Duplicate(_)) {
                verdicts.push((delivery, reason));
            }
            let before = encode(&queue);
            let repeated = Step::Deliver { delivery: delivery.clone(), now: *now + 5_000 };
            let result = take(&mut queue, &repeated);
            prop_assert_eq!(result.verdict, Some(Verdict::Duplicate(reason)));
            prop_assert_eq!((result.required, result.events.len()), (RequiredWrite::Nothing, 0));
            prop_assert_eq!(encode(&queue), before);
        }
        let before = encode(&queue);
        for (delivery, reason) in verdicts {
            let repeated = Step::Deliver { delivery: delivery.clone(), now: time(CENTURY) };
            prop_assert_eq!(take(&mut queue, &repeated).verdict, Some(Verdict::Duplicate(reason)));
        }
        prop_assert_eq!(encode(&queue), before);
    }

    #[test]
    fn a_refused_command_only_advances_the_queue_and_is_remembered(steps in any_steps()) {
        let mut queue = new_queue();
        for step in &steps {
            let mut expected = queue.clone();
            let result = take(&mut queue, step);
            if let Some(Verdict::Rejected(_)) = result.verdict {
                let mut events = Vec::new();
                expected.advance(effective_time(&expected, step), Rules::default(), &mut events);
                prop_assert_eq!(expected.command_memory.len() + 1, queue.command_memory.len());
                expected.command_memory = queue.command_memory.clone();
                expected.active_at = queue.active_at;
                expected.event_sequence += 1;
                prop_assert_eq!(&expected, &queue);
                let mut result = result;
                let last = result.events.pop().map(|event| event.data);
                let is_rejection = matches!(last, Some(EventData::CommandRejected { .. }));
                prop_assert!(is_rejection);
                prop_assert_eq!(events, result.events);
            }
        }
    }

    #[test]
    fn without_a_commit_only_units_between_milestones_change(steps in any_steps()) {
        let mut queue = new_queue();
        for step in &steps {
            let before = queue.clone();
            let result = take(&mut queue, step);
            if result.required == RequiredWrite::Commit {
                continue;
            }
            prop_assert!(result.events.is_empty());
            let is_report = matches!(
                step,
                Step::Deliver { delivery, .. }
                    if matches!(delivery.command, Command::ReportProgress { .. } | Command::CompleteTask { .. })
            );
            prop_assert!(is_report || result.verdict.is_none() || matches!(result.verdict, Some(Verdict::Duplicate(_))));
            for (old, new) in before.tasks.iter().zip(&queue.tasks) {
                prop_assert_eq!(old.quarter(old.units_done), new.quarter(new.units_done));
                let unchanged = (old.units_done, old.state) == (new.units_done, new.state);
                prop_assert!(unchanged || result.required == RequiredWrite::Progress);
            }
            let mut rest = queue.clone();
            for (task, old) in rest.tasks.iter_mut().zip(&before.tasks) {
                restore_report(task, old);
            }
            (rest.command_memory, rest.advanced_to, rest.active_at) = (before.command_memory.clone(), before.advanced_to, before.active_at);
            prop_assert_eq!(rest, before);
        }
    }

    #[test]
    fn merged_progress_never_lowers_units_or_crosses_a_milestone(
        steps in any_steps(),
        rows in vec((0..12_usize, 0..130_u64, 0..3_u8, any::<bool>(), 0..9_u64), 0..6),
    ) {
        let mut queue = new_queue();
        steps.iter().for_each(|step| drop(take(&mut queue, step)));
        let known = rows.into_iter().filter_map(|(at, units_done, attempts, of_this_attempt, reported_ms)| {
            let task = queue.tasks.get(at)?;
            let started_at = task.started_at().filter(|_| of_this_attempt).unwrap_or(time(1));
            let attempts = if of_this_attempt { task.attempts } else { attempts };
            Some(TaskProgress { task_id: task.id.clone(), started_at, attempts, units_done, reported_ms })
        });
        let row = ProgressRecord { player_id: player(), version: 0, tasks: known.collect() };
        let mut merged = queue.clone();
        merged.merge_progress(&row);
        for (before, after) in queue.tasks.iter().zip(&merged.tasks) {
            prop_assert!(after.units_done >= before.units_done);
            prop_assert_eq!(before.quarter(before.units_done), after.quarter(after.units_done));
            prop_assert_eq!(before.is_full(), after.is_full());
            if let Work::Units { units, .. } = after.work {
                prop_assert!(after.units_done <= units);
            } else {
                prop_assert_eq!(after.units_done, 0);
            }
        }
        let mut again = merged.clone();
        again.merge_progress(&row);
        prop_assert_eq!(&again, &merged, "merging again changes nothing");
        for (task, before) in merged.tasks.iter_mut().zip(&queue.tasks) {
            prop_assert!(task.deadline().map(|(at, _)| at) >= before.deadline().map(|(at, _)| at));
            restore_report(task, before);
        }
        prop_assert_eq!(merged, queue, "only units and reports are merged");
    }
}
