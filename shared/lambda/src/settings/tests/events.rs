//! Where events are published, and which.

use super::{error, read};
use crate::settings::EventTarget;

fn targets(value: &str) -> Vec<EventTarget> {
    read(&[("MILLRACE_EVENTS", value)]).unwrap().events.targets
}

#[test]
fn events_go_to_buses_queues_and_the_table() {
    assert!(targets("").is_empty() && read(&[]).unwrap().events.targets.is_empty());
    let (bus, arn) = ("millrace-events", "arn:aws:events:eu-west-1:123456789012:event-bus/game");
    let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo";
    let all = targets(&format!("eventbridge:{bus}, eventbridge:{arn},sqs:{queue},table"));
    let buses = [bus, arn].map(|bus| EventTarget::Bus(bus.to_owned()));
    assert_eq!(all, [buses.as_slice(), &[EventTarget::Queue(queue.to_owned()), EventTarget::Table]].concat());
    for value in [
        "Table",
        "table,",
        "table,table",
        "eventbridge",
        "eventbridge:",
        "eventbridge:a b",
        "eventbridge:arn:aws:events:eu-west-1:123456789012:rule/game",
        "eventbridge:arn:aws:sqs:eu-west-1:123456789012:event-bus/game",
        "sqs:events.fifo",
        "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events",
        "kinesis:stream",
    ] {
        let expected = format!(
            "MILLRACE_EVENTS={value} is not allowed; allowed: eventbridge:<name or ARN of an event bus>, sqs:<URL of \
             a FIFO queue>, table, separated by commas, each once"
        );
        assert_eq!(error("MILLRACE_EVENTS", value), expected);
    }
    assert!(!error("MILLRACE_EVENTS", "sqs:https://user:hunter2@sqs/1/q.fifo").contains("hunter2"));
}

#[test]
fn types_of_events_are_chosen_by_name() {
    let types = |value: &str| read(&[("MILLRACE_EVENTS_TYPES", value)]).unwrap().events.types;
    assert_eq!(types(""), None);
    assert_eq!(read(&[]).unwrap().events.types, None);
    assert_eq!(types("taskCompleted, taskFailed"), Some(vec!["taskCompleted", "taskFailed"]));
    assert_eq!(types("thresholdCrossed"), Some(vec!["thresholdCrossed"]));
    for value in ["taskcompleted", "taskCompleted,", "all", "taskFailed,taskFailed"] {
        let expected = format!("MILLRACE_EVENTS_TYPES={value} is not allowed; allowed: types of events, such as");
        assert!(error("MILLRACE_EVENTS_TYPES", value).starts_with(&expected));
    }
}
