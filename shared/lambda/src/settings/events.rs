//! Where events are published, and which.

use millrace_domain::event::EventType;
use millrace_performance::crossing::THRESHOLD_CROSSED;

use super::{error::SettingsError, reader::Reader, reference::table, values};

/// The most queues whose depth is shown.
const MAX_MONITORED_QUEUES: usize = 20;
/// The most characters of the name of an event bus.
const MAX_BUS_NAME_LENGTH: usize = 256;

/// Where events are published, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSettings {
    /// Where they go. Without targets no events are kept.
    pub targets: Vec<EventTarget>,
    /// The types that go to buses and queues; none: all types. The table gets all events.
    pub types: Option<Vec<&'static str>>,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTarget {
    /// The event bus with this name or ARN.
    Bus(String),
    /// The FIFO queue with this URL.
    Queue(String),
    /// The events table.
    Table,
}

impl Reader<'_> {
    /// The queues whose depth is shown.
    pub(super) fn monitored_queues(&self) -> Result<Vec<String>, SettingsError> {
        let urls = self.optional(&table::MONITORED_QUEUES, |value| {
            list(value, values::queue_url).filter(|urls| urls.len() <= MAX_MONITORED_QUEUES)
        })?;
        Ok(urls.unwrap_or_default())
    }

    pub(super) fn events(&self) -> Result<EventSettings, SettingsError> {
        Ok(EventSettings {
            targets: self.optional(&table::EVENTS, |value| list(value, target))?.unwrap_or_default(),
            types: self.optional(&table::EVENTS_TYPES, |value| list(value, event_type))?,
        })
    }
}

/// Reads a list separated by commas. An entry that is listed twice is not allowed.
fn list<T: PartialEq>(value: &str, entry: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut entries = Vec::new();
    for text in value.split(',') {
        let entry = entry(text.trim()).filter(|entry| !entries.contains(entry))?;
        entries.push(entry);
    }
    Some(entries)
}

fn target(value: &str) -> Option<EventTarget> {
    match value.split_once(':') {
        None => (value == "table").then_some(EventTarget::Table),
        Some(("eventbridge", bus)) => is_bus(bus).then(|| EventTarget::Bus(bus.to_owned())),
        Some(("sqs", url)) => values::queue_url(url).filter(|url| url.ends_with(".fifo")).map(EventTarget::Queue),
        Some(_) => None,
    }
}

/// Whether this is the name of an event bus, or an ARN such as
/// `arn:aws:events:eu-west-1:123456789012:event-bus/game`.
fn is_bus(value: &str) -> bool {
    let name = match value.split(':').collect::<Vec<_>>()[..] {
        [name] => Some(name),
        ["arn", _, "events", region, account, bus] if !region.is_empty() && !account.is_empty() => {
            bus.strip_prefix("event-bus/")
        }
        _ => None,
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    name.is_some_and(|name| (1..=MAX_BUS_NAME_LENGTH).contains(&name.len()) && name.bytes().all(is_allowed))
}

fn event_type(value: &str) -> Option<&'static str> {
    let of_queues = EventType::ALL.into_iter().map(|event_type| event_type.as_str());
    of_queues.chain([THRESHOLD_CROSSED]).find(|event_type| *event_type == value)
}
