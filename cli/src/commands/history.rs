//! `millrace history`: the finished tasks of a player.

use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    context::Context,
    failure::Failure,
    fields::{number, resources, text},
    follow::{Follow, follow},
    pages,
    tables::{render, table},
    text::duration,
};

/// Show the finished tasks of a player, newest first
#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// The player
    #[arg(value_name = "PLAYER")]
    player: String,
    /// The most tasks to show
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    follow: Follow,
}

pub async fn run(context: &Context, arguments: HistoryArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    let (list, limit) = (["players", &arguments.player, "history"], arguments.limit as usize);
    if arguments.follow.follow {
        return follow(context, &api, &list, limit, &arguments.follow, |item| print_line(context, item)).await;
    }
    let rows = pages::read(&api, &list, &[], limit).await?;
    if context.output.json {
        return rows.items.iter().try_for_each(|item| context.output.json_line(item));
    }
    let mut shown = table(&["finished at", "task", "kind", "outcome", "reason", "took", "rewards", "result"]);
    for item in &rows.items {
        let took = duration(number(item, "timeSpentMs"));
        shown.add_row([
            text(item, "finishedAt"),
            text(item, "taskId"),
            text(item, "kind"),
            text(item, "outcome"),
            text(item, "reason"),
            took,
            resources(item, "rewards"),
            text(item, "result"),
        ]);
    }
    context.output.line(render(&shown))?;
    if rows.has_more {
        context.output.note(format!("there are more: add --limit {}", arguments.limit.saturating_mul(5)));
    }
    Ok(())
}

/// One line for each task, because further ones may follow.
fn print_line(context: &Context, item: &Value) -> Result<(), Failure> {
    if context.output.json {
        return context.output.json_line(item);
    }
    let labelled = |label: &str, value: String| if value.is_empty() { value } else { format!("  {label} {value}") };
    let line = format!(
        "{}  {:<9}  {:<24}  {}{}{}{}",
        text(item, "finishedAt"),
        text(item, "outcome"),
        text(item, "taskId"),
        duration(number(item, "timeSpentMs")),
        labelled("reason", text(item, "reason")),
        labelled("rewards", resources(item, "rewards")),
        labelled("result", text(item, "result"))
    );
    context.output.line(line.trim_end())
}
