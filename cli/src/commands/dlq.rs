//! `millrace dlq`: dead letters of all queues.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use aws_sdk_sqs::Client;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use futures::future::join_all;
use serde_json::json;

use crate::{
    context::Context,
    dead_letters::{
        examination::{examine, line_of, logged_failures},
        letter::Letter,
        queues::{self, DeadLetterQueue, NAMES},
        receive::{receive, release},
        redrive::{delete, redrive},
    },
    failure::{Exit, Failure},
    fields::text,
    tables::{render, table},
    text::{clip, count, printable},
};

/// Show, redrive and drop dead letters
#[derive(Debug, Args)]
pub struct DlqArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the dead letters of all queues
    List(ListArguments),
    /// Show a dead letter: its body, and what it would do to the present queue
    Show(ShowArguments),
    /// Send dead letters to their queue again, with their command ids and groups
    Redrive(RedriveArguments),
    /// Delete dead letters
    Drop(DropArguments),
}

#[derive(Debug, Args)]
struct Queues {
    /// Only this queue; can be given several times
    #[arg(long, value_name = "QUEUE", value_parser = PossibleValuesParser::new(NAMES))]
    queue: Vec<String>,
    /// URL of a queue of dead letters, instead of those of --stage; can be given several times
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// The most letters to receive from each queue
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    max: u32,
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    queues: Queues,
    /// Only letters about this player
    #[arg(long, value_name = "PLAYER")]
    player: Option<String>,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The id of the message
    #[arg(value_name = "MESSAGE")]
    message: String,
    #[command(flatten)]
    queues: Queues,
}

#[derive(Debug, Args)]
#[group(id = "selection", required = true, multiple = true, args = ["message", "player", "all"])]
struct Selection {
    /// The ids of messages
    #[arg(value_name = "MESSAGE")]
    message: Vec<String>,
    /// All letters about this player
    #[arg(long, value_name = "PLAYER")]
    player: Option<String>,
    /// All letters
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct RedriveArguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    queues: Queues,
    /// URL of the queue to send to [default: the queue that the letters came from]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The most messages a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Only show what the letters would do to the present queues
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct DropArguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    queues: Queues,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Selection {
    fn has(&self, letter: &Letter) -> bool {
        let is_named = self.message.contains(&letter.message_id);
        let is_of_player = self.player.as_ref().is_some_and(|player| letter.players().contains(player));
        self.all || is_named || is_of_player
    }
}

pub async fn run(context: &Context, arguments: DlqArguments) -> Result<(), Failure> {
    let client = Client::new(context.deployment.aws().await);
    match arguments.action {
        Action::List(arguments) => list(context, &client, arguments).await,
        Action::Show(arguments) => show(context, &client, arguments).await,
        Action::Redrive(arguments) => {
            let letters = receive_all(context, &client, &arguments.queues, arguments.to.as_deref()).await?;
            let (chosen, others): (Vec<_>, Vec<_>) =
                letters.into_iter().partition(|letter| arguments.selection.has(letter));
            release(&client, others.iter()).await;
            redrive_all(context, &client, &arguments, chosen).await
        }
        Action::Drop(arguments) => {
            let letters = receive_all(context, &client, &arguments.queues, None).await?;
            let (chosen, others): (Vec<_>, Vec<_>) =
                letters.into_iter().partition(|letter| arguments.selection.has(letter));
            release(&client, others.iter()).await;
            drop_all(context, &client, chosen, arguments.yes).await
        }
    }
}

/// Receives the letters of all queues. If one cannot be read, all are visible again.
async fn receive_all(
    context: &Context,
    client: &Client,
    queues: &Queues,
    source: Option<&str>,
) -> Result<Vec<Letter>, Failure> {
    let all = queues::queues(&context.deployment, &queues.queue, &queues.url, source).await?;
    let received = join_all(all.iter().map(|queue| receive(client, queue, queues.max as usize))).await;
    let (mut letters, mut failure) = (Vec::new(), None);
    for result in received {
        match result {
            Ok(some) => letters.extend(some),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        None => Ok(letters),
        Some(failure) => {
            release(client, letters.iter()).await;
            Err(failure)
        }
    }
}

async fn list(context: &Context, client: &Client, arguments: ListArguments) -> Result<(), Failure> {
    let letters = receive_all(context, client, &arguments.queues, None).await?;
    release(client, letters.iter()).await;
    let is_chosen = |letter: &&Letter| arguments.player.as_ref().is_none_or(|player| letter.players().contains(player));
    let letters: Vec<&Letter> = letters.iter().filter(is_chosen).collect();
    if context.output.json {
        return letters.iter().try_for_each(|letter| context.output.json_line(&letter.json()));
    }
    let mut rows = table(&["queue", "message", "sent at", "player", "what it does"]);
    for letter in &letters {
        let players = letter.players().join(", ");
        let summary = clip(&printable(&letter.summary()), 120);
        rows.add_row([&letter.queue.name, &letter.message_id, &letter.sent_time(), &players, &summary]);
    }
    context.output.line(render(&rows))?;
    context.output.note(count(letters.len() as u64, "dead letter"));
    Ok(())
}

async fn show(context: &Context, client: &Client, arguments: ShowArguments) -> Result<(), Failure> {
    let letters = receive_all(context, client, &arguments.queues, None).await?;
    release(client, letters.iter()).await;
    let letter = letters.iter().find(|letter| letter.message_id == arguments.message).ok_or_else(|| {
        Failure::not_found(format!("no dead letter {} was received", arguments.message))
            .next("see `millrace dlq list`; another reader may have it for a minute, or raise --max")
    })?;
    let findings = examine(context, letter).await?;
    let logged = logged_failures(context, letter).await?;
    if context.output.json {
        let mut document = letter.json();
        document["commands"] = findings.into();
        document["failures"] = logged.into();
        return context.output.json_document(&document);
    }
    let group = letter.group.as_deref().unwrap_or("none");
    context.output.line(format!(
        "{} in {}, group {group}, sent at {}",
        letter.message_id,
        letter.queue.name,
        letter.sent_time()
    ))?;
    context.output.line(printable(&letter.body))?;
    for finding in &findings {
        context.output.line(line_of(finding))?;
    }
    for failure in &logged {
        let [at, reason, detail] = ["timestamp", "reason", "detail"].map(|name| text(failure, name));
        context.output.line(format!("  failed at {at}: {reason}: {detail}"))?;
    }
    Ok(())
}

async fn redrive_all(
    context: &Context,
    client: &Client,
    arguments: &RedriveArguments,
    letters: Vec<Letter>,
) -> Result<(), Failure> {
    let result = redrive_chosen(context, client, arguments, &letters).await;
    let (sent, failure) = match result {
        Ok(sent) => (sent, None),
        Err((sent, failure)) => (sent, Some(failure)),
    };
    // What was not sent is visible again.
    release(client, letters[sent..].iter()).await;
    if arguments.dry_run && failure.is_none() {
        return Ok(());
    }
    match context.output.json {
        true => context.output.json_document(&json!({"selected": letters.len(), "redriven": sent}))?,
        false => context.output.line(format!("{} of {} redriven", sent, count(letters.len() as u64, "letter")))?,
    }
    failure.map_or(Ok(()), Err)
}

/// Redrives the letters in their order, at the rate. Returns how many were sent.
async fn redrive_chosen(
    context: &Context,
    client: &Client,
    arguments: &RedriveArguments,
    letters: &[Letter],
) -> Result<usize, (usize, Failure)> {
    if letters.is_empty() {
        let failure = Failure::not_found("no dead letter is selected").next("see `millrace dlq list`");
        return Err((0, failure));
    }
    let source_of = |queue: &DeadLetterQueue| {
        arguments.to.clone().or_else(|| queue.source.clone()).ok_or_else(|| {
            Failure::usage(format!("the source of {} is unknown", queue.name)).next("pass its URL with --to")
        })
    };
    if arguments.dry_run {
        for letter in letters {
            let findings = examine(context, letter).await.map_err(|failure| (0, failure))?;
            let shown = context.output.line(format!(
                "{} in {}: {}",
                letter.message_id,
                letter.queue.name,
                printable(&letter.summary())
            ));
            shown.map_err(|failure| (0, failure))?;
            for finding in &findings {
                context.output.line(line_of(finding)).map_err(|failure| (0, failure))?;
            }
        }
        return Ok(0);
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / arguments.rate);
    for (sent, letter) in letters.iter().enumerate() {
        let source = source_of(&letter.queue).map_err(|failure| (sent, failure))?;
        ticks.tick().await;
        redrive(client, letter, &source).await.map_err(|failure| (sent, failure))?;
    }
    Ok(letters.len())
}

async fn drop_all(context: &Context, client: &Client, letters: Vec<Letter>, yes: bool) -> Result<(), Failure> {
    let number = count(letters.len() as u64, "dead letter");
    let confirmed = match letters.is_empty() {
        true => Err(Failure::not_found("no dead letter is selected").next("see `millrace dlq list`")),
        false if yes => Ok(()),
        false => confirm(&number),
    };
    if let Err(failure) = confirmed {
        release(client, letters.iter()).await;
        return Err(failure);
    }
    for (dropped, letter) in letters.iter().enumerate() {
        // The body may be needed later.
        context.output.note(format!("{} {}", letter.message_id, printable(&letter.body)));
        if let Err(failure) = delete(client, letter).await {
            release(client, letters[dropped..].iter()).await;
            return Err(failure);
        }
    }
    match context.output.json {
        true => context.output.json_document(&json!({"dropped": letters.len()})),
        false => context.output.line(format!("{number} dropped")),
    }
}

fn confirm(number: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{number} would be deleted")).next("add --yes"));
    }
    eprint!("delete {number}? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "yes") {
        true => Ok(()),
        false => Err(Failure::new(Exit::Refused, "nothing was deleted")),
    }
}
