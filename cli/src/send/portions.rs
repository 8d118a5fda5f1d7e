//! Commands in portions. A portion has commands of one player and is one message or one request.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::command_file::{Entry, ParsedCommand};

/// The most commands of a portion: those of one message.
const MAX_COMMANDS: usize = millrace_domain::json::MAX_COMMANDS;
/// The most bytes of commands in a portion. With the rest of the message, they stay below 256 KiB.
const MAX_BYTES: usize = 224 * 1024;

/// Commands of one player that are sent together.
#[derive(Debug, Clone)]
pub struct Portion {
    pub player: String,
    pub commands: Vec<NamedCommand>,
}

/// A command with its id.
#[derive(Debug, Clone)]
pub struct NamedCommand {
    pub id: String,
    pub json: Value,
}

impl Portion {
    /// The body of a message or request.
    pub fn body(&self) -> String {
        let commands: Vec<&Value> = self.commands.iter().map(|command| &command.json).collect();
        match commands.as_slice() {
            [one] => one.to_string(),
            all => json!({ "commands": all }).to_string(),
        }
    }
}

/// The portions of each player, in the order of the commands. Commands without an id are called
/// `<key>:<position>`.
pub fn portions(entries: &[(Entry, ParsedCommand)], key: &str) -> Vec<Vec<Portion>> {
    let mut players: Vec<Vec<Portion>> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let mut bytes: Vec<usize> = Vec::new();
    for (position, (entry, parsed)) in entries.iter().enumerate() {
        let player = parsed.player_id.as_str();
        let at = *positions.entry(player).or_insert_with(|| {
            players.push(Vec::new());
            bytes.push(0);
            players.len() - 1
        });
        let id = match &parsed.command_id {
            Some(id) => id.as_str().to_owned(),
            None => format!("{key}:{position}"),
        };
        let mut json: Value = serde_json::from_str(&entry.text).unwrap_or_default();
        json["playerId"] = player.into();
        json["commandId"] = id.as_str().into();
        let size = json.to_string().len() + 1;
        let is_full = |portion: &Portion| portion.commands.len() >= MAX_COMMANDS || bytes[at] + size > MAX_BYTES;
        if players[at].last().is_none_or(is_full) {
            players[at].push(Portion { player: player.to_owned(), commands: Vec::new() });
            bytes[at] = 0;
        }
        bytes[at] += size;
        if let Some(last) = players[at].last_mut() {
            last.commands.push(NamedCommand { id, json });
        }
    }
    players
}

#[cfg(test)]
mod tests {
    use millrace_domain::PlayerId;

    use super::*;
    use crate::command_file::parse;

    fn portions_of(lines: impl Iterator<Item = String>) -> Vec<Vec<Portion>> {
        let text = lines.collect::<Vec<_>>().join("\n");
        let entries = parse(&text, None::<&PlayerId>).unwrap().into_iter();
        let entries: Vec<_> = entries
            .map(|mut entry| (entry.parsed.clone().unwrap(), entry.parsed = Err(String::new()), entry))
            .map(|(parsed, (), entry)| (entry, parsed))
            .collect();
        portions(&entries, "key")
    }

    #[test]
    fn a_portion_has_at_most_100_commands_of_one_player_in_order() {
        let line = |n: usize| format!(r#"{{"type": "pauseQueue", "playerId": "p-{}"}}"#, n % 2);
        let portions = portions_of((0..250).map(line));
        let sizes: Vec<Vec<usize>> =
            portions.iter().map(|player| player.iter().map(|portion| portion.commands.len()).collect()).collect();
        assert_eq!(sizes, [[100, 25], [100, 25]]);
        assert_eq!(
            (portions[1][0].commands[0].id.as_str(), portions[1][0].commands[99].id.as_str()),
            ("key:1", "key:199")
        );
    }

    #[test]
    fn a_portion_stays_below_the_size_of_a_message() {
        let payload = "x".repeat(4_000);
        let line = |n: usize| {
            format!(
                r#"{{"type": "enqueueTasks", "playerId": "p", "commandId": "c-{n}", "tasks": [{{"taskId": "t-{n}", "kind": "k", "work": {{"units": 1}}, "payload": "{payload}"}}]}}"#
            )
        };
        let portions = portions_of((0..100).map(line));
        assert!(portions[0].len() > 1);
        assert!(portions[0].iter().all(|portion| portion.body().len() < 256 * 1024));
        assert_eq!(portions[0].iter().map(|portion| portion.commands.len()).sum::<usize>(), 100);
    }
}
