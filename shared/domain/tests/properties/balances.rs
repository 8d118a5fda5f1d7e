//! Balances: grants, rewards, refunds and costs add up.

use std::collections::BTreeMap;

use millrace_domain::{EventData, MAX_AMOUNT, Resources, task::Outcome};
use proptest::prelude::*;

use crate::{
    any_steps, check_events,
    support::{config, steps::RESOURCES},
};

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn credited_rewards_are_the_rewards_of_completed_tasks(steps in any_steps()) {
        let (queue, observed) = check_events(&steps, |_, _| Ok(()))?;
        let mut credited: BTreeMap<String, u128> = BTreeMap::new();
        for record in &observed.finished {
            let rewards = &observed.specs[&record.task_id].rewards;
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
        prop_assert_eq!(queue.totals.completed as usize, observed.completed.len());
    }

    #[test]
    fn balances_are_grants_rewards_and_refunds_less_costs_and_losses(steps in any_steps()) {
        let (queue, observed) = check_events(&steps, |_, _| Ok(()))?;
        for name in RESOURCES {
            prop_assert_eq!(i128::from(queue.balances.get(name)), observed.balance(name), "{}", name);
        }
    }

    #[test]
    fn costs_are_refunded_on_cancellation_only(steps in any_steps()) {
        check_events(&steps, |before, event| {
            if let EventData::TaskFinished(record) = &event.data {
                let task = &before.tasks[&record.task_id];
                let paid = if task.has_started { task.spec.costs.clone() } else { Resources::new() };
                for name in RESOURCES {
                    prop_assert_eq!(record.costs.get(name), paid.get(name), "costs paid");
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
    fn only_what_exceeds_the_limit_is_lost(steps in any_steps()) {
        check_events(&steps, |before, event| {
            let (added, lost) = match &event.data {
                EventData::ResourcesGranted { resources, lost } => {
                    let mut granted = resources.clone();
                    granted.add_all(lost);
                    (granted, lost.clone())
                }
                EventData::TaskFinished(record) => {
                    let mut added = record.rewards.clone();
                    added.add_all(&record.refunded);
                    added.add_all(&record.lost);
                    (added, record.lost.clone())
                }
                _ => return Ok(()),
            };
            for name in RESOURCES {
                let over = before.balance(name) + i128::from(added.get(name)) - i128::from(MAX_AMOUNT);
                prop_assert_eq!(i128::from(lost.get(name)), over.max(0), "{} of {:?}", name, event);
            }
            Ok(())
        })?;
    }

    #[test]
    fn balances_stay_between_zero_and_the_limit(steps in any_steps()) {
        let (_, observed) = check_events(&steps, |before, _| {
            prop_assert_eq!(before.out_of_bounds(), None);
            Ok(())
        })?;
        prop_assert_eq!(observed.out_of_bounds(), None);
    }
}
