//! The port of what events are published to.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use millrace_telemetry::trace::TraceContext;

use crate::send_answer::SendAnswer;

/// Most events of one call, as of EventBridge and SQS.
pub const MAX_CALL_EVENTS: usize = 10;
/// Most bytes of the events of one call. EventBridge and SQS take 1 MiB, names and attributes
/// included.
pub const MAX_CALL_BYTES: usize = 1_000_000;

/// An event on its way to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingEvent<'a> {
    /// What the event belongs to, whose events stay in order: the id of a player, or `#` and the id
    /// of a threshold.
    pub group: &'a str,
    /// The number of the event in its group.
    pub sequence: u64,
    /// The type of the event, such as `taskStarted`.
    pub event_type: &'a str,
    /// The whole event in JSON. It is the same in each copy.
    pub json: &'a str,
    /// The trace of the message that led to it; none if it is unknown.
    pub trace: Option<TraceContext>,
}

impl OutgoingEvent<'_> {
    /// The id of the event, the same in each copy.
    pub fn event_id(&self) -> EventId<'_> {
        EventId { group: self.group, sequence: self.sequence }
    }

    /// About how many bytes the event takes in a call.
    pub fn size(&self) -> usize {
        512 + self.json.len()
    }
}

/// `<playerId>/<sequence>`, or the same for another group.
#[derive(Debug, Clone, Copy)]
pub struct EventId<'a> {
    group: &'a str,
    sequence: u64,
}

impl fmt::Display for EventId<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.group, self.sequence)
    }
}

/// Something that events are published to, such as an event bus or a queue.
#[async_trait]
pub trait EventDestination: Send + Sync {
    /// Whether it delivers the events of a group in the order in which it accepted them. Then an
    /// event is sent once all earlier ones of the group are accepted.
    fn keeps_order(&self) -> bool;

    /// Sends at most [`MAX_CALL_EVENTS`] events in one call.
    ///
    /// # Errors
    /// [`Failure`](crate::Failure) where the call failed: none, some or all of the events may have
    /// been accepted.
    async fn send(&self, events: &[OutgoingEvent<'_>]) -> SendAnswer;
}

/// Where events are published, and which.
#[derive(Clone)]
pub struct Publishing {
    /// Event buses and queues.
    pub destinations: Vec<Arc<dyn EventDestination>>,
    /// The types that go to them; none: all types.
    pub types: Option<Vec<&'static str>>,
    /// Whether the events table gets all events.
    pub table: bool,
}

impl Publishing {
    /// Whether events of this type are published at all.
    pub fn publishes(&self, event_type: &str) -> bool {
        self.table || self.sends(event_type)
    }

    /// Whether events of this type go to buses and queues.
    pub fn sends(&self, event_type: &str) -> bool {
        !self.destinations.is_empty() && self.types.as_ref().is_none_or(|types| types.contains(&event_type))
    }
}
