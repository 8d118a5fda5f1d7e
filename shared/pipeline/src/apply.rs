//! Apply: the pure domain. A panic is a bug of ours, and stays with the player whose commands caused it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use millrace_domain::{
    Event, PlayerId, Queue, Record, RequiredWrite, Rules, Timestamp, Verdict, Work, codec::CachedQueue,
    record::RejectionRecord, task::Outcome,
};

use smallvec::SmallVec;

use crate::{
    decode::{Item, Task},
    status::{Failure, Status},
};

/// Bytes of records after which a commit takes no further command: a row keeps them until the next
/// commit, beside the queue, and ends at 400 KB. What is left over takes a commit of its own.
const MAX_OUTBOX_BYTES: usize = 64 * 1024;

/// What is applied to what.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Whose queue.
    pub player_id: &'a PlayerId,
    /// The queue; none where there is none yet. Copied only where somebody else holds it too.
    pub base: Option<Arc<CachedQueue>>,
    /// The event's items.
    pub items: &'a [Item],
    /// The player's share of them that is still open, by position.
    pub open: &'a [usize],
    /// All of the player's share: what came together is remembered together.
    pub batch: &'a [usize],
    /// The server's time.
    pub now: Timestamp,
    /// What holds for every queue.
    pub rules: Rules,
}

/// What applying led to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The queue after it; none where there is still none.
    pub cached: Option<Arc<CachedQueue>>,
    /// The version that it was made from.
    pub base_version: u64,
    /// What has to be written.
    pub change: RequiredWrite,
    /// The items' statuses, should the writes succeed; as many as were taken of those open.
    pub statuses: SmallVec<[Status; 1]>,
    /// The records of what was decided.
    pub records: Vec<Record>,
    /// Whether the totals changed.
    pub totals_changed: bool,
    /// When the timed work was due that completed.
    pub completed_at: SmallVec<[Timestamp; 1]>,
    /// Whether the queue was left in the index of what is due until its records are written.
    pub kept_due: bool,
    /// Whether some item was found to change nothing: what no conditional write checks, and so is to be
    /// believed only of a queue that the table has.
    pub unchecked: bool,
    /// Whether, after a conflict, it was applied to a queue that was read from the table.
    pub reloaded: bool,
    /// Whether that queue's row stands among what is due although nothing is.
    pub misplaced: bool,
}

/// Applies a player's items; [`apply`] in the shipped pipeline, another in tests of what surrounds it.
pub type ApplyFn = fn(Input<'_>) -> Applied;

/// Applies a player's open items in their order.
pub fn apply(input: Input<'_>) -> Applied {
    let mut cached = input.base;
    let base_version = cached.as_ref().map_or(0, |cached| cached.queue.version);
    let mut applied = Applied {
        cached: None,
        base_version,
        change: RequiredWrite::Nothing,
        statuses: SmallVec::with_capacity(input.open.len()),
        records: Vec::new(),
        totals_changed: false,
        completed_at: SmallVec::new(),
        kept_due: false,
        unchecked: false,
        reloaded: false,
        misplaced: false,
    };
    let mut events = Vec::new();
    let mut bytes = 0;
    for at in input.open {
        if bytes > MAX_OUTBOX_BYTES {
            break;
        }
        let (status, change) = match &input.items[*at].task {
            Task::Tick(_) => {
                let change = match &mut cached {
                    Some(cached) => Arc::make_mut(cached).queue.tick(input.now, input.rules, &mut events),
                    None => RequiredWrite::Nothing,
                };
                (Status::Applied, change)
            }
            Task::Command(delivery) => {
                let cached = cached.get_or_insert_with(|| {
                    let queue = Queue::new(input.player_id.clone(), delivery.sent_at.min(input.now));
                    Arc::new(CachedQueue { queue, progress_known: true })
                });
                let queue = &mut Arc::make_mut(cached).queue;
                let (verdict, change) = queue.deliver(delivery, input.now, input.rules, &mut events);
                let status = match verdict {
                    Verdict::Applied => Status::Applied,
                    Verdict::Duplicate(reason) => Status::Duplicate(reason),
                    Verdict::Rejected(rejection) => {
                        let record = RejectionRecord {
                            partition: input.player_id.as_str().to_owned(),
                            received_at: delivery.sent_at,
                            command_id: delivery.command_id.clone(),
                            reason: rejection.reason,
                            detail: rejection.detail.to_string(),
                            command_type: Some(delivery.command.type_name().to_owned()),
                            task_id: delivery.command.task_id().cloned(),
                            body: None,
                        };
                        applied.push(Record::Rejection(record), &mut bytes);
                        Status::Rejected(rejection)
                    }
                };
                (status, change)
            }
        };
        for event in events.drain(..) {
            tracing::debug!(player_id = input.player_id.as_str(), ?event, "event");
            if let Event::TaskFinished(record) = event {
                applied.totals_changed = true;
                if record.outcome == Outcome::Completed && matches!(record.work, Work::DurationMs(_)) {
                    applied.completed_at.push(record.finished_at);
                }
                applied.push(Record::History(record), &mut bytes);
            }
        }
        // A tick with nothing due, or a report of no more than is known. A duplicate is none of these: a
        // copy in which a command is remembered proves that it was decided.
        applied.unchecked |= change == RequiredWrite::Nothing && status == Status::Applied;
        applied.change = applied.change.max(change);
        applied.statuses.push(status);
    }
    if let Some(cached) = &mut cached {
        let CachedQueue { queue, progress_known } = Arc::make_mut(cached);
        if applied.change == RequiredWrite::Commit {
            let commands = input.batch.iter().filter_map(|at| match &input.items[*at].task {
                Task::Command(delivery) => Some(&delivery.command_id),
                Task::Tick(_) => None,
            });
            // A tick brings nothing to be remembered, and so makes no room: the batch before it may have
            // failed after its commit, and come again whole.
            if commands.clone().next().is_some() {
                queue.command_memory.trim(commands);
            }
            queue.version = base_version + 1;
        }
        *progress_known = *progress_known || !queue.has_partial_progress();
    }
    Applied { cached, ..applied }
}

impl Applied {
    fn push(&mut self, record: Record, bytes: &mut usize) {
        *bytes += record.size();
        self.records.push(record);
    }
}

/// Runs `apply`; a panic becomes a failure of this player alone.
///
/// # Errors
/// [`Failure`] where it panicked.
pub fn guarded(apply: ApplyFn, input: Input<'_>) -> Result<Applied, Failure> {
    let player_id = input.player_id.as_str();
    // What is changed goes under with the panic, so nothing half-changed can be seen after it.
    catch_unwind(AssertUnwindSafe(|| apply(input))).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!(player_id, message, "applying panicked");
        Failure::panic(message)
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(message) = panic.downcast_ref::<&str>() {
        message
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message
    } else {
        "no message"
    }
}
