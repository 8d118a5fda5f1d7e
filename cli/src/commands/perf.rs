//! `millrace perf`: the performance history.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::{api::Api, context::Context, failure::Failure, performance_view, watch};

/// Show the performance history
#[derive(Debug, Args)]
pub struct PerfArguments {
    /// The beginning of the history, at most 24 hours ago [default: an hour before --to]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The end of the history [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Minutes from one point to the next
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=1440))]
    step: Option<u32>,
    /// Show the history until q or Ctrl-C
    #[arg(long, short)]
    watch: bool,
    /// Seconds between two reads of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

pub async fn run(context: &Context, arguments: PerfArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    if arguments.watch && !context.output.json {
        let interval = Duration::from_secs(arguments.interval);
        return watch::watch(interval, async || Ok(performance_view::render(&read(&api, &arguments).await?))).await;
    }
    loop {
        let performance = read(&api, &arguments).await?;
        match (context.output.json, arguments.watch) {
            (false, _) => return context.output.line(performance_view::render(&performance)),
            (true, false) => return context.output.json_document(&performance),
            (true, true) => context.output.json_line(&performance)?,
        }
        tokio::time::sleep(Duration::from_secs(arguments.interval)).await;
    }
}

async fn read(api: &Api<'_>, arguments: &PerfArguments) -> Result<Value, Failure> {
    let query = [
        ("from", arguments.from.clone()),
        ("to", arguments.to.clone()),
        ("step", arguments.step.map(|step| step.to_string())),
    ];
    Ok(api.get(&["admin", "performance"], &query).await?)
}
