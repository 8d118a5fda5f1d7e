//! The JSON of events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{Command, events::fold::fold, testing::*};

/// The JSON of all events since the last time, in the commit of version 12.
fn published(test: &mut TestQueue) -> Vec<serde_json::Value> {
    let player_id = PlayerId::new("p-1").unwrap();
    let json = |event: &Event| PublishedEvent::new(event, &player_id, 12).to_json();
    let events = test.drain_events();
    events.iter().map(|event| serde_json::from_str(&json(event)).unwrap()).collect()
}

/// The fields of an event without those that every event has.
fn data(mut event: serde_json::Value) -> serde_json::Value {
    for field in ["eventId", "playerId", "sequence", "version", "at"] {
        assert!(event.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    event
}

fn all_data(test: &mut TestQueue) -> Vec<serde_json::Value> {
    published(test).into_iter().map(data).collect()
}

#[test]
fn a_started_task_has_its_payload_its_deadline_and_the_costs_that_it_pays() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    let payload = Some(crate::testing::json("{\"cell\": [1, 2]}"));
    test.enqueue(7, [TaskSpec { payload, costs: gold(5), ..with_heartbeat("t-1", 100, 1_000) }]);
    let event = published(&mut test).pop().unwrap();
    assert_eq!(
        event,
        json!({
            "eventId": "p-1/3", "playerId": "p-1", "sequence": 3, "version": 12, "at": at(7), "type": "taskStarted",
            "task": {"taskId": "t-1", "kind": "test", "attempt": 1, "payload": {"cell": [1, 2]}, "units": 100,
                     "deadline": at(1_007)},
            "costs": {"gold": 5},
        })
    );
}

#[test]
fn a_queued_task_has_all_fields_of_the_command_with_their_defaults() {
    let mut test = TestQueue::new();
    let spec = TaskSpec {
        prerequisites: ids(["a"]),
        rewards: gold(3),
        not_before: Some(at(9)),
        ..with_heartbeat("b", 5, 60_000)
    };
    test.enqueue(0, [timed("a", 10), spec]);
    let queued = &all_data(&mut test)[..2];
    let timed = json!({"type": "taskQueued", "task": {
        "taskId": "a", "kind": "test", "priority": "normal", "work": {"durationMs": 10}, "maxRetries": 3,
        "retryDelayMs": 1000}});
    let reported = json!({"type": "taskQueued", "task": {
        "taskId": "b", "kind": "test", "priority": "normal", "work": {"units": 5, "heartbeatMs": 60000},
        "notBefore": at(9), "prerequisites": ["a"], "rewards": {"gold": 3}, "maxRetries": 3, "retryDelayMs": 1000}});
    assert_eq!(queued, [timed, reported]);
}

#[test]
fn a_task_is_followed_from_its_milestones_to_its_end() {
    let mut test = TestQueue::new();
    test.enqueue(0, [TaskSpec { rewards: gold(3), retry_delay_ms: 0, ..reported("a", 100) }]);
    test.clear_events();
    test.apply(1, report("a", 60));
    test.apply(2, fail("a"));
    test.apply(4, complete("a", Some("[7]")));
    let task = |attempt: u64| json!({"taskId": "a", "kind": "test", "attempt": attempt});
    assert_eq!(
        all_data(&mut test),
        [
            json!({"type": "taskProgressed", "task": task(1), "percent": 50}),
            json!({"type": "taskRetried", "task": task(1), "reason": "broken", "notBefore": at(2)}),
            json!({"type": "taskStarted", "task": {"taskId": "a", "kind": "test", "attempt": 2, "units": 100}}),
            json!({"type": "taskCompleted", "task": task(2), "rewards": {"gold": 3}, "result": [7], "timeSpentMs": 2}),
            json!({"type": "queueEmptied"}),
        ]
    );
}

#[test]
fn only_a_cancelled_task_that_was_active_has_an_attempt() {
    let mut test = TestQueue::new();
    test.apply(0, grant(gold(5)));
    test.enqueue(0, [TaskSpec { costs: gold(5), ..reported("a", 1) }, timed("b", 1)]);
    test.clear_events();
    test.apply(1, Command::ClearQueue);
    assert_eq!(
        all_data(&mut test),
        [
            json!({"type": "taskCancelled", "task": {"taskId": "a", "kind": "test", "attempt": 1},
                   "reason": "queue_cleared", "refunds": {"gold": 5}}),
            json!({"type": "taskCancelled", "task": {"taskId": "b", "kind": "test"}, "reason": "queue_cleared"}),
            json!({"type": "queueEmptied"}),
        ]
    );
    test.enqueue(2, [TaskSpec { max_retries: 0, ..reported("c", 1) }]);
    test.clear_events();
    test.apply(3, fail("c"));
    let failed =
        json!({"type": "taskFailed", "task": {"taskId": "c", "kind": "test", "attempt": 1}, "reason": "broken"});
    assert_eq!(all_data(&mut test)[0], failed);
}

#[test]
fn commands_that_change_the_queue_itself_have_their_events() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 50), timed("b", 50), timed("c", 50)]);
    test.clear_events();
    test.apply(1, set_priority("b", crate::Priority::High));
    test.apply(1, move_to_front("c"));
    test.apply(2, slots(1));
    test.apply(2, Command::ConfigureQueue { slots: Some(2), max_tasks: None });
    test.apply(3, Command::PauseQueue);
    test.apply(4, Command::ResumeQueue);
    test.apply(5, grant(amounts([("gold", crate::MAX_AMOUNT)])));
    test.apply(5, grant(amounts([("gold", 2), ("wood", 1)])));
    test.refuse(6, cancel("none"));
    let events: Vec<_> = all_data(&mut test).into_iter().filter(|event| event["type"] != "taskStarted").collect();
    assert_eq!(
        events,
        [
            json!({"type": "taskChanged", "task": {"taskId": "b"}, "priority": "high"}),
            json!({"type": "taskChanged", "task": {"taskId": "c"}, "movedToFront": true}),
            json!({"type": "queueConfigured", "slots": 2, "maxTasks": 50}),
            json!({"type": "queuePaused"}),
            json!({"type": "queueResumed"}),
            json!({"type": "resourcesGranted", "resources": {"gold": crate::MAX_AMOUNT}}),
            json!({"type": "resourcesGranted", "resources": {"wood": 1}, "lost": {"gold": 2}}),
            json!({"type": "commandRejected", "commandId": "c-10", "reason": "unknown_task",
                   "detail": "taskId: no unfinished task `none` is in this queue"}),
        ]
    );
}

#[test]
fn a_command_that_changes_nothing_has_no_event() {
    let mut test = TestQueue::new();
    test.enqueue(0, [timed("a", 50), timed("b", 1)]);
    test.clear_events();
    for command in [
        set_priority("b", crate::Priority::Normal),
        Command::ResumeQueue,
        Command::ConfigureQueue { slots: Some(1), max_tasks: Some(50) },
        grant(amounts([])),
        grant(amounts([("gold", 0)])),
    ] {
        test.apply(1, command);
    }
    assert_eq!((published(&mut test), test.queue.event_sequence), (Vec::new(), 3));
    let mut empty = TestQueue::new();
    empty.apply(0, Command::ClearQueue);
    assert_eq!(empty.queue.event_sequence, 0);
}

#[test]
fn event_is_serialized_with_its_sequence_and_type() {
    let event = Event::new(7, at(0), EventData::QueuePaused);
    let serialized = PublishedEvent::new(&event, &PlayerId::new("p-1").unwrap(), 3).to_serialized();
    assert_eq!((serialized.sequence, serialized.event_type.as_ref()), (7, "queuePaused"));
    assert!(serialized.json.starts_with(r#"{"eventId":"p-1/7","playerId":"p-1","sequence":7,"version":3,"at":"#));
    for event_type in EventType::ALL {
        assert_eq!(serde_json::to_value(event_type).unwrap(), event_type.as_str());
    }
}

#[test]
fn the_documented_events_are_all_types_and_add_up_to_a_queue() {
    let page = include_str!("../../../../../docs/events.md");
    let (_, rest) = page.split_once("```json\n").expect("a block of events");
    let (block, _) = rest.split_once("```").expect("the end of the block");
    let values: Vec<Value> =
        serde_json::Deserializer::from_str(block).into_iter().collect::<Result<_, _>>().expect("events in JSON");
    let events: Vec<PublishedEvent> =
        values.iter().map(|value| serde_json::from_value(value.clone()).expect("an event")).collect();
    for (event, value) in events.iter().zip(&values) {
        assert_eq!(serde_json::from_str::<Value>(&event.to_json()).unwrap(), *value, "a field is unknown or missing");
    }
    let types: BTreeSet<EventType> = events.iter().map(|event| event.event_type).collect();
    assert_eq!(types, EventType::ALL.into(), "each type has an example");
    for name in EventType::ALL.map(EventType::as_str) {
        let is_row = |line: &str| line.starts_with("| ") && line.contains(&format!("`{name}`"));
        assert!(page.lines().any(is_row), "{name} is not in the table of types");
    }
    let queue = fold(&events).expect("the events follow each other");
    assert!(queue.tasks.is_empty(), "{:?}", queue.tasks);
    assert_eq!(queue.totals.finished(), 3);
    assert_eq!(queue.balances.iter().map(|(_, amount)| amount).collect::<Vec<_>>(), [4, 20]);
}
