//! `millrace history`: the finished tasks of a player.

use clap::Args;

use crate::{
    api::Api,
    context::Context,
    failure::Failure,
    fields::{number, resources, text},
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
}

pub async fn run(context: &Context, arguments: HistoryArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    let rows = pages::read(&api, &["players", &arguments.player, "history"], &[], arguments.limit as usize).await?;
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
