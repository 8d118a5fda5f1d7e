//! Events: numbered without a gap, complete, and never without a change.

use millrace_domain::{
    Event, EventData, Queue, Rules,
    events::{
        fold::{FoldError, FoldedQueue, fold},
        published::PublishedEvent,
    },
};
use proptest::prelude::*;

use crate::{
    CENTURY, any_rules, any_steps,
    support::{
        config,
        steps::{new_queue, player, take_under},
    },
};

/// An event as a consumer reads it.
fn read(event: &Event, version: u64) -> PublishedEvent {
    let published = PublishedEvent::new(event, &player(), version);
    let read: PublishedEvent = serde_json::from_str(&published.to_json()).unwrap();
    assert_eq!(read, published);
    read
}

fn told(queue: &Queue) -> FoldedQueue {
    FoldedQueue::from(queue).without_reports()
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn a_queue_is_rebuilt_from_its_events(steps in any_steps(), rules in any_rules()) {
        let (mut queue, mut folded, mut all) = (new_queue(), FoldedQueue::new(), Vec::new());
        for step in &steps {
            let result = take_under(rules, &mut queue, step);
            for event in result.events.iter().map(|event| read(event, queue.version)) {
                folded.add(&event).unwrap();
                all.push(event);
            }
            prop_assert_eq!(folded.clone().without_reports(), told(&queue));
            let milestone = |units: u64, done: u64| 4 * done / units.max(1);
            for (task, known) in queue.tasks.iter().zip(&folded.tasks).filter(|(task, _)| !task.is_full()) {
                let units = task.work.reported_units().unwrap_or_default();
                prop_assert_eq!(milestone(units, task.units_done), milestone(units, known.units_done));
            }
        }
        let mut events = Vec::new();
        queue.advance(queue.advanced_to + CENTURY, rules, &mut events);
        all.extend(events.iter().map(|event| read(event, 1)));
        prop_assert_eq!(fold(&all).unwrap().without_reports(), told(&queue));
        // Each event may come again at any time after its first copy.
        let copies: Vec<_> = all.iter().enumerate().flat_map(|(at, event)| [event, &all[at / 2]]).collect();
        prop_assert_eq!(fold(copies).unwrap(), fold(&all).unwrap());
    }

    #[test]
    fn events_are_numbered_without_a_gap(steps in any_steps(), rules in any_rules()) {
        let (mut queue, mut last) = (new_queue(), 0);
        for step in &steps {
            for event in take_under(rules, &mut queue, step).events {
                prop_assert_eq!(event.sequence, last + 1);
                last += 1;
            }
            prop_assert_eq!(queue.event_sequence, last);
        }
    }

    #[test]
    fn a_missing_event_is_noticed(steps in any_steps(), missing in any::<prop::sample::Index>()) {
        let (mut queue, mut events) = (new_queue(), Vec::new());
        for step in &steps {
            events.extend(take_under(Rules::default(), &mut queue, step).events.iter().map(|event| read(event, 1)));
        }
        prop_assume!(events.len() > 1);
        let missing = missing.index(events.len() - 1);
        events.remove(missing);
        let (last, found) = (missing as u64, missing as u64 + 2);
        prop_assert_eq!(fold(&events), Err(FoldError::Gap { last, found }));
    }

    #[test]
    fn no_event_is_without_a_change(steps in any_steps(), rules in any_rules()) {
        let (mut queue, mut folded) = (new_queue(), FoldedQueue::new());
        for step in &steps {
            for event in take_under(rules, &mut queue, step).events {
                let before = folded.clone();
                folded.add(&read(&event, 1)).unwrap();
                let unnumbered = FoldedQueue { event_sequence: before.event_sequence, ..folded.clone() };
                let is_change = match &event.data {
                    EventData::QueueEmptied => folded.tasks.is_empty(),
                    EventData::CommandRejected { .. } => true,
                    EventData::ResourcesGranted { lost, .. } if !lost.is_empty() => true,
                    _ => unnumbered != before,
                };
                prop_assert!(is_change, "{:?}", event);
            }
        }
    }
}
