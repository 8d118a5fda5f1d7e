//! `millrace dlq`: dead letters of all queues.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use aws_sdk_sqs::Client;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use comfy_table::ColumnConstraint;
use futures::future::join_all;
use serde_json::json;

use crate::{
    context::Context,
    dead_letters::{
        examination::{examine, line_of, logged_failures, reason},
        letter::Letter,
        queues::{self, NAMES},
        receive,
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
    /// The most letters to look at in each queue
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
    /// Also say why each letter failed, from the rejections and logs; takes some requests a letter
    #[arg(long)]
    reasons: bool,
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
        Action::Redrive(arguments) if arguments.dry_run => preview(context, &client, &arguments).await,
        Action::Redrive(arguments) => redrive_selected(context, &client, &arguments).await,
        Action::Drop(arguments) => drop_selected(context, &client, arguments).await,
    }
}

/// Looks at the letters of all queues, and says so if there are more.
async fn look_at_all(context: &Context, client: &Client, queues: &Queues) -> Result<Vec<Letter>, Failure> {
    let all = queues::queues(&context.deployment, &queues.queue, &queues.url, None).await?;
    let sizes = join_all(all.iter().map(|queue| receive::size(client, queue))).await;
    let received = join_all(all.iter().map(|queue| receive::look(client, queue, queues.max as usize))).await;
    let mut letters = Vec::new();
    for ((queue, size), looked_at) in all.iter().zip(sizes).zip(received) {
        let looked_at = looked_at?;
        let (seen, size) = (looked_at.len() as u64, size.unwrap_or(0));
        if size > seen {
            context.output.note(format!(
                "{}: {seen} of about {size} letters; raise --max, and see docs/cli.md for FIFO queues",
                queue.name
            ));
        }
        letters.extend(looked_at);
    }
    Ok(letters)
}

async fn list(context: &Context, client: &Client, arguments: ListArguments) -> Result<(), Failure> {
    let mut letters = look_at_all(context, client, &arguments.queues).await?;
    letters.retain(|letter| arguments.player.as_ref().is_none_or(|player| letter.players().contains(player)));
    let mut headings = vec!["queue", "message", "sent at", "player", "what it does"];
    if arguments.reasons {
        headings.push("why it failed");
    }
    let mut rows = table(&headings);
    for letter in &letters {
        let reason = if arguments.reasons { Some(reason(context, letter).await?) } else { None };
        if context.output.json {
            let mut document = letter.json();
            if let Some(reason) = reason {
                document["failedBecause"] = reason.into();
            }
            context.output.json_line(&document)?;
            continue;
        }
        let players = letter.players().join(", ");
        let summary = clip(&printable(&letter.summary()), 120);
        let cells = [letter.queue.name.clone(), letter.message_id.clone(), letter.sent_time(), players, summary];
        rows.add_row(cells.into_iter().chain(reason.map(|reason| clip(&printable(&reason), 200))));
    }
    if !context.output.json {
        // Ids are copied to other commands.
        for column in rows.column_iter_mut().skip(1).take(2) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        context.output.line(render(&rows))?;
    }
    context.output.note(count(letters.len() as u64, "dead letter"));
    Ok(())
}

async fn show(context: &Context, client: &Client, arguments: ShowArguments) -> Result<(), Failure> {
    let letters = look_at_all(context, client, &arguments.queues).await?;
    let letter = letters.iter().find(|letter| letter.message_id == arguments.message);
    let letter = letter.ok_or_else(|| not_found(std::slice::from_ref(&arguments.message)))?;
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

/// Shows what the selected letters would do to the present queues.
async fn preview(context: &Context, client: &Client, arguments: &RedriveArguments) -> Result<(), Failure> {
    let letters = selected(context, client, &arguments.queues, &arguments.selection).await?;
    for letter in &letters {
        let findings = examine(context, letter).await?;
        if context.output.json {
            let mut document = letter.json();
            document["commands"] = findings.into();
            context.output.json_line(&document)?;
            continue;
        }
        let summary = printable(&letter.summary());
        context.output.line(format!("{} in {}: {summary}", letter.message_id, letter.queue.name))?;
        findings.iter().try_for_each(|finding| context.output.line(line_of(finding)))?;
    }
    Ok(())
}

/// Sends the selected letters in the order of their queues, at the rate.
async fn redrive_selected(context: &Context, client: &Client, arguments: &RedriveArguments) -> Result<(), Failure> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / arguments.rate);
    let to = arguments.to.as_deref();
    let mut send = async |letter: &Letter| {
        let source = letter.queue.source.as_ref().ok_or_else(|| {
            Failure::usage(format!("the source of {} is unknown", letter.queue.name)).next("pass its URL with --to")
        })?;
        ticks.tick().await;
        redrive(client, letter, source).await
    };
    let (ids, result) = take_selected(context, client, &arguments.queues, to, &arguments.selection, &mut send).await;
    report(context, "redriven", &ids, &arguments.selection, result)
}

async fn drop_selected(context: &Context, client: &Client, arguments: DropArguments) -> Result<(), Failure> {
    let mut selection = arguments.selection;
    if !arguments.yes {
        // Only the letters that were asked about are deleted.
        let letters = selected(context, client, &arguments.queues, &selection).await?;
        confirm(&count(letters.len() as u64, "dead letter"))?;
        let message = letters.into_iter().map(|letter| letter.message_id).collect();
        selection = Selection { message, player: None, all: false };
    }
    let mut drop = async |letter: &Letter| {
        // The body may be needed later.
        context.output.note(format!("{} {}", letter.message_id, printable(&letter.body)));
        delete(client, letter).await
    };
    let (ids, result) = take_selected(context, client, &arguments.queues, None, &selection, &mut drop).await;
    report(context, "dropped", &ids, &selection, result)
}

/// The selected letters. They stay visible.
///
/// # Errors
/// [`Failure`] if there are none.
async fn selected(
    context: &Context,
    client: &Client,
    queues: &Queues,
    selection: &Selection,
) -> Result<Vec<Letter>, Failure> {
    let mut letters = look_at_all(context, client, queues).await?;
    letters.retain(|letter| selection.has(letter));
    if letters.is_empty() { Err(not_found(&selection.message)) } else { Ok(letters) }
}

/// Calls `take` with each selected letter, up to the first failure. Returns the ids of those that
/// were taken.
async fn take_selected(
    context: &Context,
    client: &Client,
    queues: &Queues,
    source: Option<&str>,
    selection: &Selection,
    take: &mut impl AsyncFnMut(&Letter) -> Result<(), Failure>,
) -> (Vec<String>, Result<(), Failure>) {
    let mut ids = Vec::new();
    let all = match queues::queues(&context.deployment, &queues.queue, &queues.url, source).await {
        Ok(all) => all,
        Err(failure) => return (ids, Err(failure)),
    };
    for queue in &all {
        let take_one = async |letter: &Letter| {
            if !selection.has(letter) {
                return Ok(false);
            }
            take(letter).await?;
            ids.push(letter.message_id.clone());
            Ok(true)
        };
        if let Err(failure) = receive::each(client, queue, queues.max as usize, take_one).await {
            return (ids, Err(failure));
        }
    }
    (ids, Ok(()))
}

/// Prints how many letters were taken, and fails if some of the named ones were not found.
fn report(
    context: &Context,
    what: &str,
    ids: &[String],
    selection: &Selection,
    result: Result<(), Failure>,
) -> Result<(), Failure> {
    match context.output.json {
        true => context.output.json_document(&json!({ what: ids.len() }))?,
        false => context.output.line(format!("{} {what}", count(ids.len() as u64, "dead letter")))?,
    }
    result?;
    let missing: Vec<String> = selection.message.iter().filter(|id| !ids.contains(*id)).cloned().collect();
    if missing.is_empty() && !ids.is_empty() { Ok(()) } else { Err(not_found(&missing)) }
}

fn not_found(ids: &[String]) -> Failure {
    let message = match ids {
        [] => "no dead letter is selected".to_owned(),
        ids => format!("not received: {}", ids.join(", ")),
    };
    Failure::not_found(message)
        .next("see `millrace dlq list`; another reader may have letters for a minute, or raise --max")
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
