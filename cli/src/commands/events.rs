//! `millrace events`: the events of a player in order.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::Api,
    context::Context,
    failure::{Exit, Failure},
    fields::{number, text},
};

/// The most events of one answer.
const PAGE: usize = 1_000;
/// The fields that the first columns show.
const SHOWN: [&str; 7] = ["eventId", "playerId", "sequence", "version", "at", "type", "task"];

/// Show the events of a player in order
#[derive(Debug, Args)]
pub struct EventsArguments {
    /// The player
    #[arg(value_name = "PLAYER")]
    player: String,
    /// Begin behind this sequence; by default with the oldest event that is kept
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// The most events to show
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Only events of this type; can be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Wait for further events, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Seconds between two reads of --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

#[derive(Deserialize)]
struct EventList {
    items: Vec<Value>,
}

pub async fn run(context: &Context, arguments: EventsArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    let mut after = arguments.after;
    let mut left = arguments.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut is_read_before = false;
    loop {
        let page = read(&api, &arguments.player, after).await;
        let items = match page {
            Ok(items) => items,
            // A follower outlives a server that is away for a while.
            Err(failure) if arguments.follow && is_read_before && is_passing(&failure) => {
                context.output.note(&failure);
                Vec::new()
            }
            Err(failure) => return Err(failure),
        };
        is_read_before = true;
        let is_end = items.len() < PAGE;
        for event in items {
            after = Some(number(&event, "sequence"));
            if arguments.types.is_empty() || arguments.types.contains(&text(&event, "type")) {
                print(context, &event)?;
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
        }
        if is_end && !arguments.follow {
            return Ok(());
        }
        if is_end {
            tokio::time::sleep(Duration::from_secs(arguments.interval)).await;
        }
    }
}

fn is_passing(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unreachable | Exit::Service)
}

async fn read(api: &Api<'_>, player: &str, after: Option<u64>) -> Result<Vec<Value>, Failure> {
    let query = [("after", after.map(|after| after.to_string())), ("limit", Some(PAGE.to_string()))];
    let list: EventList = api.get(&["players", player, "events"], &query).await?;
    Ok(list.items)
}

/// One line for each event, because further ones may follow.
fn print(context: &Context, event: &Value) -> Result<(), Failure> {
    if context.output.json {
        return context.output.json_line(event);
    }
    let task = &event["task"];
    let about = match task["attempt"].as_u64() {
        Some(attempt) => format!("{}, attempt {attempt}", text(task, "taskId")),
        None => text(task, "taskId"),
    };
    let others = event.as_object().into_iter().flatten().filter(|(name, _)| !SHOWN.contains(&name.as_str()));
    let others: Vec<String> = others.map(|(name, _)| format!("{name} {}", text(event, name))).collect();
    let line = format!(
        "{:>6}  {}  {:<16}  {:<24}  {}",
        number(event, "sequence"),
        text(event, "at"),
        text(event, "type"),
        about,
        others.join(", ")
    );
    context.output.line(line.trim_end())
}
