//! Events of a player.

use millrace_domain::{EventsRecord, PlayerId, Record, record::Table};

use super::{
    sample,
    support::{SharedStore, write_records},
};
use crate::{
    events_after::{EventsGone, events_after},
    port::PageOrder,
};

const READABLE: &str = "the events are readable";

/// Writes one row for each of these commits, by the first and the last event.
async fn commits(store: &SharedStore, player: &PlayerId, commits: &[(u64, u64)]) -> Vec<EventsRecord> {
    let rows: Vec<_> = commits.iter().map(|(first, last)| sample::events(player, *first..=*last)).collect();
    let records: Vec<_> = rows.iter().cloned().map(Record::Events).collect();
    assert_eq!(write_records(&**store, Table::Events, &records).await, Ok(vec![]));
    rows
}

/// The sequences of the events after `after`, or the oldest one that is still there.
async fn sequences(
    store: &SharedStore,
    player: &PlayerId,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<u64>, EventsGone> {
    let read = events_after(&**store, player, after, limit).await.expect(READABLE);
    read.events.map(|events| events.iter().map(|event| event.sequence).collect())
}

/// A row is one commit, and every field of its events is read back. Pages have either order.
pub async fn rows_of_events_are_read_in_both_orders(store: SharedStore) {
    let player = sample::player();
    let mut rows = commits(&store, &player, &[(1, 3), (4, 4), (5, 12)]).await;
    for order in [PageOrder::OldestFirst, PageOrder::NewestFirst] {
        let first = store.events(&player, order, 2, None).await.expect(READABLE);
        assert_eq!((&*first.items, first.next.is_some()), (&rows[..2], true));
        let rest = store.events(&player, order, 2, first.next.as_deref()).await.expect(READABLE);
        assert_eq!((&*rest.items, rest.next), (&rows[2..], None));
        rows.reverse();
    }
}

/// Reading goes on after any event, also in the middle of a row, and has no gap.
pub async fn events_are_read_from_any_sequence(store: SharedStore) {
    let player = sample::player();
    commits(&store, &player, &[(1, 3), (4, 4), (5, 12)]).await;
    for limit in [1, 2, 5, 100] {
        for after in 0..=12 {
            let found = sequences(&store, &player, Some(after), limit).await.expect("nothing is gone");
            let expected: Vec<u64> = (after + 1..=12).take(limit).collect();
            assert_eq!(found, expected, "after {after}, limit {limit}");
        }
    }
    assert_eq!(sequences(&store, &player, Some(u64::MAX), 10).await, Ok(vec![]));
    assert_eq!(sequences(&store, &sample::player(), Some(0), 10).await, Ok(vec![]));
}

/// More rows than one call reads are read in several calls.
pub async fn events_of_many_commits_are_read(store: SharedStore) {
    let player = sample::player();
    for first in (1..=200).step_by(25) {
        commits(&store, &player, &(first..first + 25).map(|at| (at, at)).collect::<Vec<_>>()).await;
    }
    assert_eq!(sequences(&store, &player, Some(10), 150).await, Ok((11..=160).collect()));
    assert_eq!(sequences(&store, &player, None, 1_000).await, Ok((1..=200).collect()));
}

/// The reader is told which event is the oldest one that is still there.
pub async fn missing_events_are_reported(store: SharedStore) {
    let player = sample::player();
    commits(&store, &player, &[(8, 9), (10, 10), (15, 16)]).await;
    assert_eq!(sequences(&store, &player, Some(3), 10).await, Err(EventsGone { oldest: 8 }));
    assert_eq!(sequences(&store, &player, None, 10).await, Ok(vec![8, 9, 10]));
    assert_eq!(sequences(&store, &player, Some(7), 10).await, Ok(vec![8, 9, 10]), "a page has no gap");
    assert_eq!(sequences(&store, &player, Some(10), 10).await, Err(EventsGone { oldest: 15 }));
    assert_eq!(sequences(&store, &player, Some(14), 10).await, Ok(vec![15, 16]));
}
