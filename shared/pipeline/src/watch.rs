//! Watches the thresholds of the performance history, and publishes that one is crossed.
//!
//! The state of each threshold is stored beside the history. A change is published by the process
//! that replaced the state, and the state then says so. If the process ends in between, a later run
//! publishes the same event again. So a change is published at least once, and normally once.

use millrace_domain::Timestamp;
use millrace_performance::{
    HistoryError, HistoryStore, Publication, Source, State, StoredState, ThresholdCrossed, ThresholdState,
    crossing::THRESHOLD_CROSSED,
    threshold_state::{deciding_minutes, observed_ids, states},
};
use tokio::time::timeout_at;

use crate::{
    context::Context,
    event_destination::{EventDestination, OutgoingEvent},
    send_call::send_call,
};

/// After this time another process publishes a change: the first one has ended, because no
/// invocation takes longer.
const PUBLISHED_WITHIN_MS: u64 = 15 * 60_000;

/// Compares the history with all thresholds, and publishes changes. Without changes it is one round
/// trip to the history. A failure is only logged: the next run tries again.
///
/// A history of a single process is not watched: each process would publish changes.
pub async fn watch_thresholds(ctx: &Context<'_>) {
    let history = ctx.platform.performance.history();
    if history.source() == Source::Process || ctx.is_over() {
        return;
    }
    let watched = timeout_at(ctx.deadline, watch(ctx, history.as_ref())).await;
    let watched = watched.unwrap_or_else(|_| Err(HistoryError("no time was left".to_owned())));
    if let Err(error) = watched {
        tracing::warn!(%error, "the thresholds were not watched");
    }
}

async fn watch(ctx: &Context<'_>, history: &dyn HistoryStore) -> Result<(), HistoryError> {
    let limits = &ctx.platform.settings.thresholds;
    let recorded = history.read(deciding_minutes(limits, ctx.now), &observed_ids(limits)).await?;
    for threshold in states(limits, &recorded, ctx.now) {
        let known = recorded.states.get(threshold.id).map(String::as_str);
        let stored = known.and_then(StoredState::parse);
        let Some(change) = change_of(&threshold, stored, ctx.now) else { continue };
        if !history.replace_state(threshold.id, known, &change.to_string()).await? {
            // Another process was faster, and publishes the change.
            continue;
        }
        let event = ThresholdCrossed::new(&threshold, change);
        tracing::warn!(threshold = event.threshold, state = ?event.state, value = event.value, limit = event.limit,
            "a threshold was crossed");
        let publication = match publish(ctx, history, &event, change.number).await {
            true => Publication::Done,
            false => Publication::Failed,
        };
        let done = StoredState { publication, ..change };
        history.replace_state(threshold.id, Some(&change.to_string()), &done.to_string()).await?;
    }
    Ok(())
}

/// The change that is to be published; none if there is none, or another process publishes it.
fn change_of(threshold: &ThresholdState, stored: Option<StoredState>, now: Timestamp) -> Option<StoredState> {
    match stored {
        Some(stored) if stored.state == threshold.state => {
            let is_open = match stored.publication {
                Publication::Done => false,
                Publication::Failed => true,
                Publication::Claimed(at) => now.millis_since(at) >= PUBLISHED_WITHIN_MS,
            };
            is_open.then_some(StoredState { publication: Publication::Claimed(now), ..stored })
        }
        None if threshold.state == State::Ok => None,
        stored => {
            let number = stored.map_or(0, |stored| stored.number) + 1;
            Some(StoredState { number, state: threshold.state, since: now, publication: Publication::Claimed(now) })
        }
    }
}

/// Announces the event to subscribers of the history, and publishes it to all event buses and
/// queues. Returns whether all of these accepted it.
async fn publish(ctx: &Context<'_>, history: &dyn HistoryStore, event: &ThresholdCrossed, number: u64) -> bool {
    // Names and numbers: serialization cannot fail.
    let json = serde_json::to_string(event).unwrap_or_default();
    if let Err(error) = history.announce(&json).await {
        tracing::warn!(threshold = event.threshold, %error, "the change of a threshold was not announced");
    }
    let Some(publishing) = ctx.platform.publishing.as_ref().filter(|to| to.sends(THRESHOLD_CROSSED)) else {
        return true;
    };
    let group = event.group();
    let outgoing = OutgoingEvent {
        group: &group,
        sequence: number,
        event_type: THRESHOLD_CROSSED,
        json: &json,
        // The run that has found out belongs to no command.
        trace: None,
    };
    let mut accepted = true;
    for destination in &publishing.destinations {
        accepted &= send(ctx, destination.as_ref(), outgoing).await;
    }
    accepted
}

async fn send(ctx: &Context<'_>, destination: &dyn EventDestination, event: OutgoingEvent<'_>) -> bool {
    let sent = send_call(ctx, vec![()], |_| async move { destination.send(&[event]).await }).await;
    for (_, failure) in &sent.failed {
        let (reason, detail) = (failure.reason.code(), &failure.detail);
        tracing::warn!(event_id = %event.event_id(), reason, %detail, "the change of a threshold was not published");
    }
    sent.failed.is_empty()
}
