//! Players: pages of all of them, and those whose queues changed recently. For operators.

use millrace_domain::{
    FailureReason, PlayerId, Queue, Timestamp, codec,
    view::{BlockedBy, QueueSummary, Status},
};
use millrace_performance::Source;
use millrace_pipeline::{Context, Failure, Invocation, Platform};
use millrace_store::{QueueRow, ScannedQueue, StoreError};
use serde::Serialize;
use tokio::time::timeout_at;

use crate::read_error::ReadError;

/// The most rows that are read for one page: its cost is bounded whatever is searched for.
pub const MAX_SCANNED: usize = 1_000;
/// The most rows of one call.
const MAX_CALL_ROWS: usize = 100;
/// The most rows of an embedded store that are searched for the players that changed last.
const MAX_SORTED: usize = 10_000;

/// Which players are searched for.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlayersRequest<'a> {
    /// The most players of the page.
    pub limit: usize,
    /// The [`PlayersPage::next`] of the page before; none for the first page.
    pub after: Option<&'a str>,
    /// The status of their queue; none: any.
    pub status: Option<Status>,
    /// What a pending task waits for; none: anything or nothing.
    pub blocked_by: Option<BlockedBy>,
    /// What their id begins with; empty: any.
    pub prefix: &'a str,
}

/// Players with their queues.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayersPage {
    /// The players.
    pub items: Vec<PlayerSummary>,
    /// How many rows were read.
    pub scanned: usize,
    /// Where the next page begins; none on the last page.
    pub next: Option<String>,
}

/// Players whose queues changed recently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecentPlayers {
    /// Who knows them.
    pub source: Source,
    /// The players, the last changed first.
    pub items: Vec<PlayerSummary>,
}

/// A player with its queue as of now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerSummary {
    /// The player.
    pub player_id: PlayerId,
    /// The queue; left out where its row cannot be read.
    #[serde(flatten)]
    pub queue: Option<QueueSummary>,
    /// When something happens by time alone; left out if that is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due_at: Option<Timestamp>,
    /// Why the row cannot be read; left out where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<&'static str>,
}

/// Scans the queues table for a page of players. A page ends when it is full, after
/// [`MAX_SCANNED`] rows, or at the deadline; it may be empty and not the last one.
///
/// # Errors
/// [`ReadError::Failed`] where the table cannot be read.
pub async fn read_players(
    platform: &Platform,
    request: PlayersRequest<'_>,
    invocation: &Invocation,
) -> Result<PlayersPage, ReadError> {
    let ctx = Context::new(platform, invocation);
    let mut page = PlayersPage { items: Vec::new(), scanned: 0, next: request.after.map(str::to_owned) };
    loop {
        let rows = timeout_at(ctx.deadline, platform.store.scan(page.next.as_deref(), MAX_CALL_ROWS)).await;
        let found = match rows {
            Ok(found) => found?,
            // What was found before the deadline is an answer.
            Err(_) if page.scanned > 0 => return Ok(page),
            Err(_) => return Err(ReadError::Failed(Failure::deadline())),
        };
        for row in found.queues {
            if page.items.len() == request.limit {
                return Ok(page);
            }
            page.scanned += 1;
            page.next = Some(row.player_id.as_str().to_owned());
            page.items.extend(request.matches(summary(&ctx, row.player_id, row.row)));
        }
        page.next = found.next;
        if page.next.is_none() || page.scanned >= MAX_SCANNED || page.items.len() == request.limit {
            return Ok(page);
        }
    }
}

/// The players whose queues changed last: with Redis those of the last hour, with an embedded store
/// those of its first rows. None where neither knows them.
///
/// # Errors
/// [`ReadError::Failed`] where they cannot be read.
pub async fn read_recent_players(
    platform: &Platform,
    limit: usize,
    invocation: &Invocation,
) -> Result<Option<RecentPlayers>, ReadError> {
    let ctx = Context::new(platform, invocation);
    let read = async {
        let items = match (platform.performance.history().source(), platform.cache.upkeep()) {
            (Source::Redis, Some(redis)) => {
                let players = redis.active_players(limit, ctx.deadline).await;
                let players = players.map_err(|error| {
                    ReadError::Failed(Failure::new(FailureReason::CacheUnavailable, error.to_string()))
                })?;
                load(&ctx, players).await
            }
            (Source::Store, _) => last_changed(&ctx, limit).await?,
            _ => return Ok(None),
        };
        Ok(Some(RecentPlayers { source: platform.performance.history().source(), items }))
    };
    timeout_at(ctx.deadline, read).await.unwrap_or_else(|_| Err(ReadError::Failed(Failure::deadline())))
}

/// The queues of players, in their order. Players without a row are left out.
async fn load(ctx: &Context<'_>, players: Vec<PlayerId>) -> Vec<PlayerSummary> {
    let mut loaded = ctx.platform.store.load(&players, &[], &[]).await;
    let rows = players.into_iter().filter_map(|player| {
        let row = loaded.take_queue(&player).transpose()?;
        Some(summary(ctx, player, row))
    });
    rows.collect()
}

async fn last_changed(ctx: &Context<'_>, limit: usize) -> Result<Vec<PlayerSummary>, ReadError> {
    let (mut items, mut after) = (Vec::new(), None);
    while items.len() < MAX_SORTED {
        let page = ctx.platform.store.scan(after.as_deref(), MAX_SCANNED).await?;
        items.extend(page.queues.into_iter().map(|ScannedQueue { player_id, row }| summary(ctx, player_id, row)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.queue.as_ref().map(|queue| queue.last_changed_at)));
    items.truncate(limit);
    Ok(items)
}

fn summary(ctx: &Context<'_>, player_id: PlayerId, row: Result<QueueRow, StoreError>) -> PlayerSummary {
    let read = row.and_then(|row| {
        let queue: Result<Queue, _> = codec::decode(&row.queue);
        let queue =
            queue.map_err(|error| StoreError::Unreadable { table: "queues".into(), detail: error.to_string() })?;
        Ok((QueueSummary::new(&queue, ctx.now, ctx.platform.settings.rules), row.due_at))
    });
    match read {
        Ok((queue, next_due_at)) => PlayerSummary { player_id, queue: Some(queue), next_due_at, error_type: None },
        Err(error) => {
            tracing::error!(%player_id, %error, "the row of a queue cannot be read");
            PlayerSummary { player_id, queue: None, next_due_at: None, error_type: Some(error.reason().code()) }
        }
    }
}

impl PlayersRequest<'_> {
    /// Rows that cannot be read match every status: an operator must see them.
    fn matches(&self, player: PlayerSummary) -> Option<PlayerSummary> {
        let has_prefix = player.player_id.as_str().starts_with(self.prefix);
        let is_found = player.queue.as_ref().is_none_or(|queue| {
            self.status.is_none_or(|status| queue.status == status)
                && self.blocked_by.is_none_or(|by| queue.blocked_by.contains_key(&by))
        });
        (has_prefix && is_found).then_some(player)
    }
}
