//! Commands from a file, standard input or flags, parsed by the code that the functions use.

use std::{
    fs,
    io::{self, Read as _},
};

use millrace_domain::{
    Command, CommandId, PlayerId,
    json::{Message, parse_message, parse_message_for},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};

/// A command, or why the input at a place is none.
#[derive(Debug)]
pub struct Entry {
    /// The place in the input, such as `line 3`.
    pub place: String,
    /// The JSON as it was given.
    pub text: String,
    /// The command, or what is wrong.
    pub parsed: Result<ParsedCommand, String>,
}

/// A well-formed command.
#[derive(Debug, Clone)]
pub struct ParsedCommand {
    pub player_id: PlayerId,
    pub command_id: Option<CommandId>,
    pub command: Command,
}

/// Input that holds several commands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandList<'a> {
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// [`Failure`] if it cannot be read, or is not UTF-8.
pub fn read(path: &str) -> Result<String, Failure> {
    let text = match path {
        "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        path => fs::read_to_string(path),
    };
    text.map_err(|error| {
        Failure::usage(format!("cannot read {path}: {error}"))
            .next("pass a file with commands, or - for standard input")
    })
}

/// The commands of a text: a command, `{"commands": [...]}`, an array of commands, or lines with
/// one of the first two each. With `owner`, commands need not name the player, and can name no
/// other.
///
/// # Errors
/// [`Failure`] if there is nothing in the text.
pub fn parse(text: &str, owner: Option<&PlayerId>) -> Result<Vec<Entry>, Failure> {
    let list = serde_json::from_str::<CommandList<'_>>(text).map(|list| list.commands);
    let entries = match list.or_else(|_| serde_json::from_str::<Vec<&RawValue>>(text)) {
        Ok(commands) => {
            let place = |index| format!("commands[{index}]");
            commands.iter().enumerate().map(|(index, command)| entry(place(index), command.get(), owner)).collect()
        }
        Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => {
            vec![entry("line 1".to_owned(), text.trim(), owner)]
        }
        Err(_) => lines(text, owner),
    };
    if entries.is_empty() {
        return Err(Failure::usage("there are no commands in the input").next("see docs/commands.md for their form"));
    }
    Ok(entries)
}

fn lines(text: &str, owner: Option<&PlayerId>) -> Vec<Entry> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    let mut entries = Vec::new();
    for (number, line) in lines {
        match serde_json::from_str::<CommandList<'_>>(line) {
            Ok(CommandList { commands }) => {
                for (index, command) in commands.iter().enumerate() {
                    entries.push(entry(format!("line {number}, commands[{index}]"), command.get(), owner));
                }
            }
            Err(_) => entries.push(entry(format!("line {number}"), line, owner)),
        }
    }
    entries
}

fn entry(place: String, text: &str, owner: Option<&PlayerId>) -> Entry {
    let message = match owner {
        Some(owner) => parse_message_for(owner, text),
        None => parse_message(text),
    };
    let parsed = match message {
        Ok(Message::Commands(commands)) => commands.into_iter().next().map_or_else(
            || Err("no command".to_owned()),
            |command| match command {
                Ok(request) => Ok(ParsedCommand {
                    player_id: request.player_id,
                    command_id: request.command_id,
                    command: request.command,
                }),
                Err(malformed) => Err(malformed.detail),
            },
        ),
        Ok(Message::Tick(_)) => Err("type: `advanceQueues` is a tick, not a command".to_owned()),
        Err(malformed) => Err(malformed.detail),
    };
    Entry { place, text: text.to_owned(), parsed }
}

/// The player of a flag.
///
/// # Errors
/// [`Failure`] if the id is not allowed.
pub fn player(id: &str) -> Result<PlayerId, Failure> {
    PlayerId::new(id).map_err(|error| Failure::new(Exit::Usage, format!("the player {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, owner: Option<&str>) -> Vec<(String, bool)> {
        let owner = owner.map(|id| PlayerId::new(id).unwrap());
        let entries = parse(text, owner.as_ref()).unwrap();
        entries.into_iter().map(|entry| (entry.place, entry.parsed.is_ok())).collect()
    }

    #[test]
    fn commands_come_as_a_document_an_array_or_lines() {
        let pause = r#"{"type": "pauseQueue", "playerId": "p"}"#;
        let ok = |place: &str| (place.to_owned(), true);
        assert_eq!(places(pause, None), [ok("line 1")]);
        assert_eq!(places(&format!("[{pause}, {pause}]"), None), [ok("commands[0]"), ok("commands[1]")]);
        assert_eq!(places(&format!("{{\n\"commands\": [{pause}]\n}}"), None), [ok("commands[0]")]);
        assert_eq!(places(&format!("{pause}\n\n{pause}\n"), None), [ok("line 1"), ok("line 3")]);
        let list = format!("{{\"commands\": [{pause}]}}\n{pause}");
        assert_eq!(places(&list, None), [ok("line 1, commands[0]"), ok("line 2")]);
    }

    #[test]
    fn the_errors_are_those_of_the_functions() {
        let text = "{\"type\": \"fly\"}\nnonsense\n{\"type\": \"advanceQueues\", \"playerIds\": [\"p\"]}";
        let entries = parse(text, None).unwrap();
        let errors: Vec<String> = entries.into_iter().map(|entry| entry.parsed.unwrap_err()).collect();
        assert!(errors[0].contains("unknown type `fly`") && errors[1].contains("not JSON"), "{errors:?}");
        assert!(errors[2].contains("a tick"), "{errors:?}");
        assert!(parse("  \n ", None).is_err());
    }

    #[test]
    fn an_owner_is_the_player_of_all_commands() {
        assert_eq!(places(r#"{"type": "pauseQueue"}"#, Some("p")), [("line 1".to_owned(), true)]);
        assert_eq!(places(r#"{"type": "pauseQueue", "playerId": "q"}"#, Some("p")), [("line 1".to_owned(), false)]);
        assert_eq!(places(r#"{"type": "pauseQueue"}"#, None), [("line 1".to_owned(), false)]);
    }
}
