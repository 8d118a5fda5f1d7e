//! The way of a payload through the pipeline, from its bytes to the answer.

use millrace_domain::{PlayerId, Sender, view::QueueView};
use millrace_telemetry::trace::TraceContext;
use serde::Serialize;

use crate::{
    answer::{Answer, CommandResult, ProcessError},
    batch::Batch,
    context::{Context, Invocation},
    platform::Platform,
    report::Report,
    steps::{
        answer::{answer, answer_source, trial_answer},
        apply::apply,
        commit::{commit, correct_due_entries},
        decode::{decode, decode_for_player},
        load::load,
        preview,
        publish::publish,
        record::record,
        refresh::refresh,
    },
};

/// Carries the payload of an invocation to the queues that it names.
///
/// # Errors
/// [`ProcessError`] where commands failed and the source of the payload would not learn of it
/// otherwise.
pub async fn process(platform: &Platform, payload: &[u8], invocation: &Invocation) -> Result<Answer, ProcessError> {
    let ctx = Context::new(platform, invocation);
    let mut batch = decode(&ctx, payload);
    decide(&ctx, &mut batch).await;
    correct_due_entries(&ctx, &mut batch).await;
    refresh(&ctx, &mut batch).await;
    let answer = answer(&ctx, &mut batch);
    answer_source(&batch, answer)
}

/// Decides every item of the batch: when it returns, each has its outcome, and what was decided is
/// in the table with its records, and its events are published.
pub async fn decide(ctx: &Context<'_>, batch: &mut Batch) {
    loop {
        // A stale copy sends a player back to load.
        while batch.has_unapplied_items() {
            load(ctx, batch).await;
            apply(ctx, batch);
        }
        // A version conflict does so too.
        commit(ctx, batch).await;
        if batch.has_unapplied_items() {
            continue;
        }
        record(ctx, batch).await;
        // A player with more items than one commit takes goes back to apply.
        publish(ctx, batch).await;
        if !batch.has_unapplied_items() {
            break;
        }
    }
}

/// Commands for one player that are decoded and not applied yet.
///
/// Between decoding and applying, the rights of the caller can be checked: nothing has happened
/// yet.
pub struct PlayerCommands<'a> {
    ctx: Context<'a>,
    player_id: PlayerId,
    batch: Batch,
}

/// What became of the commands of a caller that waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandsAnswer {
    /// All results, in the order of the commands.
    pub results: Vec<CommandResult>,
    /// The queue after them; left out where none was understood, or they failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueView>,
    /// What it took.
    pub report: Report,
}

impl<'a> PlayerCommands<'a> {
    /// Decodes a command, or `{"commands": [...]}`, for the queue of `player_id`. A command need
    /// not name the player, and can name no other. Malformed input spoils only itself.
    ///
    /// The sender is [`Sender::Player`] for a caller that has no other right than to use its own
    /// queue.
    ///
    /// A command without a `commandId` is named `<key>:<index>`. Without a `key` the id of the
    /// request takes its place, and the command is new each time that it is sent.
    pub fn decode(
        platform: &'a Platform,
        player_id: &PlayerId,
        sender: Sender,
        key: Option<&str>,
        payload: &[u8],
        invocation: &'a Invocation,
    ) -> Self {
        let ctx = Context::new(platform, invocation);
        let batch = decode_for_player(&ctx, player_id, sender, key.unwrap_or(&invocation.request_id), payload);
        Self { ctx, player_id: player_id.clone(), batch }
    }

    /// The same, where the caller names the trace of its request.
    #[must_use]
    pub fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.batch.messages.iter_mut().for_each(|message| message.trace = trace);
        self
    }

    /// The commands that were understood, each with its place in the list.
    pub fn well_formed(&self) -> impl Iterator<Item = (usize, &millrace_domain::Command)> {
        self.batch.items().filter_map(|(_, item)| Some((item.message, &item.action.delivery()?.command)))
    }

    /// Applies the commands, and records what was refused or malformed.
    pub async fn apply(mut self) -> CommandsAnswer {
        let (ctx, batch) = (&self.ctx, &mut self.batch);
        // The caller sees the queue with its progress between milestones.
        batch.players.iter_mut().for_each(|player| player.needs_progress = true);
        decide(ctx, batch).await;
        let decided = batch.newest_queue(&self.player_id);
        correct_due_entries(ctx, batch).await;
        // Where another process was faster, the caller sees the queue as it was decided.
        let newest = batch.newest_queue(&self.player_id).or(decided);
        refresh(ctx, batch).await;
        let Answer { results, report, .. } = answer(ctx, batch);
        ctx.platform.performance.remember(&report);
        let rules = ctx.platform.settings.rules;
        let queue = newest.map(|cached| QueueView::new(&cached.queue, ctx.now, rules));
        CommandsAnswer { results, queue, report }
    }

    /// Applies the commands on trial to the queue in the table. The answer is the one that
    /// [`apply`](Self::apply) would give now, with the version of the queue as it is. Nothing is
    /// written, recorded, published or remembered.
    pub async fn preview(mut self) -> CommandsAnswer {
        let (ctx, batch) = (&self.ctx, &mut self.batch);
        preview::load(ctx, batch).await;
        while batch.has_unapplied_items() {
            apply(ctx, batch);
            preview::conclude(batch);
        }
        let newest = batch.newest_queue(&self.player_id);
        let Answer { results, report, .. } = trial_answer(ctx, batch);
        let rules = ctx.platform.settings.rules;
        let queue = newest.map(|cached| QueueView::new(&cached.queue, ctx.now, rules));
        CommandsAnswer { results, queue, report }
    }
}
