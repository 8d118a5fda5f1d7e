//! Publishes the events of commits.
//!
//! A destination gets its events in calls of ten. Where it keeps the order of a player's events, an
//! event is sent once all earlier ones of its player are accepted, so a call has one event of each
//! player. All destinations are served at the same time.

use std::collections::BTreeMap;

use futures::{StreamExt, future::join_all, stream};
use millrace_domain::{EventsRecord, FailureReason, Record, record::StatsRecord};
use millrace_store::{Grouping, RecordWrite};
use millrace_telemetry::{Usage, costs::billed_requests, trace::TraceContext};

use crate::{
    context::Context,
    counters::Counters,
    event_destination::{EventDestination, MAX_CALL_BYTES, MAX_CALL_EVENTS, OutgoingEvent},
    failure::Failure,
    send_call::send_call,
};

/// The events of one commit, with the position of what they belong to.
#[derive(Debug)]
pub struct CommitEvents {
    /// The position of the player or the request.
    pub origin: usize,
    /// The events.
    pub record: EventsRecord,
    /// The totals after the commit. Their row, which is written once the events are published, says
    /// so.
    pub stats: StatsRecord,
    /// How the row of the totals is written.
    pub grouping: Grouping,
    /// The trace of the message that led to the commit; none if it is unknown.
    pub trace: Option<TraceContext>,
}

/// An event with its origin.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    origin: usize,
    event: OutgoingEvent<'a>,
}

/// What became of the events of some queues.
#[derive(Debug, Default)]
struct Published {
    calls: u64,
    usage: Usage,
    /// The origins whose events were not all accepted.
    failed: Vec<(usize, Failure)>,
}

/// Publishes the events of commits, and writes their totals. The row of the totals says that
/// everything is published, so that no later load publishes the events again. Returns the origins
/// for which that failed, each with the reason.
pub async fn publish(
    ctx: &Context<'_>,
    commits: Vec<CommitEvents>,
    counters: &mut Counters,
) -> BTreeMap<usize, Failure> {
    let mut failed = send_events(ctx, &commits, counters).await;
    let published = commits.into_iter().filter(|commit| !failed.contains_key(&commit.origin));
    let rows = published.map(|CommitEvents { origin, stats, grouping, .. }| {
        let record = Record::Stats(StatsRecord { published: true, ..stats });
        RecordWrite { record, origin, grouping }
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        let written = ctx.platform.batch_writer.write(rows, ctx.deadline).await;
        counters.writes.merge(&written.statistics);
        failed.extend(written.failed.into_iter().map(|failed| (failed.origin, Failure::from(failed.error))));
    }
    failed
}

/// Sends the events of commits to all destinations. Returns the origins whose events some
/// destination did not take. Without events there is no call.
async fn send_events(ctx: &Context<'_>, commits: &[CommitEvents], counters: &mut Counters) -> BTreeMap<usize, Failure> {
    let Some(publishing) = &ctx.platform.publishing else { return BTreeMap::new() };
    let chosen = |entry: &Entry<'_>| publishing.sends(entry.event.event_type);
    let entries: Vec<Entry<'_>> = commits.iter().flat_map(entries_of).filter(chosen).collect();
    let sends = publishing.destinations.iter().map(|destination| send_all(ctx, destination.as_ref(), &entries));
    let mut failed = BTreeMap::new();
    for published in join_all(sends).await {
        counters.events.calls += published.calls;
        counters.usage += published.usage;
        failed.extend(published.failed);
    }
    for commit in commits {
        let is_published = |entry: &Entry<'_>| publishing.publishes(entry.event.event_type);
        let count = entries_of(commit).filter(is_published).count() as u64;
        match failed.contains_key(&commit.origin) {
            true => counters.events.failed += count,
            false => counters.events.published += count,
        }
    }
    failed
}

fn entries_of(commit: &CommitEvents) -> impl Iterator<Item = Entry<'_>> {
    let CommitEvents { origin, record, trace, .. } = commit;
    record.events.iter().map(|event| Entry {
        origin: *origin,
        event: OutgoingEvent {
            group: record.player_id.as_str(),
            sequence: event.sequence,
            event_type: &event.event_type,
            json: &event.json,
            trace: *trace,
        },
    })
}

/// Sends all events to one destination, several calls at once.
async fn send_all(ctx: &Context<'_>, destination: &dyn EventDestination, entries: &[Entry<'_>]) -> Published {
    let queues: Vec<&[Entry<'_>]> = match destination.keeps_order() {
        true => entries.chunk_by(|one, next| one.origin == next.origin).collect(),
        false => entries.chunks(1).collect(),
    };
    // Collected first: the future of a mapped stream would not be known to be `Send`.
    let sends: Vec<_> = queues.chunks(MAX_CALL_EVENTS).map(|queues| send_queues(ctx, destination, queues)).collect();
    let parts: Vec<Published> = stream::iter(sends).buffer_unordered(ctx.platform.settings.concurrency).collect().await;
    let mut all = Published::default();
    for part in parts {
        all.calls += part.calls;
        all.usage += part.usage;
        all.failed.extend(part.failed);
    }
    all
}

/// Sends the events of at most ten queues: by each call the first event of every queue.
async fn send_queues(ctx: &Context<'_>, destination: &dyn EventDestination, queues: &[&[Entry<'_>]]) -> Published {
    let mut queues = queues.to_vec();
    let mut published = Published::default();
    loop {
        queues.retain(|queue| !queue.is_empty());
        let firsts = firsts_of_call(&queues);
        if firsts.is_empty() {
            return published;
        }
        let send = |positions: Vec<usize>| {
            let events: Vec<OutgoingEvent<'_>> = positions.iter().map(|at| firsts[*at].event).collect();
            async move { destination.send(&events).await }
        };
        let result = send_call(ctx, (0..firsts.len()).collect(), send).await;
        published.calls += result.calls;
        if destination.keeps_order() {
            let bytes = firsts.iter().map(|first| first.event.json.len()).sum();
            published.usage.fifo_requests += result.calls * billed_requests(bytes);
        } else {
            let billed = result.sent.iter().map(|at| billed_requests(firsts[*at].event.json.len()));
            published.usage.published_events += billed.sum::<u64>();
        }
        for at in result.sent {
            queues[at] = &queues[at][1..];
        }
        for (at, failure) in result.failed {
            log_failure(&firsts[at].event, queues[at].len(), &failure);
            published.failed.push((firsts[at].origin, failure));
            queues[at] = &[];
        }
    }
}

/// The first events of the queues, as many as one call takes.
fn firsts_of_call<'a>(queues: &[&[Entry<'a>]]) -> Vec<Entry<'a>> {
    let mut bytes = 0;
    let fits = |entry: &Entry<'a>| {
        let is_first = bytes == 0;
        bytes += entry.event.size();
        is_first || bytes <= MAX_CALL_BYTES
    };
    queues.iter().map(|queue| queue[0]).take_while(fits).collect()
}

fn log_failure(event: &OutgoingEvent<'_>, events: usize, failure: &Failure) {
    let (player_id, reason, detail) = (event.group, failure.reason.code(), &failure.detail);
    match failure.reason == FailureReason::Deadline {
        true => tracing::warn!(player_id, reason, events, "events wait for the next load of the queue"),
        false => tracing::warn!(player_id, reason, %detail, events, "events were not published"),
    }
}
