//! What a commit has led to, and what is written and published after it.

use minicbor::{Decode, Encode};

use crate::{
    events::published::PublishedEvent,
    model::{
        event::{Event, EventData},
        events_record::EventsRecord,
        ids::PlayerId,
        record::Record,
    },
};

/// The records and events of a queue's last commit. They stay in its row until the next commit.
///
/// Events are kept as values, because as JSON they take several times the bytes of the row. The
/// record of a task's end is inside its event if events are published.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Outbox {
    /// Records that are not part of an event.
    #[cbor(n(0), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub records: Vec<Record>,
    /// The events that are published, in their order.
    #[cbor(n(1), with = "crate::model::encoding::list", skip_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

impl Outbox {
    /// Whether the commit has led to nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty()
    }

    /// Adds an event, as it is stored. Without publishing, only the record of a task's end is kept.
    pub fn add_event(&mut self, event: Event, publishes: bool) {
        match event.data {
            EventData::TaskFinished(record) if !publishes => self.records.push(Record::History(record)),
            _ if publishes => self.events.push(Event { missed_deadline: None, ..event }),
            _ => {}
        }
    }

    /// The records and the events of the commit that made this version of the queue.
    pub fn into_records(self, player_id: &PlayerId, version: u64) -> (Vec<Record>, Option<EventsRecord>) {
        let Self { mut records, events } = self;
        if events.is_empty() {
            return (records, None);
        }
        let mut serialized = Vec::with_capacity(events.len());
        for event in events {
            serialized.push(PublishedEvent::new(&event, player_id, version).to_serialized());
            if let EventData::TaskFinished(record) = event.data {
                records.push(Record::History(record));
            }
        }
        (records, Some(EventsRecord { player_id: player_id.clone(), events: serialized }))
    }
}
