//! `millrace queue`: the queue of a player.

use std::time::Duration;

use clap::Args;
use hyper::{Method, StatusCode, header::IF_NONE_MATCH};
use serde_json::Value;

use crate::{
    answers::Queue,
    api::{Api, ApiError},
    context::Context,
    failure::Failure,
    queue_view, watch,
};

/// Show the queue of a player
#[derive(Debug, Args)]
pub struct QueueArguments {
    /// The player
    #[arg(value_name = "PLAYER")]
    player: String,
    /// Show the queue until q or Ctrl-C; with --json, print a line for each change
    #[arg(long, short)]
    watch: bool,
    /// Seconds between two reads of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

pub async fn run(context: &Context, arguments: QueueArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    let interval = Duration::from_secs(arguments.interval);
    match (arguments.watch, context.output.json) {
        (false, false) => context.output.line(queue_view::render(&read(&api, &arguments.player).await?)),
        (false, true) => {
            let queue: Value = api.get(&["players", &arguments.player, "queue"], &[]).await?;
            context.output.json_document(&queue)
        }
        (true, false) => {
            watch::watch(interval, async || Ok(queue_view::render(&read(&api, &arguments.player).await?))).await
        }
        (true, true) => print_changes(context, &api, &arguments.player, interval).await,
    }
}

async fn read(api: &Api<'_>, player: &str) -> Result<Queue, Failure> {
    Ok(api.get(&["players", player, "queue"], &[]).await?)
}

/// Prints the queue each time that its entity tag changes.
async fn print_changes(context: &Context, api: &Api<'_>, player: &str, interval: Duration) -> Result<(), Failure> {
    let target = api.target(&["players", player, "queue"], &[]);
    let mut tag = String::new();
    loop {
        let headers = if tag.is_empty() { vec![] } else { vec![(IF_NONE_MATCH, tag.clone())] };
        let response = api.request(Method::GET, &target, "".into(), &headers).await?;
        if response.status() != StatusCode::NOT_MODIFIED {
            if let Some(new) = response.headers().get("etag").and_then(|tag| tag.to_str().ok()) {
                tag = new.to_owned();
            }
            let queue: Result<Value, ApiError> = api.read(response);
            context.output.json_line(&queue?)?;
        }
        tokio::time::sleep(interval).await;
    }
}
