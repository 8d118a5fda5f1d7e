//! Who starts and who ends.

use std::collections::BTreeSet;

use millrace_domain::{Event, task::Outcome};
use proptest::prelude::*;

use crate::{
    accepted_specs, any_steps,
    mirror::Mirror,
    support::{config, new_queue, take},
    watch,
};

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn nothing_ends_twice_and_no_task_vanishes(steps in any_steps()) {
        let (queue, mirror) = watch(&steps, |_, _| Ok(()))?;
        let mut told: Vec<_> = mirror.ended.iter().map(|record| &record.task_id).collect();
        told.extend(queue.tasks.iter().map(|task| &task.id));
        told.sort();
        let mut queued: Vec<_> = mirror.queued.iter().collect();
        queued.sort();
        prop_assert_eq!(&told, &queued);
        let different: BTreeSet<_> = queued.iter().collect();
        prop_assert_eq!(different.len(), queued.len());
        let totals = &queue.totals;
        prop_assert_eq!((totals.completed + totals.failed + totals.cancelled) as usize, mirror.ended.len());
    }

    #[test]
    fn who_starts_is_the_best_of_those_that_may(steps in any_steps()) {
        watch(&steps, |before, event| {
            if let Event::TaskStarted { task_id, at } = event {
                prop_assert_eq!(before.best(*at), Some(task_id));
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_starts_without_a_free_slot_or_while_paused(steps in any_steps()) {
        watch(&steps, |before, event| {
            if let Event::TaskStarted { .. } = event {
                prop_assert!(before.active() < before.slots);
                prop_assert!(!before.paused);
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_completes_while_paused(steps in any_steps()) {
        watch(&steps, |before, event| {
            if let Event::TaskFinished(record) = event {
                prop_assert!(!(before.paused && record.outcome == Outcome::Completed));
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_slot_stays_free_while_a_task_may_start(steps in any_steps()) {
        let mut queue = new_queue();
        let mut mirror = Mirror::new();
        for step in &steps {
            let outcome = take(&mut queue, step);
            mirror.learn(accepted_specs(step, &outcome));
            outcome.events.iter().for_each(|event| mirror.observe(event));
            if !mirror.paused && mirror.active() < mirror.slots {
                prop_assert_eq!(mirror.best(queue.advanced_to), None);
            }
        }
    }

    #[test]
    fn no_task_starts_before_all_its_prerequisites_have_completed(steps in any_steps()) {
        watch(&steps, |before, event| {
            if let Event::TaskStarted { task_id, .. } = event {
                let waits_for = &before.specs[task_id].prerequisites;
                prop_assert!(waits_for.iter().all(|id| before.completed.contains(id)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_task_outlives_a_prerequisite_that_did_not_complete(steps in any_steps()) {
        let (_, mirror) = watch(&steps, |_, _| Ok(()))?;
        let lost: BTreeSet<_> =
            mirror.ended.iter().filter(|record| record.outcome != Outcome::Completed).map(|r| &r.task_id).collect();
        for task in mirror.tasks.values() {
            prop_assert!(!task.spec.prerequisites.iter().any(|id| lost.contains(id)));
        }
    }
}
