//! Which tasks start and finish.

use std::collections::BTreeSet;

use millrace_domain::{EventData, task::Outcome};
use proptest::prelude::*;

use crate::{
    accepted_specs, any_steps, check_events,
    observed_queue::ObservedQueue,
    support::{
        config,
        steps::{new_queue, take},
    },
};

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn every_queued_task_is_unfinished_or_finished_once(steps in any_steps()) {
        let (queue, observed) = check_events(&steps, |_, _| Ok(()))?;
        let mut known: Vec<_> = observed.finished.iter().map(|record| &record.task_id).collect();
        known.extend(queue.tasks.iter().map(|task| &task.id));
        known.sort();
        let mut queued: Vec<_> = observed.queued.iter().collect();
        queued.sort();
        prop_assert_eq!(&known, &queued);
        // Only the id of a task that failed or was cancelled may be used again.
        let mut taken = observed.finished.iter().filter(|record| record.outcome == Outcome::Completed).map(|r| &r.task_id).collect::<Vec<_>>();
        taken.extend(queue.tasks.iter().map(|task| &task.id));
        let different: BTreeSet<_> = taken.iter().collect();
        prop_assert_eq!(different.len(), taken.len());
        let totals = &queue.totals;
        prop_assert_eq!((totals.completed + totals.failed + totals.cancelled) as usize, observed.finished.len());
    }

    #[test]
    fn history_rows_have_the_order_in_which_the_tasks_ended(steps in any_steps()) {
        let (_, observed) = check_events(&steps, |_, _| Ok(()))?;
        let keys: Vec<_> = observed.finished.iter().map(|record| record.sort_key()).collect();
        prop_assert!(keys.is_sorted_by(|one, next| one < next), "{:?}", keys);
    }

    #[test]
    fn the_best_eligible_task_starts(steps in any_steps()) {
        check_events(&steps, |before, event| {
            if let EventData::TaskStarted(started) = &event.data {
                prop_assert_eq!(before.best_eligible_task(event.at), Some(&started.task.task_id));
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_starts_without_a_free_slot_or_while_paused(steps in any_steps()) {
        check_events(&steps, |before, event| {
            if let EventData::TaskStarted(_) = event.data {
                prop_assert!(before.active_tasks() < before.slots);
                prop_assert!(!before.paused);
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_completes_while_paused(steps in any_steps()) {
        check_events(&steps, |before, event| {
            if let EventData::TaskFinished(record) = &event.data {
                prop_assert!(!(before.paused && record.outcome == Outcome::Completed));
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_slot_stays_free_while_a_task_is_eligible(steps in any_steps()) {
        let mut queue = new_queue();
        let mut observed = ObservedQueue::new();
        for step in &steps {
            let result = take(&mut queue, step);
            observed.add_specs(accepted_specs(step, &result));
            result.events.iter().for_each(|event| observed.observe(event));
            if !observed.paused && observed.active_tasks() < observed.slots {
                prop_assert_eq!(observed.best_eligible_task(queue.advanced_to), None);
            }
        }
    }

    #[test]
    fn no_task_starts_before_all_its_prerequisites_have_completed(steps in any_steps()) {
        check_events(&steps, |before, event| {
            if let EventData::TaskStarted(started) = &event.data {
                let prerequisites = &before.specs[&started.task.task_id].prerequisites;
                prop_assert!(prerequisites.iter().all(|id| before.completed.contains(id)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_task_outlives_a_prerequisite_that_did_not_complete(steps in any_steps()) {
        let (_, observed) = check_events(&steps, |_, _| Ok(()))?;
        for task in observed.tasks.values() {
            let may_complete = |id| observed.completed.contains(id) || observed.tasks.contains_key(id);
            prop_assert!(task.spec.prerequisites.iter().all(may_complete));
        }
    }
}
