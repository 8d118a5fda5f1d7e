//! `millrace players`: pages of players.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    api::Api,
    context::Context,
    failure::Failure,
    fields::{number, text},
    pages,
    tables::{render, table},
};

/// The status of a queue.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Running,
    Paused,
}

/// What pending tasks wait for.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "camelCase")]
enum BlockedBy {
    Slot,
    NotBefore,
    Prerequisites,
    Costs,
    Paused,
}

/// List players
#[derive(Debug, Args)]
pub struct PlayersArguments {
    /// Only players whose queue changed recently, the last changed first
    #[arg(long, conflicts_with_all = ["status", "blocked_by", "prefix"])]
    recent: bool,
    /// Only players whose queue has this status
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only players with a pending task that waits for this
    #[arg(long, value_enum, value_name = "REASON")]
    blocked_by: Option<BlockedBy>,
    /// Only players whose id begins with this
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// The most players to show. All matching rows are found by a scan of the table
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub async fn run(context: &Context, arguments: PlayersArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    let rows = if arguments.recent {
        let limit = arguments.limit.min(100).to_string();
        let recent: Value = api.get(&["admin", "players", "recent"], &[("limit", Some(limit))]).await?;
        let items = recent["items"].as_array().cloned().unwrap_or_default();
        pages::Rows { items, has_more: false }
    } else {
        let filters = [
            ("status", arguments.status.and_then(value_name)),
            ("blockedBy", arguments.blocked_by.and_then(value_name)),
            ("prefix", arguments.prefix),
        ];
        pages::read(&api, &["admin", "players"], &filters, arguments.limit as usize).await?
    };
    if context.output.json {
        return rows.items.iter().try_for_each(|item| context.output.json_line(item));
    }
    let mut shown = table(&["player", "status", "active", "pending", "waiting for", "last changed at", "next due at"]);
    for item in &rows.items {
        let status = match text(item, "errorType") {
            error if error.is_empty() => text(item, "status"),
            error => error,
        };
        let waiting = item["blockedBy"].as_object().into_iter().flatten();
        let waiting: Vec<String> = waiting.map(|(reason, count)| format!("{reason} {count}")).collect();
        shown.add_row([
            text(item, "playerId"),
            status,
            number(&item["tasks"], "active").to_string(),
            number(&item["tasks"], "pending").to_string(),
            waiting.join(", "),
            text(item, "lastChangedAt"),
            text(item, "nextDueAt"),
        ]);
    }
    context.output.line(render(&shown))?;
    if rows.has_more {
        context.output.note(format!("there are more: add --limit {}", arguments.limit.saturating_mul(5)));
    }
    Ok(())
}

/// The name of a value in a query.
fn value_name(value: impl ValueEnum) -> Option<String> {
    Some(value.to_possible_value()?.get_name().to_owned())
}
