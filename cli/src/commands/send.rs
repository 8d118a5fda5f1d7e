//! `millrace send`: commands from a file, standard input or flags.

use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;

use crate::{
    api::Api,
    command_file::{self, Entry, ParsedCommand},
    context::Context,
    failure::Failure,
    progress::progress_bar,
    send::{
        eventbridge, function, http,
        outcomes::Outcomes,
        portions::{Portion, portions},
        sqs,
    },
    tables::{render, table},
    text::{clip, count, printable},
};

/// Where commands go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// The HTTP API, which applies them before it answers
    Http,
    /// The queue for commands, with the player as the message group
    Sqs,
    /// The event bus
    Eventbridge,
    /// process-tasks itself, through the Lambda API of `make dev`
    Function,
}

/// Send commands
#[derive(Debug, Args)]
pub struct SendArguments {
    /// File with commands: JSON lines, or one JSON document; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "command")]
    file: Option<String>,
    /// A command as JSON; can be given several times
    #[arg(long, short, value_name = "JSON", conflicts_with = "file")]
    command: Vec<String>,
    /// The player of all commands, which then need no playerId
    #[arg(long, short, value_name = "PLAYER")]
    player: Option<String>,
    /// Names commands without commandId: KEY:0, KEY:1, ... [default: random]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Where commands are sent.
#[derive(Debug, Args)]
pub struct Target {
    /// Where to send them
    #[arg(long, value_enum, default_value_t = Way::Http)]
    to: Way,
    /// URL of the queue of --to sqs [default: that of --stage]
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// Name or ARN of the bus of --to eventbridge [default: that of --stage]
    #[arg(long, value_name = "NAME")]
    bus: Option<String>,
    /// Requests at the same time; those of one player follow each other
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

impl Default for Target {
    /// The HTTP API.
    fn default() -> Self {
        Self { to: Way::Http, queue_url: None, bus: None, concurrency: 8 }
    }
}

pub async fn run(context: &Context, arguments: SendArguments) -> Result<(), Failure> {
    let entries = read_all(&arguments)?;
    let key = arguments.key.clone().unwrap_or_else(|| format!("cli-{:016x}", fastrand::u64(..)));
    if entries.iter().any(|(_, parsed)| parsed.command_id.is_none()) {
        if millrace_domain::CommandId::with_index(&key, entries.len()).is_err() {
            return Err(Failure::usage(format!("--key: `{key}` is not allowed"))
                .next("use 1 to 120 characters of A-Z a-z 0-9 . _ : - | @ + = ~"));
        }
        if arguments.key.is_none() {
            context.output.note(format!("to send the same commands again without effect, add --key {key}"));
        }
    }
    send_named(context, &entries, &key, &arguments.target).await
}

/// Sends commands that are well-formed, and prints what became of them.
///
/// # Errors
/// [`Failure`] if some are refused or fail.
pub async fn send_entries(context: &Context, entries: Vec<Entry>, key: &str, target: &Target) -> Result<(), Failure> {
    let parsed = |entry: Entry| Some((entry.parsed.clone().ok()?, entry));
    let entries: Vec<_> = entries.into_iter().filter_map(parsed).map(|(parsed, entry)| (entry, parsed)).collect();
    send_named(context, &entries, key, target).await
}

async fn send_named(
    context: &Context,
    entries: &[(Entry, ParsedCommand)],
    key: &str,
    target: &Target,
) -> Result<(), Failure> {
    let players = portions(entries, key);
    let bar = progress_bar(context.output, entries.len() as u64);
    let mut outcomes = Outcomes::default();
    let sent = send(context, target, &players, &bar, &mut outcomes).await;
    bar.finish_and_clear();
    if let Err(failure) = sent {
        context.output.note("some commands may not be sent: send the same input again, under the same --key");
        return Err(failure);
    }
    print(context, &outcomes)?;
    if outcomes.is_good() { Ok(()) } else { Err(Failure::refused()) }
}

/// Reads and checks all commands. If one is malformed, none is sent.
fn read_all(arguments: &SendArguments) -> Result<Vec<(Entry, ParsedCommand)>, Failure> {
    let owner = arguments.player.as_deref().map(command_file::player).transpose()?;
    let (name, text) = match &arguments.file {
        Some(file) => (file.as_str(), command_file::read(file)?),
        None => ("--command", arguments.command.join("\n")),
    };
    let (mut commands, mut errors) = (Vec::new(), Vec::new());
    for entry in command_file::parse(&text, owner.as_ref())? {
        match &entry.parsed {
            Ok(parsed) => {
                let parsed = parsed.clone();
                commands.push((entry, parsed));
            }
            Err(detail) => errors.push(format!("{name}: {}: {}", entry.place, printable(detail))),
        }
    }
    if errors.is_empty() {
        return Ok(commands);
    }
    let shown = errors.iter().take(10).cloned().collect::<Vec<_>>().join("\n       ");
    let message = format!("malformed commands: {}; nothing is sent\n       {shown}", errors.len());
    Err(Failure::usage(message).next("correct the input; `millrace explain` shows what each command would do"))
}

async fn send(
    context: &Context,
    arguments: &Target,
    players: &[Vec<Portion>],
    bar: &ProgressBar,
    outcomes: &mut Outcomes,
) -> Result<(), Failure> {
    let deployment = &context.deployment;
    let progress = |commands: u64| bar.inc(commands);
    match arguments.to {
        Way::Sqs => {
            let url = match &arguments.queue_url {
                Some(url) => url.clone(),
                None => deployment.output("CommandsQueueUrl").await?,
            };
            let client = aws_sdk_sqs::Client::new(deployment.aws().await);
            sqs::send(&client, &url, players, outcomes, progress).await
        }
        Way::Eventbridge => {
            let bus = match &arguments.bus {
                Some(bus) => bus.clone(),
                None => deployment.output("BusName").await?,
            };
            let client = aws_sdk_eventbridge::Client::new(deployment.aws().await);
            eventbridge::send(&client, &bus, players, outcomes, progress).await
        }
        Way::Http | Way::Function => {
            let api = &Api::of(deployment).await?;
            let is_http = arguments.to == Way::Http;
            let calls = players.iter().map(|portions| async move {
                let mut outcomes = Outcomes::default();
                for portion in portions {
                    let sent = match is_http {
                        true => http::send(api, portion, &mut outcomes).await,
                        false => function::send(api, portion, &mut outcomes).await,
                    };
                    sent?;
                    bar.inc(portion.commands.len() as u64);
                }
                Ok::<_, Failure>(outcomes)
            });
            let calls: Vec<_> = calls.collect();
            let mut answers = stream::iter(calls).buffer_unordered(usize::from(arguments.concurrency));
            while let Some(answer) = answers.try_next().await? {
                outcomes.merge(answer);
            }
            Ok(())
        }
    }
}

fn print(context: &Context, outcomes: &Outcomes) -> Result<(), Failure> {
    if context.output.json {
        return context.output.json_document(outcomes);
    }
    if !outcomes.results.is_empty() {
        let mut rows = table(&["player", "command", "status", "reason", "detail"]);
        for one in &outcomes.results {
            let detail = printable(&clip(&one.detail, 200));
            rows.add_row([&one.player_id, &one.command_id, &one.status, &one.reason, &detail]);
        }
        context.output.line(render(&rows))?;
        let listed = outcomes.results.len() as u64;
        let others = (outcomes.rejected + outcomes.failed).saturating_sub(listed);
        if others > 0 {
            context.output.line(format!("and {others} more"))?;
        }
    }
    let parts = [
        (outcomes.accepted, "accepted"),
        (outcomes.applied, "applied"),
        (outcomes.duplicate, "duplicate"),
        (outcomes.rejected, "rejected"),
        (outcomes.failed, "failed"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    let total = outcomes.accepted + outcomes.applied + outcomes.duplicate + outcomes.rejected + outcomes.failed;
    context.output.line(format!("{}: {}", count(total, "command"), parts.join(", ")))?;
    if outcomes.failed > 0 {
        context.output.note("next:  send the same file again; commands with an id take effect once");
    }
    Ok(())
}
