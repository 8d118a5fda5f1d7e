//! `millrace explain`: what the commands of a file are, and what would happen.

use std::{collections::BTreeMap, time::SystemTime};

use clap::Args;
use millrace_domain::{CommandId, Timestamp, json::MAX_COMMANDS};
use serde_json::{Value, json};

use crate::{
    answers::Queue,
    api::Api,
    command_file::{self, Entry},
    context::Context,
    describe::describe,
    failure::Failure,
    queue_view,
    tables::{render, table},
    text::{count, printable},
    trial::{EmptyQueues, Outcome, try_on_queue},
};

/// Say what the commands of a file are and would do, without sending them
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// File with commands: JSON lines, or one JSON document; - is standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The player of all commands, which then need no playerId
    #[arg(long, short, value_name = "PLAYER")]
    player: Option<String>,
    /// Apply them on trial to the present queues, by the HTTP API, instead of to empty queues
    #[arg(long)]
    current: bool,
}

/// A command with what would become of it.
struct Explained {
    entry: Entry,
    outcome: Outcome,
}

pub async fn run(context: &Context, arguments: ExplainArguments) -> Result<(), Failure> {
    let owner = arguments.player.as_deref().map(command_file::player).transpose()?;
    let entries = command_file::parse(&command_file::read(&arguments.file)?, owner.as_ref())?;
    let mut explained: Vec<Explained> = entries.into_iter().map(malformed).collect();
    let queues = match arguments.current {
        true => on_present_queues(context, &mut explained).await?,
        false => on_empty_queues(&mut explained),
    };
    match context.output.json {
        true => context.output.json_document(&document(&explained, &queues))?,
        false => print(context, &explained, &queues, arguments.current)?,
    }
    let is_good = |one: &Explained| matches!(one.outcome.status.as_str(), "applied" | "duplicate");
    if explained.iter().all(is_good) { Ok(()) } else { Err(Failure::refused()) }
}

fn malformed(entry: Entry) -> Explained {
    let outcome = match &entry.parsed {
        Ok(_) => Outcome::default(),
        Err(detail) => Outcome {
            status: "rejected".to_owned(),
            reason: Some("malformed".to_owned()),
            detail: Some(detail.clone()),
            events: Vec::new(),
        },
    };
    Explained { entry, outcome }
}

fn on_empty_queues(explained: &mut [Explained]) -> Vec<Value> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(now.as_millis() as u64);
    let mut queues = EmptyQueues::default();
    for (position, one) in explained.iter_mut().enumerate() {
        if let Ok(parsed) = &one.entry.parsed {
            one.outcome = queues.apply(parsed, CommandId::named_after("explain", position), now);
        }
    }
    queues.views(now)
}

async fn on_present_queues(context: &Context, explained: &mut [Explained]) -> Result<Vec<Value>, Failure> {
    let mut players: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, one) in explained.iter().enumerate() {
        if let Ok(parsed) = &one.entry.parsed {
            players.entry(parsed.player_id.as_str().to_owned()).or_default().push(position);
        }
    }
    let api = Api::of(&context.deployment).await?;
    let mut queues = Vec::new();
    for (player, positions) in players {
        if positions.len() > MAX_COMMANDS {
            let message = format!(
                "{player} has {} commands; --current tries at most {MAX_COMMANDS} of a player",
                positions.len()
            );
            return Err(Failure::usage(message).next("split the file"));
        }
        let commands: Vec<Value> = positions
            .iter()
            .map(|position| serde_json::from_str(&explained[*position].entry.text).unwrap_or_default())
            .collect();
        let answer = try_on_queue(&api, &player, json!({ "commands": commands }).to_string()).await?;
        for (position, result) in positions.into_iter().zip(answer.results) {
            explained[position].outcome = result.into();
        }
        queues.extend(answer.queue);
    }
    Ok(queues)
}

fn document(explained: &[Explained], queues: &[Value]) -> Value {
    let commands = explained.iter().map(|Explained { entry, outcome }| {
        let parsed = entry.parsed.as_ref().ok();
        json!({
            "place": entry.place,
            "playerId": parsed.map(|parsed| parsed.player_id.as_str()),
            "commandId": parsed.and_then(|parsed| Some(parsed.command_id.as_ref()?.as_str())),
            "type": parsed.map(|parsed| parsed.command.type_name()),
            "meaning": parsed.map(|parsed| describe(&parsed.command)),
            "status": outcome.status,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "events": outcome.events,
        })
    });
    json!({"commands": commands.collect::<Vec<_>>(), "queues": queues})
}

fn print(context: &Context, explained: &[Explained], queues: &[Value], current: bool) -> Result<(), Failure> {
    let mut rows = table(&["place", "player", "what it does", "result", "then"]);
    for Explained { entry, outcome } in explained {
        let (player, meaning) = match &entry.parsed {
            Ok(parsed) => (parsed.player_id.as_str(), describe(&parsed.command)),
            Err(_) => ("", "is malformed".to_owned()),
        };
        let result = match &outcome.reason {
            Some(reason) => format!("{}: {reason}", outcome.status),
            None => outcome.status.clone(),
        };
        let then = outcome.detail.clone().unwrap_or_else(|| events(&outcome.events));
        rows.add_row([&entry.place, player, &printable(&meaning), &result, &printable(&then)]);
    }
    context.output.line(render(&rows))?;
    for queue in queues {
        context.output.line("")?;
        let queue: Queue = serde_json::from_value(queue.clone())
            .map_err(|error| Failure::internal(format!("the queue cannot be read: {error}")))?;
        context.output.line(queue_view::render(&queue))?;
    }
    let on = if current { "the present queues" } else { "empty queues" };
    context
        .output
        .note(format!("nothing was sent: {} applied on trial to {on}", count(explained.len() as u64, "command")));
    Ok(())
}

/// `taskQueued 2, taskStarted`.
fn events(types: &[&str]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for one in types {
        match counts.iter_mut().find(|(name, _)| name == one) {
            Some((_, count)) => *count += 1,
            None => counts.push((one, 1)),
        }
    }
    let texts =
        counts.iter().map(|(name, count)| if *count > 1 { format!("{name} {count}") } else { (*name).to_owned() });
    texts.collect::<Vec<_>>().join(", ")
}
