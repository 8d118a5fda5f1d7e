//! Events of a player in order, from the events table.
//!
//! Most readers ask again and again for events that follow the last one that they have. So the
//! queue is read first, from the caches if they have it. If its last event is the one that the
//! reader has, none follow, and the events table is not read. A copy is as fresh as for any other
//! read. In emergency mode copies may be older, so the events table is read in any case.

use millrace_domain::{PlayerId, SerializedEvent};
use millrace_pipeline::{Context, Failure, Invocation, Platform, performance::ReadReport};
use millrace_store::events_after;
use tokio::time::timeout_at;

use crate::{queue::read_queue, read_error::ReadError};

/// Which events of a player are read.
#[derive(Debug, Clone, Copy)]
pub struct EventsRequest<'a> {
    /// The player.
    pub player_id: &'a PlayerId,
    /// The sequence of the last event that the reader has; none: the oldest events that are kept.
    pub after: Option<u64>,
    /// Most events.
    pub limit: usize,
    /// The version that the queue must have reached; 0 for any.
    pub at_least: u64,
}

/// Events that were read.
#[derive(Debug, Clone)]
pub struct EventsRead {
    /// The events in order. It may be fewer than the limit although more follow; none: none follow.
    pub events: Vec<SerializedEvent>,
    /// What it took.
    pub report: ReadReport,
}

/// Reads events.
///
/// # Errors
/// [`ReadError`] where no events are kept, the next event is gone, the player is unknown, its queue
/// has not reached the version, or the rows cannot be read.
pub async fn read_events(
    platform: &Platform,
    request: EventsRequest<'_>,
    invocation: &Invocation,
) -> Result<EventsRead, ReadError> {
    if !platform.keeps_events() {
        return Err(ReadError::EventsNotKept);
    }
    let EventsRequest { player_id, after, limit, at_least } = request;
    let ctx = Context::new(platform, invocation);
    let mut report = ReadReport::default();
    if after.is_some() || at_least > 0 {
        // Events are written before a command is answered and its queue is cached. So a caller that
        // knows a version finds its events.
        match read_queue(platform, player_id, at_least, invocation).await {
            Ok(read) if after == Some(read.cached.queue.event_sequence) && !is_emergency(&ctx) => {
                return Ok(EventsRead { events: Vec::new(), report: read.report });
            }
            Ok(read) => report = ReadReport { found: None, ..read.report },
            // The events can be readable although the queue is not.
            Err(ReadError::Failed(_)) if at_least == 0 => {}
            Err(error) => return Err(error),
        }
    }
    let read = timeout_at(ctx.deadline, events_after(platform.store.as_ref(), player_id, after, limit)).await;
    let read = read.map_err(|_| ReadError::Failed(Failure::deadline()))??;
    let events = read.events.map_err(|gone| ReadError::EventsGone { oldest: gone.oldest })?;
    if events.is_empty() && after.is_none() && at_least == 0 {
        // No events are an answer where the player exists, and an error where it does not.
        report = read_queue(platform, player_id, 0, invocation).await?.report;
        report.found = None;
    }
    report.calls += read.calls;
    report.processing_time = ctx.started.elapsed();
    Ok(EventsRead { events, report })
}

fn is_emergency(ctx: &Context<'_>) -> bool {
    ctx.platform.cache.emergency(ctx.now).is_some()
}
