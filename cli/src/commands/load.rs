//! `millrace load`: a load generator.

use std::{cell::RefCell, time::Duration};

use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt, future, stream};
use indicatif::ProgressBar;
use millrace_load::COMMANDS;
use serde_json::json;
use tokio::{sync::Mutex, time::interval};

use crate::{
    api::Api,
    context::Context,
    failure::{Exit, Failure},
    load::{
        books::{self, Check},
        measurements::Measurements,
        players::{named_command, play, player},
    },
    progress::progress_bar,
    send::{
        outcomes::Outcomes,
        portions::{NamedCommand, Portion},
        sqs,
    },
    tables::{render, table},
    text::count,
};

const REDRAW: Duration = Duration::from_millis(250);

/// Where the load goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// The HTTP API, one request for each command
    Http,
    /// The queue for commands
    Sqs,
}

/// Generate a load of new players, and check that every command took effect once
#[derive(Debug, Args)]
pub struct LoadArguments {
    /// New players; each sends 20 commands in order
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    players: u32,
    /// Players that send at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    concurrency: u16,
    /// The most commands a second of --to http [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Where to send the commands
    #[arg(long, value_enum, default_value_t = Way::Http)]
    to: Way,
    /// URL of the queue of --to sqs [default: that of --stage]
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// What the ids of the players begin with [default: load- and random digits]
    #[arg(long, value_name = "TEXT")]
    run: Option<String>,
    /// Seconds to wait for the last commands of --to sqs
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

pub async fn run(context: &Context, arguments: LoadArguments) -> Result<(), Failure> {
    let run = arguments.run.clone().unwrap_or_else(|| format!("load-{:08x}", fastrand::u32(..)));
    crate::command_file::player(&player(&run, 0)).map_err(|failure| failure.next("use other characters in --run"))?;
    let api = Api::of(&context.deployment).await?;
    let players = arguments.players as usize;
    let total = (players * COMMANDS) as u64;
    let measurements = RefCell::new(Measurements::start());
    let bar = progress_bar(context.output, total);
    let sent = match arguments.to {
        Way::Http => over_http(&api, &arguments, &run, &measurements, &bar).await,
        Way::Sqs => over_sqs(context, &arguments, &run, &measurements, &bar).await,
    };
    bar.finish_and_clear();
    sent?;
    let mut measurements = measurements.into_inner();
    measurements.end();
    context.output.note("all commands are sent; the books are checked");
    let patience = if arguments.to == Way::Sqs { arguments.patience } else { 5 };
    let concurrency = usize::from(arguments.concurrency);
    let check = books::check(&api, &run, players, concurrency, Duration::from_secs(patience)).await?;
    print(context, &run, &measurements, &check)?;
    let all_accounted = measurements.commands == total && measurements.rejected + measurements.failed == 0;
    if all_accounted && check.unbalanced == 0 {
        Ok(())
    } else {
        Err(Failure::new(Exit::Refused, "the books do not balance")
            .next("see docs/operations.md, and `millrace doctor`"))
    }
}

async fn over_http(
    api: &Api<'_>,
    arguments: &LoadArguments,
    run: &str,
    measurements: &RefCell<Measurements>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let pace = arguments.rate.map(|rate| Mutex::new(interval(Duration::from_secs(1) / rate)));
    let pace = pace.as_ref();
    let plays: Vec<_> =
        (0..arguments.players as usize).map(|at| play(api, run, at, measurements, pace, || bar.inc(1))).collect();
    let all = stream::iter(plays).buffer_unordered(usize::from(arguments.concurrency)).try_collect::<()>();
    let redraw = async {
        loop {
            let rows = measurements.borrow().rows();
            bar.set_message(
                rows.iter().map(|[name, value]| format!("{name:<30} {value}")).collect::<Vec<_>>().join("\n"),
            );
            tokio::time::sleep(REDRAW).await;
        }
    };
    match future::select(Box::pin(all), Box::pin(redraw)).await {
        future::Either::Left((result, _)) => result,
        future::Either::Right((never, _)) => never,
    }
}

async fn over_sqs(
    context: &Context,
    arguments: &LoadArguments,
    run: &str,
    measurements: &RefCell<Measurements>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let url = match &arguments.queue_url {
        Some(url) => url.clone(),
        None => context.deployment.output("CommandsQueueUrl").await?,
    };
    // One message for each command, so that the queue and the batches are loaded as in a game.
    let portion = |at: usize, step: usize| {
        let (id, json) = named_command(run, at, step);
        Portion { player: player(run, at), commands: vec![NamedCommand { id, json }] }
    };
    let players = (0..arguments.players as usize).map(|at| (0..COMMANDS).map(|step| portion(at, step)).collect());
    let players: Vec<Vec<Portion>> = players.collect();
    let client = aws_sdk_sqs::Client::new(context.deployment.aws().await);
    let mut outcomes = Outcomes::default();
    sqs::send(&client, &url, &players, &mut outcomes, |commands| bar.inc(commands)).await?;
    let mut measurements = measurements.borrow_mut();
    (0..outcomes.accepted).for_each(|_| measurements.add_status("accepted"));
    (0..outcomes.failed).for_each(|_| measurements.add_status("failed"));
    Ok(())
}

fn print(context: &Context, run: &str, measurements: &Measurements, check: &Check) -> Result<(), Failure> {
    if context.output.json {
        let mut report = measurements.json();
        report["run"] = run.into();
        report["books"] = json!({"balanced": check.balanced, "unbalanced": check.unbalanced, "wrong": check.wrong});
        return context.output.json_document(&report);
    }
    let mut rows = table(&["measurement", "value"]);
    for row in measurements.rows() {
        rows.add_row(row);
    }
    let balanced = count(check.balanced, "player");
    rows.add_row(["books".to_owned(), format!("{balanced} balanced, {} not", check.unbalanced)]);
    context.output.line(render(&rows))?;
    check.wrong.iter().try_for_each(|problem| context.output.line(problem))
}
