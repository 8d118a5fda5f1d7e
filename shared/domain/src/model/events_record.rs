//! The events of one commit as they are published and kept.

use std::borrow::Cow;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::model::ids::PlayerId;

/// The events of one commit. They are one row of the events table. An outbox has the events
/// themselves, which take fewer bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct EventsRecord {
    /// The owner of the queue.
    #[n(0)]
    pub player_id: PlayerId,
    /// The events in the order of their sequence; at least one.
    #[cbor(n(1), with = "crate::model::encoding::list")]
    pub events: Vec<SerializedEvent>,
}

/// One event as JSON. A release that does not know its type can still publish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(map)]
pub struct SerializedEvent {
    /// Its number among the events of the player, from 1 without a gap.
    #[n(0)]
    pub sequence: u64,
    /// Its type, such as `taskStarted`.
    #[serde(rename = "type")]
    #[n(1)]
    pub event_type: Cow<'static, str>,
    /// The whole event as compact JSON. Every copy of an event has the same bytes.
    #[n(2)]
    pub json: String,
}

impl EventsRecord {
    /// The sequence of the first event; 0 without events.
    pub fn first_sequence(&self) -> u64 {
        self.events.first().map_or(0, |event| event.sequence)
    }

    /// The sort key of the row that begins with this event. It has 16 digits, as many as the
    /// largest number that every JSON reader knows exactly.
    pub fn sort_key(first_sequence: u64) -> String {
        format!("{first_sequence:016}")
    }

    pub(crate) fn size(&self) -> usize {
        let events = self.events.iter().map(|event| 50 + event.event_type.len() + event.json.len());
        100 + self.player_id.as_str().len() + events.sum::<usize>()
    }
}
