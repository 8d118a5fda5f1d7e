//! What is held: grants, rewards, refunds and costs, to the last unit.

use std::collections::BTreeMap;

use millrace_domain::{Event, MAX_AMOUNT, Resources, task::Outcome};
use proptest::prelude::*;

use crate::{
    any_steps,
    support::{RESOURCES, config},
    watch,
};

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn rewards_credited_are_the_rewards_of_completed_tasks(steps in any_steps()) {
        let (queue, mirror) = watch(&steps, |_, _| Ok(()))?;
        let mut credited: BTreeMap<String, u128> = BTreeMap::new();
        for record in &mirror.ended {
            let rewards = &mirror.specs[&record.task_id].rewards;
            for name in RESOURCES {
                let (given, lost) = (record.rewards.get(name), record.lost.get(name));
                match record.outcome {
                    Outcome::Completed => prop_assert_eq!(given + lost, rewards.get(name)),
                    _ => prop_assert_eq!(given, 0),
                }
                *credited.entry(name.to_owned()).or_default() += u128::from(given);
            }
        }
        for (name, credited) in credited {
            let total = u128::from(queue.totals.rewards.get(&name));
            prop_assert_eq!(total, credited.min(u128::from(MAX_AMOUNT)));
        }
        prop_assert_eq!(queue.totals.completed as usize, mirror.completed.len());
    }

    #[test]
    fn balances_are_grants_and_rewards_and_refunds_less_costs_and_losses(steps in any_steps()) {
        let (queue, mirror) = watch(&steps, |_, _| Ok(()))?;
        for name in RESOURCES {
            prop_assert_eq!(i128::from(queue.balances.get(name)), mirror.held(name), "{}", name);
        }
    }

    #[test]
    fn costs_are_given_back_on_cancellation_and_never_otherwise(steps in any_steps()) {
        watch(&steps, |before, event| {
            if let Event::TaskFinished(record) = event {
                let task = &before.tasks[&record.task_id];
                let paid = if task.started_ever { task.spec.costs.clone() } else { Resources::new() };
                for name in RESOURCES {
                    prop_assert_eq!(record.costs.get(name), paid.get(name), "what was paid");
                    match record.outcome {
                        Outcome::Cancelled => {
                            prop_assert_eq!(record.refunded.get(name) + record.lost.get(name), paid.get(name));
                        }
                        _ => prop_assert_eq!(record.refunded.get(name), 0),
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_lost_is_only_what_passes_the_limit(steps in any_steps()) {
        watch(&steps, |before, event| {
            let (added, lost) = match event {
                Event::ResourcesGranted { resources, lost } => (resources.clone(), lost.clone()),
                Event::TaskFinished(record) => {
                    let mut added = record.rewards.clone();
                    added.add_all(&record.refunded);
                    added.add_all(&record.lost);
                    (added, record.lost.clone())
                }
                _ => return Ok(()),
            };
            for name in RESOURCES {
                let over = before.held(name) + i128::from(added.get(name)) - i128::from(MAX_AMOUNT);
                prop_assert_eq!(i128::from(lost.get(name)), over.max(0), "{} of {:?}", name, event);
            }
            Ok(())
        })?;
    }

    #[test]
    fn balances_are_never_negative_and_never_above_the_limit(steps in any_steps()) {
        let (_, mirror) = watch(&steps, |before, _| {
            prop_assert_eq!(before.out_of_bounds(), None);
            Ok(())
        })?;
        prop_assert_eq!(mirror.out_of_bounds(), None);
    }
}
