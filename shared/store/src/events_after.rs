//! Reads the events of a player from one event on.

use millrace_domain::{EventsRecord, PlayerId, SerializedEvent};

use crate::{
    error::StoreError,
    port::{PageOrder, RecordStore},
};

/// Most rows of one call.
const MAX_CALL_ROWS: usize = 100;
/// After this many bytes of events no further rows are read, so that an answer stays below the 6 MB
/// that Lambda allows.
const ENOUGH_BYTES: usize = 2 << 20;

/// The answer to [`events_after`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsAfter {
    /// The events in order, without a gap.
    pub events: Result<Vec<SerializedEvent>, EventsGone>,
    /// The number of pages that were read.
    pub calls: u64,
}

/// The next event is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the oldest event still there has the sequence {oldest}")]
pub struct EventsGone {
    /// The sequence of the oldest event that is still there.
    pub oldest: u64,
}

/// Reads at most `limit` events of a player that follow the event `after`. `None` begins with the
/// oldest one that is still there.
///
/// It may return fewer events although more follow. No events means that none follow.
///
/// # Errors
/// [`StoreError`] if the rows cannot be read.
pub async fn events_after(
    store: &(impl RecordStore + ?Sized),
    player: &PlayerId,
    after: Option<u64>,
    limit: usize,
) -> Result<EventsAfter, StoreError> {
    let row_limit = limit.min(MAX_CALL_ROWS);
    let cursor = EventsRecord::sort_key(after.unwrap_or_default());
    let mut page = store.events(player, PageOrder::OldestFirst, row_limit, Some(&cursor)).await?;
    let (mut events, mut calls): (Vec<SerializedEvent>, _) = (Vec::new(), 1);
    if let Some(after) = after
        && page.items.first().is_none_or(|row| row.first_sequence() != after.saturating_add(1))
    {
        // The next event may be in the middle of a row that begins before it.
        let cursor = EventsRecord::sort_key(after.saturating_add(1));
        let before = store.events(player, PageOrder::NewestFirst, 1, Some(&cursor)).await?;
        let rows = before.items.into_iter().flat_map(|row| row.events);
        events.extend(rows.filter(|event| event.sequence > after));
        calls += 1;
        if let Some(row) = page.items.first().filter(|_| events.is_empty()) {
            return Ok(EventsAfter { events: Err(EventsGone { oldest: row.first_sequence() }), calls });
        }
    }
    let mut bytes = 0;
    loop {
        for row in page.items {
            // What happened while the table was off is missing. The next read says so.
            let is_gap = events.last().is_some_and(|last| row.first_sequence() != last.sequence + 1);
            if is_gap || bytes >= ENOUGH_BYTES {
                page.next = None;
                break;
            }
            bytes += row.events.iter().map(|event| event.json.len()).sum::<usize>();
            events.extend(row.events);
        }
        let Some(next) = page.next.filter(|_| events.len() < limit) else { break };
        page = store.events(player, PageOrder::OldestFirst, row_limit, Some(&next)).await?;
        calls += 1;
    }
    events.truncate(limit);
    Ok(EventsAfter { events: Ok(events), calls })
}
