//! `millrace rejections`: the refused commands of a player, and sending them again.

use std::{fs, process::Command as Process};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    api::Api,
    command_file::{self, Entry},
    commands::send::{self, Target},
    context::Context,
    failure::Failure,
    fields::text,
    pages,
    tables::{render, table},
    text::{clip, printable},
    trial::try_on_queue,
};

/// Show the refused commands of a player, newest first
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RejectionsArguments {
    /// The player
    #[arg(value_name = "PLAYER", required = true)]
    player: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send refused commands again, under their original ids
    Replay(ReplayArguments),
}

/// Which rejections.
#[derive(Debug, Args)]
struct Selection {
    /// The most rejections to read
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only those with this reason; can be given several times
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Only the command with this id; can be given several times
    #[arg(long, value_name = "COMMAND")]
    id: Vec<String>,
}

/// Send refused commands again, under their original ids
#[derive(Debug, Args)]
struct ReplayArguments {
    /// The player
    #[arg(value_name = "PLAYER")]
    player: String,
    #[command(flatten)]
    selection: Selection,
    /// Correct the commands in $VISUAL or $EDITOR first
    #[arg(long)]
    edit: bool,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Append .SUFFIX to the ids, because the queue remembers the refusal of the original ids
    #[arg(long, value_name = "SUFFIX")]
    new_ids: Option<String>,
}

pub async fn run(context: &Context, arguments: RejectionsArguments) -> Result<(), Failure> {
    let api = Api::of(&context.deployment).await?;
    match (arguments.action, arguments.player) {
        (Some(Action::Replay(replay)), _) => self::replay(context, &api, replay).await,
        (None, player) => list(context, &api, &player.unwrap_or_default(), &arguments.selection).await,
    }
}

async fn list(context: &Context, api: &Api<'_>, player: &str, selection: &Selection) -> Result<(), Failure> {
    let rejections = read(api, player, selection).await?;
    if context.output.json {
        return rejections.iter().try_for_each(|item| context.output.json_line(item));
    }
    let mut shown = table(&["received at", "command", "type", "task", "reason", "detail"]);
    for item in &rejections {
        shown.add_row([
            text(item, "receivedAt"),
            text(item, "commandId"),
            text(item, "type"),
            text(item, "taskId"),
            text(item, "reason"),
            clip(&text(item, "detail"), 300),
        ]);
    }
    context.output.line(render(&shown))
}

async fn read(api: &Api<'_>, player: &str, selection: &Selection) -> Result<Vec<Value>, Failure> {
    let rows = pages::read(api, &["players", player, "rejections"], &[], selection.limit as usize).await?;
    let is_chosen = |item: &Value| {
        (selection.reason.is_empty() || selection.reason.contains(&text(item, "reason")))
            && (selection.id.is_empty() || selection.id.contains(&text(item, "commandId")))
    };
    Ok(rows.items.into_iter().filter(is_chosen).collect())
}

async fn replay(context: &Context, api: &Api<'_>, arguments: ReplayArguments) -> Result<(), Failure> {
    let owner = command_file::player(&arguments.player)?;
    let mut rejections = read(api, &arguments.player, &arguments.selection).await?;
    if rejections.is_empty() {
        return Err(Failure::not_found("no rejection of this player is selected")
            .next(format!("list them: millrace rejections {}", arguments.player)));
    }
    // They are sent in the order in which they came.
    rejections.reverse();
    let lines: Vec<String> = rejections.iter().map(|item| line_of(item, arguments.new_ids.as_deref())).collect();
    let lines = if arguments.edit { edit(&rejections, &lines)? } else { lines };
    let entries = command_file::parse(&lines.join("\n"), Some(&owner))?;
    if let Some(Entry { place, parsed: Err(detail), .. }) = entries.iter().find(|entry| entry.parsed.is_err()) {
        let message = format!("{place} of the selected commands: {}", printable(detail));
        return Err(Failure::usage(message).next("correct it with --edit, or choose others with --id and --reason"));
    }
    preview(context, api, &arguments.player, &entries).await?;
    if arguments.dry_run {
        return Ok(());
    }
    send::send_entries(context, entries, "replay", &Target::default()).await
}

/// A rejection as a line with a command, under its original id.
fn line_of(item: &Value, suffix: Option<&str>) -> String {
    let id = text(item, "commandId");
    let id = suffix.map_or(id.clone(), |suffix| format!("{id}.{suffix}"));
    let body = item["body"].as_str().unwrap_or_default();
    match serde_json::from_str(body) {
        Ok(Value::Object(mut command)) => {
            command.insert("commandId".to_owned(), id.into());
            Value::Object(command).to_string()
        }
        // Malformed input may be anything. It has to be corrected.
        _ => body.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Opens the commands in an editor, with their refusals as comments.
fn edit(rejections: &[Value], lines: &[String]) -> Result<Vec<String>, Failure> {
    let comment =
        |item: &Value| format!("# {} {}: {}", text(item, "commandId"), text(item, "reason"), text(item, "detail"));
    let pairs: Vec<String> =
        rejections.iter().zip(lines).map(|(item, line)| format!("{}\n{line}", comment(item))).collect();
    let file = std::env::temp_dir().join(format!("millrace-{:016x}.jsonl", fastrand::u64(..)));
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot edit {}: {error}", file.display()))
            .next("set EDITOR to a program that edits a file")
    };
    fs::write(&file, pairs.join("\n") + "\n").map_err(failed)?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // Editors are often set with arguments, such as `code --wait`.
    let mut words = editor.split_whitespace();
    let status = Process::new(words.next().unwrap_or("vi")).args(words).arg(&file).status().map_err(failed)?;
    let edited = fs::read_to_string(&file).map_err(failed);
    let _ = fs::remove_file(&file);
    if !status.success() {
        return Err(Failure::usage(format!("the editor ended with {status}; nothing is sent")));
    }
    let lines = edited?;
    Ok(lines.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect())
}

/// Shows on standard error what the commands would do to the present queue.
async fn preview(context: &Context, api: &Api<'_>, player: &str, entries: &[Entry]) -> Result<(), Failure> {
    let commands: Vec<Value> =
        entries.iter().map(|entry| serde_json::from_str(&entry.text).unwrap_or_default()).collect();
    let answer = try_on_queue(api, player, serde_json::json!({ "commands": commands }).to_string()).await?;
    let mut is_remembered = false;
    context.output.note("on trial:");
    for result in &answer.results {
        is_remembered |= result.status == "duplicate" && result.reason.is_some();
        let reason = result.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let detail = result.detail.as_ref().map_or_else(String::new, |detail| format!(": {}", printable(detail)));
        context.output.note(format!(
            "  {} {}{reason}{detail}",
            result.command_id.as_deref().unwrap_or("-"),
            result.status
        ));
    }
    if is_remembered {
        context.output.note(
            "the queue remembers the refusal of these ids, so they have no effect: add --new-ids SUFFIX to send them as new commands",
        );
    }
    Ok(())
}
