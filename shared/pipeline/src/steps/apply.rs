//! Apply: the pure domain decides the items of each player.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use millrace_domain::{
    Delivery, Event, EventData, PlayerId, Queue, Record, RequiredWrite, Rules, Timestamp, Verdict, Work,
    codec::CachedQueue, json, model::attempt::MissedDeadline, record::RejectionRecord, task,
};
use millrace_telemetry::trace::TARGET;
use tracing::instrument;

use crate::{
    applied::{Applied, ApplyInput},
    batch::Batch,
    context::Context,
    event_destination::Publishing,
    failure::Failure,
    item::{Action, Item, Outcome},
    loaded_queue::LoadedQueue,
    player::{MAX_PLAYER_ITEMS, Missing, Player, PlayerState},
    row_size::{MAX_KEPT_COMMAND_BYTES, MAX_OUTBOX_BYTES},
};

/// Applies the open items of every player whose queue is loaded.
///
/// Three things send a player on another way than to the commit:
/// - A panic is a bug, and stays with the player whose commands caused it: the player fails.
/// - In a FIFO group, items behind a failed message are handed back before anything is written.
///   What was applied together with them is read and applied again without them.
/// - An item that changes nothing is checked by no conditional write. Where the queue came from a
///   cache, it is read from the table and applied again.
#[instrument(target = TARGET, level = "info", skip_all)]
pub fn apply(ctx: &Context<'_>, batch: &mut Batch) {
    let started = Instant::now();
    if ctx.is_over() {
        let open = batch.players.iter_mut().filter(|player| player.has_unapplied_items());
        open.for_each(|player| player.fail(&Failure::deadline(), &mut batch.messages));
    }
    batch.hand_back_rest_of_groups();
    for player in &mut batch.players {
        match player.take_state() {
            PlayerState::Loaded(loaded) => match apply_player(ctx, player, loaded) {
                Ok(applied) if applied.rests_on_stale_copy() => {
                    player.state = PlayerState::Unloaded(Missing::QueueRow);
                }
                Ok(applied) => player.state = PlayerState::Applied(applied),
                Err(failure) => player.fail(&failure, &mut batch.messages),
            },
            state => player.state = state,
        }
    }
    batch.hand_back_rest_of_groups();
    batch.counters.steps.apply += started.elapsed();
}

/// Applies the open items of a player. A panic becomes a failure of this player alone.
fn apply_player(ctx: &Context<'_>, player: &mut Player, loaded: LoadedQueue) -> Result<Applied, Failure> {
    let (player_id, items, decided) = player.work();
    let (now, rules) = (ctx.now, ctx.platform.settings.rules);
    let publishing = ctx.platform.publishing.as_ref();
    let input = ApplyInput { player_id, loaded, items, decided, now, rules, publishing };
    // The queue is dropped with the panic, so that nothing half changed can be seen after it.
    catch_unwind(AssertUnwindSafe(|| (ctx.platform.apply)(input))).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!(player_id = player.player_id.as_str(), message, "applying the commands panicked");
        Failure::panicked(message)
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Applies the open items of a player in their order, and sets their outcomes. These hold once the
/// writes have succeeded.
pub fn apply_items(input: ApplyInput<'_>) -> Applied {
    let ApplyInput { player_id, loaded, items, decided, now, rules, publishing } = input;
    let mut applied = Applied::new(loaded);
    let mut events = Vec::new();
    for item in &mut items[decided..] {
        advance_in_portions(&mut applied, &item.action, now, rules, publishing);
        if applied.outbox_bytes > MAX_OUTBOX_BYTES {
            break;
        }
        let queue = &mut applied.loaded.queue;
        let change = match (&item.action, queue) {
            (Action::Tick, None) => {
                item.outcome = Outcome::Applied;
                RequiredWrite::Nothing
            }
            (Action::Tick, Some(cached)) => {
                item.outcome = Outcome::Applied;
                Arc::make_mut(cached).queue.tick(now, rules, &mut events)
            }
            (Action::Command(delivery), queue) => {
                let cached = queue.get_or_insert_with(|| new_queue(player_id, delivery, now));
                let (verdict, change) = Arc::make_mut(cached).queue.deliver(delivery, now, rules, &mut events);
                if let Verdict::Rejected(rejection) = &verdict {
                    applied.add_record(Record::Rejection(RejectionRecord {
                        partition: player_id.as_str().to_owned(),
                        received_at: delivery.sent_at,
                        command_id: delivery.command_id.clone(),
                        reason: rejection.reason,
                        detail: rejection.detail.to_string(),
                        command_type: Some(delivery.command.type_name().to_owned()),
                        task_id: delivery.command.task_id().cloned(),
                        body: kept_command(delivery),
                        // A version is committed once, with these records.
                        entry: format!("{}.{}", applied.base_version + 1, applied.outbox.records.len()),
                    }));
                }
                item.outcome = outcome_of(verdict);
                change
            }
        };
        events.drain(..).for_each(|event| applied.add_event(event, publishing));
        // A duplicate is confirmed by the copy itself: it was decided if it is remembered.
        applied.is_unconfirmed |= change == RequiredWrite::Nothing && item.outcome == Outcome::Applied;
        applied.change = applied.change.max(change);
        applied.count += 1;
    }
    finish_queue(&mut applied, items);
    applied
}

/// Advances a queue to the time at which an item takes effect, or until the outbox is full. The
/// rest of the time takes another commit. Advancing in one step or in many gives the same queue.
fn advance_in_portions(
    applied: &mut Applied,
    action: &Action,
    now: Timestamp,
    rules: Rules,
    publishing: Option<&Publishing>,
) {
    let Some(cached) = &applied.loaded.queue else { return };
    let queue = &cached.queue;
    let to = action.delivery().map_or(now, |delivery| queue.effective_time(delivery, now));
    let due_at = queue.due_at(rules);
    if applied.count == 0 {
        applied.due_before = due_at;
    }
    let is_due = due_at.is_some_and(|due| due <= to);
    if !is_due || action.delivery().is_some_and(|delivery| queue.command_memory.find(delivery).is_some()) {
        return;
    }
    let mut events = Vec::new();
    while applied.outbox_bytes <= MAX_OUTBOX_BYTES {
        let Some(cached) = &mut applied.loaded.queue else { return };
        let queue = &mut Arc::make_mut(cached).queue;
        if !queue.advance_to_next(to, rules, &mut events) {
            // Nothing more is due: only the time moves on.
            queue.advance(to, rules, &mut events);
            return;
        }
        applied.change = RequiredWrite::Commit;
        events.drain(..).for_each(|event| applied.add_event(event, publishing));
    }
}

/// A refused command as JSON, so that it can be corrected and sent again; none if it is too long.
fn kept_command(delivery: &Delivery) -> Option<String> {
    let body = json::write_command(&delivery.player_id, &delivery.command_id, &delivery.command);
    (body.len() <= MAX_KEPT_COMMAND_BYTES).then_some(body)
}

fn new_queue(player_id: &PlayerId, delivery: &Delivery, now: Timestamp) -> Arc<CachedQueue> {
    let queue = Queue::new(player_id.clone(), delivery.sent_at.min(now));
    Arc::new(CachedQueue { queue, progress_known: true })
}

fn outcome_of(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Applied => Outcome::Applied,
        Verdict::Duplicate(reason) => Outcome::Duplicate(reason),
        Verdict::Rejected(rejection) => Outcome::Rejected(rejection),
    }
}

impl Applied {
    fn add_record(&mut self, record: Record) {
        self.outbox_bytes += record.size();
        self.outbox.records.push(record);
    }

    fn add_event(&mut self, event: Event, publishing: Option<&Publishing>) {
        tracing::debug!(
            player_id = self.loaded.queue.as_ref().map(|cached| cached.queue.player_id.as_str()),
            ?event,
            "event"
        );
        if let EventData::TaskFinished(record) = &event.data
            && record.outcome == task::Outcome::Completed
            && matches!(record.work, Work::DurationMs(_))
        {
            self.completed_at.push(record.finished_at);
        }
        self.attempts_timed_out += u64::from(has_missed_deadline(&event.data));
        let publishes = publishing.is_some_and(|publishing| publishing.publishes(event.data.event_type().as_str()));
        if publishes || matches!(event.data, EventData::TaskFinished(_)) {
            self.outbox_bytes += event.size();
            self.outbox.add_event(event, publishes);
        }
    }
}

/// Whether an attempt has failed by itself.
fn has_missed_deadline(event: &EventData) -> bool {
    let reason = match event {
        EventData::TaskRetried { reason, .. } => Some(reason),
        EventData::TaskFinished(record) if record.outcome == task::Outcome::Failed => record.reason.as_ref(),
        _ => None,
    };
    let deadlines = [MissedDeadline::HeartbeatLost, MissedDeadline::TimedOut];
    reason.is_some_and(|reason| deadlines.iter().any(|deadline| deadline.as_str() == reason))
}

/// Gives a decided queue its new version, and lets it forget the oldest commands.
fn finish_queue(applied: &mut Applied, items: &[Item]) {
    let Some(cached) = &mut applied.loaded.queue else { return };
    let CachedQueue { queue, progress_known } = Arc::make_mut(cached);
    // Reports between milestones are remembered without a commit, but not without a limit.
    if applied.change == RequiredWrite::Commit || queue.command_memory.len() > MAX_PLAYER_ITEMS {
        // A tick brings nothing to remember, and so it forgets nothing: the batch before it may
        // have failed after its commit, and is delivered again as a whole.
        queue.command_memory.trim(items.iter().filter_map(|item| item.action.delivery()));
    }
    if applied.change == RequiredWrite::Commit {
        queue.version = applied.base_version + 1;
    }
    *progress_known |= !queue.has_partial_progress();
}
