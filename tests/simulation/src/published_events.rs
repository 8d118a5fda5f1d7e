//! What must hold for the events that were published, whatever happened to the processes.

use std::{collections::BTreeMap, sync::Arc};

use millrace_domain::{
    PlayerId, Queue, Record, codec,
    events::{
        fold::{FoldedQueue, fold},
        published::PublishedEvent,
    },
    record::Table,
};
use millrace_pipeline::EventDestination as _;
use millrace_store::memory::MemoryStore;

use crate::destination::FakeDestination;

/// The JSON of a player's events by their sequence.
type Events = BTreeMap<u64, String>;

/// Asserts that destinations, and the events table if it is on, have all events of all queues.
///
/// Events are numbered from 1 without a gap, all copies of an event have the same bytes, and the
/// stored queue is what its events tell. A destination that keeps the order has accepted an event
/// after all earlier ones of the player.
pub fn assert_all_published(store: &MemoryStore, destinations: &[Arc<FakeDestination>], table: bool, context: &str) {
    let queues: BTreeMap<PlayerId, Queue> =
        store.queues().into_iter().map(|(player, row)| (player, codec::decode(&row.queue).unwrap())).collect();
    let mut copies: Vec<BTreeMap<PlayerId, Events>> =
        destinations.iter().map(|destination| accepted_by(destination, context)).collect();
    let rows = rows_of(store);
    match table {
        true => copies.push(rows),
        false => assert!(rows.is_empty(), "{context}: the table is off"),
    }
    for (player, queue) in &queues {
        for copy in &copies {
            let events = copy.get(player).unwrap_or_else(|| panic!("{context}: {player} has no events"));
            let published: Vec<PublishedEvent> =
                events.values().map(|json| serde_json::from_str(json).unwrap()).collect();
            let told = fold(&published).unwrap_or_else(|error| panic!("{context}: {player}: {error}"));
            assert_eq!(told.event_sequence, queue.event_sequence, "{context}: the last events of {player} are missing");
            assert_eq!(told.without_reports(), FoldedQueue::from(queue).without_reports(), "{context}: {player}");
        }
    }
    for copy in &copies {
        assert_eq!(*copy, copies[0], "{context}: the copies differ");
        assert!(copy.keys().all(|player| queues.contains_key(player)), "{context}: events without a queue");
    }
}

fn accepted_by(destination: &FakeDestination, context: &str) -> BTreeMap<PlayerId, Events> {
    let mut players: BTreeMap<PlayerId, Events> = BTreeMap::new();
    for (id, json) in destination.accepted() {
        let event: PublishedEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(event.event_id, id, "{context}");
        let events = players.entry(event.player_id).or_default();
        let is_next = event.sequence <= events.len() as u64 + 1;
        assert!(is_next || !destination.keeps_order(), "{context}: {id} came before earlier events of the player");
        let first = events.entry(event.sequence).or_insert_with(|| json.clone());
        assert_eq!(*first, json, "{context}: two copies of {id} differ");
    }
    players
}

fn rows_of(store: &MemoryStore) -> BTreeMap<PlayerId, Events> {
    let mut players: BTreeMap<PlayerId, Events> = BTreeMap::new();
    for record in store.records(Table::Events) {
        let Record::Events(row) = record else { continue };
        let events = players.entry(row.player_id).or_default();
        events.extend(row.events.into_iter().map(|event| (event.sequence, event.json)));
    }
    players
}
